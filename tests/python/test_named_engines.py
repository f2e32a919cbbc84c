"""The engines that are raced where the user's code imports them, each in a real agent, with the real packages.

Where a package is missing, its cases are skipped; with CONBENCH_REQUIRE_ENGINES set, that is a failure.
"""

from __future__ import annotations

import os
import time
import unittest
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List, NamedTuple, Set, Tuple

import support
from support import AgentProcess
from test_worker_engines import CPU, GO, LOADS, of_session, python


class Case(NamedTuple):
    """An engine with small sizes, and the package that it needs."""

    engine: str
    package: str
    sizes: Dict[str, int]

    def job(self, *steps: Dict[str, Any], **fields: Any) -> Dict[str, Any]:
        return support.job(list(steps), engine=self.engine, sizes=self.sizes, **fields)


THREADS = [
    Case("multiprocessing.pool.ThreadPool", "multiprocessing", {"workers": 3}),
    Case("joblib+threading", "joblib", {"workers": 3}),
]
LOOPS = [Case("trio", "trio", {"in_flight": 3}), Case("gevent", "gevent", {"in_flight": 3})]
PROCESSES = [
    Case("loky", "loky", {"workers": 2, "chunk": 1}),
    Case("loky", "loky", {"workers": 2, "chunk": 3}),
    Case("joblib+loky", "joblib", {"workers": 2, "chunk": 1}),
    Case("joblib+loky", "joblib", {"workers": 2, "chunk": 3}),
    Case("joblib+loky+auto", "joblib", {"workers": 2}),
]
MIXES = [Case("anyio", "anyio", {"workers": 2, "in_flight": 4})]
EVERY = [*THREADS, *LOOPS, *PROCESSES, *MIXES]

SECOND = 10**9
IS_REQUIRED = "CONBENCH_REQUIRE_ENGINES" in os.environ


def workers_of(agent: AgentProcess) -> Tuple[Set[int], Set[str]]:
    """The processes below an agent, and its own threads."""
    return of_session(agent.process.pid), set(os.listdir(f"/proc/{agent.process.pid}/task"))


