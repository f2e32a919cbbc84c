"""asyncio, TaskGroup and uvloop, on real loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import sys
import time
import unittest
from importlib.util import find_spec
from typing import Any, Awaitable, Callable, List, Optional

from conbench_agent.engines.base import Engine
from conbench_agent.protocol import Failure, Payload
from conbench_agent.task import Step, Task
from loop_steps import Awaits, Blocks, figures, make, run
from support import AgentProcess, job
from user_support import FIXTURES


async def forever() -> None:
    await asyncio.Event().wait()


class Loops:
    """Hides from the loader of tests what holds for each of them."""

    class Test(unittest.TestCase):
        name = ""

        def engine(self, *steps: Step, in_flight: int = 4, payload: Optional[Payload] = None) -> Engine:
            engine = make(self.name, list(steps), in_flight, payload=payload)
            self.addCleanup(engine.close)
            return engine

        def failure(self, body: Callable[[int], Awaitable[object]], batch: Optional[int] = None) -> Failure:
            """Why a block fails whose tasks do this; nothing is printed."""
            engine = self.engine(Awaits(body))
            with contextlib.redirect_stderr(io.StringIO()) as printed, self.assertRaises(Failure) as raised:
                figures(run(engine, batch))
            self.assertEqual(printed.getvalue(), "")
            return raised.exception

        def test_a_closed_load_keeps_as_many_in_flight_as_it_may(self) -> None:
            step = Awaits()
            block = figures(run(self.engine(step, in_flight=5)))
            self.assertEqual(step.most_inside, 5)
            self.assertEqual(block["checksum"], sum(index % 16 for index in range(block["tasks"])))
            self.assertGreater(block["tasks"], 5)

        def test_a_batch_runs_all_its_tasks_within_the_bound(self) -> None:
            step = Awaits()
            block = figures(run(self.engine(step, in_flight=3), batch=40))
            self.assertEqual((block["tasks"], step.most_inside), (40, 3))
            self.assertEqual(block["checksum"], sum(index % 16 for index in range(40)))

        def test_a_limit_ends_a_closed_load(self) -> None:
            for most_tasks in (1, 3, 4, 50):
                block = figures(run(self.engine(Awaits()), most_tasks=most_tasks))
                self.assertEqual(block["tasks"], most_tasks)

        def test_without_tasks_a_block_ends(self) -> None:
            engine = self.engine(Awaits())
            for batch in (None, 0):
                self.assertEqual(figures(run(engine, batch, most_tasks=0))["tasks"], 0)

        def test_blocks_follow_one_another_on_one_loop(self) -> None:
            loops = set()

            async def note_loop(index: int) -> None:
                loops.add(asyncio.get_running_loop())

            engine = self.engine(Awaits(note_loop))
            for batch in (1, 4, None, 7, None):
                run(engine, batch, most_tasks=30)
            self.assertEqual(len(loops), 1)
            self.assertFalse(loops.pop().get_debug())

        def test_payload_and_results_are_those_of_the_task(self) -> None:
            async def double(index: int) -> int:
                return 2 * index

            payload = Payload(100, 9)
            engine = self.engine(Awaits(double), payload=payload)
            task = Task([Awaits(double)], payload, seed=1)
            for batch in (None, 20):
                sampler = run(engine, batch, most_tasks=20, first_index=3, keep=2)
                expected = sum(
                    index % 16
                    + task.take_payload(index, task.given(index))
                    + task.received((task.hand_back(index), ()))
                    for index in range(3, 23)
                )
                self.assertEqual(figures(sampler)["checksum"], expected % 2**64)
                self.assertEqual(sampler.kept[4], (bytes([5]) * 9, (8,)))

        def test_ten_thousand_in_flight(self) -> None:
            step = Awaits(lambda index: asyncio.sleep(0.001))
            figures(run(self.engine(step, in_flight=10_000), batch=10_000))
            self.assertEqual(step.most_inside, 10_000)
            block = figures(run(self.engine(step, in_flight=10_000), most_tasks=10_001))
            self.assertEqual(block["tasks"], 10_001)

        def test_between_blocks_nothing_runs(self) -> None:
            turns = 0

            async def turn() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            async def begin(index: int) -> None:
                if index == 0:
                    kept.append(asyncio.ensure_future(turn()))
                await asyncio.sleep(0)

            kept: List[Any] = []
            engine = self.engine(Awaits(begin))
            run(engine, batch=5)
            before = turns
            time.sleep(0.01)
            self.assertEqual(turns, before)
            run(engine, batch=5, first_index=5)
            self.assertGreater(turns, before)

        def test_a_step_without_an_async_form_blocks_the_loop(self) -> None:
            step = Blocks()
            engine = self.engine(step)
            self.assertEqual(figures(run(engine, batch=5))["tasks"], 5)
            self.assertEqual(set(step.threads), {"MainThread"})

        def test_the_heartbeat_beats_in_memory_blocks(self) -> None:
            engine = self.engine(Blocks(lambda index: time.sleep(0.002)), in_flight=1)
            self.assertGreater(figures(run(engine, most_tasks=5, kind="memory"))["longest_stall_ns"], 0)
            self.assertNotIn("longest_stall_ns", figures(run(engine, most_tasks=5)))
            self.assertEqual(engine.left_behind(), [])

        def test_a_failure_is_the_answer_at_once(self) -> None:
            async def fail(index: int) -> None:
                if index == 3:
                    raise Failure("task", "bad item 3", "step 1 (python)")
                await asyncio.sleep(0 if index < 2 else 3600)

            for batch in (None, 9):
                failure = self.failure(fail, batch)
                self.assertEqual((failure.message, failure.where), ("bad item 3", "step 1 (python)"))

        def test_whatever_a_task_raises_is_a_failure(self) -> None:
            for error in (asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt(), KeyError("unforeseen")):

                async def fail(index: int, error: BaseException = error) -> None:
                    if index == 2:
                        raise error
                    await asyncio.sleep(0)

                for batch in (None, 9):
                    self.assertIn(type(error).__name__, self.failure(fail, batch).message)

        def test_what_a_callback_raises_is_a_failure(self) -> None:
            async def call(index: int) -> None:
                asyncio.get_running_loop().call_soon(int, "no number")
                await asyncio.sleep(0)

            for batch in (None, 9):
                self.assertIn("ValueError: invalid literal", self.failure(call, batch).message)

        def test_what_a_task_raises_that_nobody_awaits_is_a_failure(self) -> None:
            async def fail() -> None:
                raise LookupError("nobody looks")

            async def leave(index: int) -> None:
                asyncio.ensure_future(fail())  # noqa: RUF006
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                gc.collect()

            self.assertIn("LookupError: nobody looks", self.failure(leave, batch=2).message)

        def test_tasks_left_behind_are_counted_by_name(self) -> None:
            async def leave(index: int) -> None:
                kept.append(asyncio.ensure_future(forever()))
                cancelled = asyncio.ensure_future(forever())
                await asyncio.sleep(0)
                cancelled.cancel()

            kept: List[Any] = []
            engine = self.engine(Awaits(leave))
            run(engine, batch=3)
            self.assertEqual(engine.left_behind(), [{"kind": "task", "name": "forever", "count": 3}])
            engine.close()
            self.assertTrue(all(task.cancelled() for task in kept))

        def test_a_task_that_will_not_end_does_not_hold_up_the_end(self) -> None:
            async def endless() -> None:
                while True:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(3600)

            async def leave(index: int) -> None:
                kept.append(asyncio.ensure_future(endless()))
                await asyncio.sleep(0)

            kept: List[Any] = []
            engine = self.engine(Awaits(leave))
            run(engine, batch=1)
            engine.close()
            self.assertFalse(kept[0].done())


class Asyncio(Loops.Test):
    name = "asyncio"


@unittest.skipUnless(sys.version_info >= (3, 11), "TaskGroup came with CPython 3.11")
class TaskGroup(Loops.Test):
    name = "TaskGroup"

    def test_a_failure_cancels_the_others(self) -> None:
        cancelled = []

        async def fail(index: int) -> None:
            if index == 3:
                raise Failure("task", "bad item 3")
            try:
                await forever()
            except asyncio.CancelledError:
                cancelled.append(index)
                raise

        self.assertEqual(self.failure(fail).message, "bad item 3")
        self.assertEqual(sorted(cancelled), [0, 1, 2])


@unittest.skipUnless(find_spec("uvloop"), "uvloop is not installed")
class Uvloop(Loops.Test):
    name = "uvloop"

    def test_the_loop_is_its_own(self) -> None:
        async def name_loop(index: int) -> str:
            return type(asyncio.get_running_loop()).__module__

        sampler = run(self.engine(Awaits(name_loop)), batch=1, keep=1)
        self.assertEqual(sampler.kept[0], (None, ("uvloop",)))


class InAnAgent(unittest.TestCase):
    def test_from_job_to_bye(self) -> None:
        with AgentProcess() as agent:
            hello = agent.receive()["hello"]
            for name in ("asyncio", "asyncio+ThreadPoolExecutor"):
                self.assertIn(name, [offer["engine"] for offer in hello["engines"]])
            agent.ask("job", job([], engine="asyncio", sizes={"in_flight": 8}))
            go = {"block": 1, "kind": "timed", "window_ns": 2_000_000, "first_index": 0}
            self.assertGreater(agent.ask("go", go)["tasks"], 8)
            self.assertEqual(agent.ask("bye", {})["left_behind"], [])
            self.assertEqual((agent.end(), agent.process.communicate()), (0, (b"", b"")))

    def test_what_the_users_code_leaves_behind_is_told(self) -> None:
        step = {"kind": "python", "path": str(FIXTURES), "check": "none", "async_function": "faults:leaves_task"}
        with AgentProcess() as agent:
            agent.receive()
            agent.ask("job", job([step], engine="asyncio", sizes={"in_flight": 3}))
            left = {"kind": "task", "name": "_left_task", "count": 4}
            self.assertEqual(agent.ask("bye", {})["left_behind"], [left], "one of the first task, and one a slot")
            self.assertEqual((agent.end(), agent.process.communicate()), (0, (b"", b"")))


if __name__ == "__main__":
    unittest.main()
