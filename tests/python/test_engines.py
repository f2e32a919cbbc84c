"""Which engines an interpreter offers, and the defaults of its library."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import unittest
from concurrent import futures
from importlib import import_module
from typing import Any

from conbench_agent import engines
from conbench_agent.engines.sequential import Sequential
from conbench_agent.meter import Usage, live, usage
from conbench_agent.protocol import Job, Payload
from conbench_agent.sampler import Batch, Sampler, Settings
from conbench_agent.task import Done, Step, Task
from support import job


class Offers(unittest.TestCase):
    def setUp(self) -> None:
        offered, absent = engines.offers()
        self.workers = {str(offer["engine"]): offer.get("default_workers") for offer in offered}
        self.absent = {str(offer["engine"]): offer["reason"] for offer in absent}

    def test_default_workers_are_those_that_the_library_gives(self) -> None:
        with futures.ThreadPoolExecutor() as threads:
            self.assertEqual(self.workers["ThreadPoolExecutor"], threads._max_workers)
        with futures.ProcessPoolExecutor() as processes:
            self.assertEqual(self.workers["ProcessPoolExecutor"], processes._max_workers)  # type: ignore[attr-defined]
        with multiprocessing.Pool() as pool:
            self.assertEqual(self.workers["multiprocessing.Pool"], len(pool._pool))  # type: ignore[attr-defined]
        if "InterpreterPoolExecutor" in self.workers:
            with futures.InterpreterPoolExecutor() as interpreters:  # type: ignore[attr-defined,unused-ignore]
                self.assertEqual(self.workers["InterpreterPoolExecutor"], interpreters._max_workers)

    def test_the_default_of_anyio_is_that_of_its_own_limiter(self) -> None:
        try:
            anyio: Any = import_module("anyio")
        except ImportError:
            self.assertNotIn("CONBENCH_REQUIRE_ENGINES", os.environ)
            self.skipTest("not here: anyio")

        async def tokens() -> float:
            given: float = anyio.to_thread.current_default_thread_limiter().total_tokens
            return given

        self.assertEqual(self.workers["anyio"], anyio.run(tokens))

    def test_start_methods_are_the_librarys_and_its_default_is_the_first(self) -> None:
        methods = engines.start_methods()
        self.assertEqual(sorted(methods), sorted(multiprocessing.get_all_start_methods()))
        self.assertEqual(methods[0], multiprocessing.get_context().get_start_method())

    def test_what_needs_a_newer_interpreter_says_so(self) -> None:
        for name, needed in ("TaskGroup", (3, 11)), ("InterpreterPoolExecutor", (3, 14)):
            if sys.version_info >= needed:
                self.assertIn(name, self.workers)
            else:
                words = "it needs CPython {}.{}, and this is {}.{}".format(*needed, *sys.version_info[:2])
                self.assertEqual(self.absent[name], words)

    def test_uvloop_is_offered_where_it_is_among_the_event_loops(self) -> None:
        self.assertEqual(engines.event_loops()[0], "asyncio")
        self.assertEqual(len(engines.event_loops()) > 1, "uvloop" in self.workers)

    def test_every_engine_has_a_model(self) -> None:
        models = {engines.model(name) for name in [*self.workers, *self.absent]}
        pure = {"sequential", "threads", "async", "sharded-async", "processes", "interpreters"}
        all_models = {*pure, "async+threads", "async+processes", "cluster"}
        self.assertEqual(models, all_models)


class Workers(unittest.TestCase):
    def test_nothing_is_imported_that_interpreters_beside_the_main_one_refuse(self) -> None:
        # `faulthandler` refuses them in CPython 3.14.
        code = "import conbench_agent.worker, sys; print('faulthandler' in sys.modules)"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        self.assertEqual(told.stdout, "False\n")


class Numbers(Step):
    def blocking(self, index: int, item: object) -> Done:
        return index, None


class SequentialEngine(unittest.TestCase):
    def test_each_task_runs_once_and_in_order(self) -> None:
        task = Task([Numbers()], Payload(10, 10), seed=1)
        engine = Sequential(Job.parse(json.dumps(job([]))), task)
        sampler = Sampler(Settings(Batch(20), 5, engine.slots, engine.shards, 10**12, keep=20), 0)
        engine.run(sampler)
        self.assertEqual(list(sampler.kept), list(range(5, 25)))
        block = sampler.finish(1, "timed", Usage())
        references = [sum(task.reference(index)) for index in range(5, 25)]
        self.assertEqual((block["tasks"], block["checksum"]), (20, sum(references) % 2**64))
        engine.close()


class Meter(unittest.TestCase):
    def test_usages_add_and_subtract_field_by_field(self) -> None:
        self.assertEqual(Usage(1, 2, 3, 4).plus(Usage(10, 20, 30, 40)), Usage(11, 22, 33, 44))
        self.assertEqual(Usage(5, 5, 5, 5).since(Usage(1, 9, 5, 4)), Usage(4, 0, 0, 1))

    def test_a_live_process_has_a_clock_and_one_that_is_gone_none(self) -> None:
        before = usage()
        with multiprocessing.Pool(1) as pool:
            pool.apply(sum, (range(100_000),))
            [worker] = pool._pool  # type: ignore[attr-defined]
            self.assertGreater(live([worker.pid]).user_ns, 0)
            pool.close()
            pool.join()
        self.assertEqual(live([worker.pid]), Usage())
        self.assertGreater(usage().since(before).user_ns + usage().since(before).system_ns, 0)


if __name__ == "__main__":
    unittest.main()