class NamedEngines(unittest.TestCase):
    def each(self, cases: List[Case], check: Callable[[Case], None]) -> None:
        missing: Set[str] = set()
        for case in cases:
            if find_spec(case.package) is None:
                self.assertFalse(IS_REQUIRED, f"the package {case.package} is missing")
                missing.add(case.package)
                continue
            with self.subTest(engine=case.engine, **case.sizes):
                check(case)
        if missing:
            self.skipTest("not here: " + ", ".join(sorted(missing)))

    def check_nothing_survives(self, agent: int) -> None:
        """Helpers end when they see that the agent did, which takes them a moment."""
        deadline = time.monotonic() + 20
        while of_session(agent) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(of_session(agent), set())

    def test_tasks_are_done_and_nothing_is_left(self) -> None:
        echo = python("unpicklable:task", items={"listed": [1, "a", None]})

        def check(case: Case) -> None:
            job = case.job(CPU, echo, payload={"input_bytes": 99, "output_bytes": 7})
            with AgentProcess() as one:
                one.receive()
                reference = one.ask("reference", {"job": job, "budget_ns": SECOND})
                ready = one.ask("job", job)
                self.assertNotIn("failed", ready)
                self.assertEqual(len(ready["pids"]), len(set(ready["pids"])))
                block = one.ask("go", {**GO, "first_index": 5})
                self.assertNotIn("failed", block)
                expected = sum(
                    table[index % 16] for table in reference["tables"] for index in range(5, 5 + block["tasks"])
                )
                self.assertEqual(block["checksum"], expected % 2**64)
                limited = one.ask("go", {**GO, "block": 2, "window_ns": 10**12, "most_tasks": 7})
                self.assertEqual(limited["tasks"], 7)
                verify = one.ask("go", {**GO, "kind": "verify", "first_index": 1, "most_tasks": 5})
                results = reference["results"]
                self.assertEqual(verify["results"], [results[index % 3] for index in range(1, 6)])
                memory = one.ask("go", {**GO, "kind": "memory", "most_tasks": 5})
                self.assertEqual("serialisation" in memory, case in PROCESSES)
                self.assertEqual(one.ask("bye", {})["left_behind"], [])
                self.assertEqual(one.end(), 0)
                self.check_nothing_survives(one.process.pid)
                self.assertEqual(one.process.communicate(), (b"", b""))

        self.each(EVERY, check)

    def test_workers_are_among_the_processes_and_their_computing_is_counted(self) -> None:
        def check(case: Case) -> None:
            job = case.job(CPU)
            job["steps"][0]["iterations"] = 200
            with AgentProcess() as one:
                one.receive()
                pids = one.ask("job", job)["pids"]
                self.assertTrue(of_session(one.process.pid) <= set(pids), pids)
                before = of_session(one.process.pid)
                block = one.ask("go", {**GO, "window_ns": 50_000_000})
                computed = block["usage"]["user_ns"] + block["usage"]["system_ns"]
                self.assertGreater(computed, block["busy_ns"] // 8)
                self.assertEqual(of_session(one.process.pid), before)
                one.ask("bye", {})

        self.each(PROCESSES, check)

    def test_a_batch_is_done_whole(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                job = case.job(CPU, load=LOADS[1])
                reference = one.ask("reference", {"job": job, "budget_ns": SECOND})
                self.assertNotIn("failed", one.ask("job", job))
                for number in range(2):
                    block = one.ask("go", {**GO, "block": number, "first_index": 3})
                    expected = sum(table[index % 16] for table in reference["tables"] for index in range(3, 13))
                    self.assertEqual((block["tasks"], block["checksum"]), (10, expected % 2**64))
                one.ask("bye", {})
                self.assertEqual(one.end(), 0)

        self.each(EVERY, check)

    def test_a_rate_holds(self) -> None:
        rate = {"tasks": 100, "period_ns": SECOND, "burst": 1}

        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                self.assertNotIn("failed", one.ask("job", case.job(CPU, rate=rate)))
                block = one.ask("go", {**GO, "window_ns": 200_000_000})
                # Of a bucket that was filled with one, no more than the rate gives in all of its time.
                self.assertLessEqual(block["tasks"], 1 + block["elapsed_ns"] * 100 // SECOND + 1)
                self.assertGreater(block["tasks"], 0)
                one.ask("bye", {})

        # joblib is left out where there is a rate.
        self.each([case for case in EVERY if case.package != "joblib" and case.sizes.get("chunk", 1) == 1], check)

    def test_a_task_that_raises_is_the_answer_and_nothing_hangs(self) -> None:
        step = python("worker_faults:raises_later", items={"listed": [0] * 5 + [1]})

        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                ready = one.ask("job", case.job(step))
                failed = ready if "failed" in ready else one.ask("go", {**GO, "window_ns": 10**12})
                self.assertEqual(failed["failed"]["kind"], "task", failed)
                self.assertIn("ValueError", failed["failed"]["message"])
                self.assertEqual(one.end(), 1)
                self.check_nothing_survives(one.process.pid)

        self.each(EVERY, check)

    def test_errors_are_counted_where_they_are_tolerated(self) -> None:
        step = python("worker_faults:raises_later", items={"listed": [0] * 3 + [1]})

        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                self.assertNotIn("failed", one.ask("job", case.job(step, tolerates_errors=True, load=LOADS[1])))
                block = one.ask("go", GO)
                self.assertEqual((block["tasks"], block["errors"]), (10, 2), block)
                one.ask("bye", {})
                self.assertEqual(one.end(), 0)

        self.each(EVERY, check)

    def test_each_thread_is_set_up_once_and_torn_down_once(self) -> None:
        step = python("named:needs_thread", setup_thread="named:enter", teardown_thread="named:leave")

        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                self.assertNotIn("failed", one.ask("job", case.job(step)))
                block = one.ask("go", GO)
                self.assertNotIn("failed", block)
                bye = one.ask("bye", {})
                self.assertNotIn("failed_teardown", bye)
                self.assertEqual(bye["left_behind"], [])

        self.each([*THREADS, *MIXES], check)

    def test_workers_and_threads_of_a_parked_agent_stay(self) -> None:
        """They would leave after 10 s by themselves, loky's and anyio's."""
        cases = [case for case in [*PROCESSES, *MIXES] if case.sizes.get("chunk", 1) == 1 and find_spec(case.package)]
        if not cases:
            self.skipTest("no package is here")
        with ExitStack() as stack:
            agents = [stack.enter_context(AgentProcess()) for _ in cases]
            for one, case in zip(agents, cases):
                one.receive()
                self.assertNotIn("failed", one.ask("job", case.job(CPU)))
                self.assertNotIn("failed", one.ask("go", GO))
            before = [workers_of(one) for one in agents]
            time.sleep(10.5)
            for one in agents:
                self.assertNotIn("failed", one.ask("go", GO))
            self.assertEqual([workers_of(one) for one in agents], before)
            # Killed without a word, loky leaves its semaphores behind.
            for one in agents:
                self.assertIn("teardown_ns", one.ask("bye", {}))

    def test_a_worker_that_dies_is_named(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                one.ask("job", case.job(python("named:dies_later", items={"listed": [0] * 9 + [1]})))
                failed = one.ask("go", {**GO, "window_ns": 10**12})["failed"]
                self.assertEqual(failed["kind"], "worker", failed)
                self.assertEqual(one.end(), 1)
                self.check_nothing_survives(one.process.pid)

        self.each(PROCESSES, check)

    def test_the_hub_and_the_loop_are_late_where_a_task_blocks_them(self) -> None:
        def check(case: Case) -> None:
            job = case.job(CPU)
            # Some 10 ms of computation.
            job["steps"][0]["iterations"] = 1000
            with AgentProcess() as one:
                one.receive()
                self.assertNotIn("failed", one.ask("job", job))
                block = one.ask("go", {**GO, "kind": "memory", "most_tasks": 10})
                self.assertGreater(block["longest_stall_ns"], block["busy_ns"] // block["tasks"] // 4)

        self.each(LOOPS, check)

    def test_blocking_waits_overlap_under_gevent(self) -> None:
        def check(case: Case) -> None:
            step = {"kind": "sleep", "time": {"fixed": {"time_ns": 10_000_000}}}
            job = case.job(step)
            job["steps"][0]["draws"] = [[10_000_000] * 1024]
            with AgentProcess() as one:
                one.receive()
                self.assertNotIn("failed", one.ask("job", job))
                block = one.ask("go", {**GO, "window_ns": 60_000_000})
                self.assertGreater(block["busy_ns"], block["window_ns"] * 2)

        self.each([LOOPS[1]], check)

    def test_async_code_for_trio_runs_and_asyncios_fails_in_words(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                self.assertNotIn(
                    "failed", one.ask("job", case.job(python("named:naps", async_function="named:naps_under_trio")))
                )
                self.assertNotIn("failed", one.ask("go", GO))
                one.ask("bye", {})
            with AgentProcess() as one:
                one.receive()
                failed = one.ask("job", case.job(python("named:naps", async_function="named:naps_under_asyncio")))
                self.assertIn("no running event loop", failed["failed"]["message"])

        self.each([LOOPS[0]], check)

    def test_the_reference_tells_what_the_users_code_imports(self) -> None:
        modules = {"multiprocessing": "multiprocessing.pool"}

        def check(case: Case) -> None:
            with TemporaryDirectory() as place, AgentProcess() as one:
                module = modules.get(case.package, case.package)
                Path(place, "users.py").write_text(f"import {module}\n\n\ndef task():\n    return 1\n")
                one.receive()
                job = support.job([{**python("users:task"), "path": place}])
                reference = one.ask("reference", {"job": job, "budget_ns": SECOND})
                self.assertIn(case.engine, reference["imported"])
            with AgentProcess() as one:
                one.receive()
                reference = one.ask(
                    "reference", {"job": support.job([python("unpicklable:task")]), "budget_ns": SECOND}
                )
                self.assertNotIn("imported", reference)

        self.each([case for case in EVERY if case.sizes.get("chunk", 1) == 1], check)

    def test_who_misses_its_package_says_so(self) -> None:
        with AgentProcess() as one:
            absent = {each["engine"]: each["reason"] for each in one.receive()["hello"]["absent"]}
        for case in EVERY:
            if find_spec(case.package) is None:
                self.assertEqual(absent[case.engine], f"the package {case.package} cannot be imported here")
            else:
                self.assertNotIn(case.engine, absent)


if __name__ == "__main__":
    unittest.main()
