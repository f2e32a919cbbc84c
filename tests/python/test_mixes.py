"""asyncio with an executor, on real loops with real threads and processes."""

from __future__ import annotations

import threading
import unittest
from typing import Optional

from conbench_agent.engines.base import Engine
from conbench_agent.protocol import Failure, Payload
from conbench_agent.task import Step, Task
from loop_steps import Awaits, Blocks, figures, make, run


class WithThreads(unittest.TestCase):
    def engine(self, *steps: Step, workers: int = 2, payload: Optional[Payload] = None) -> Engine:
        engine = make("asyncio+ThreadPoolExecutor", list(steps), 4, workers, payload)
        self.addCleanup(engine.close)
        return engine

    def test_what_blocks_leaves_the_loop_and_the_rest_stays(self) -> None:
        first, middle, last = Awaits(), Blocks(), Awaits()
        engine = self.engine(first, middle, last)
        self.assertEqual(figures(run(engine, batch=20))["checksum"], sum(index % 16 * 1002 for index in range(20)))
        self.assertEqual({*first.threads, *last.threads}, {"MainThread"})
        self.assertNotIn("MainThread", middle.threads)

    def test_only_as_many_block_as_there_are_workers(self) -> None:
        inside, most = 0, 0
        lock = threading.Lock()

        def enter(index: int) -> None:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.001)
            with lock:
                inside -= 1

        before = Awaits()
        block = figures(run(self.engine(before, Blocks(enter), workers=2), most_tasks=20))
        self.assertEqual((block["tasks"], most), (20, 2))

    def test_all_threads_are_there_when_it_is_warm(self) -> None:
        before = set(threading.enumerate())
        engine = self.engine(Blocks(), workers=7)
        engine.warm()
        self.assertEqual(len(set(threading.enumerate()) - before), 7)

    def test_it_adds_up_to_what_the_task_does(self) -> None:
        payload = Payload(100, 9)
        steps = [Blocks(lambda index: -index), Awaits(), Blocks(lambda index: 2 * index)]
        task = Task(steps, payload, seed=1)
        expected = []
        for index in range(5, 25):
            with_output = task.received((task.hand_back(index), ()))
            expected.append(index % 16 * 2001 + task.take_payload(index, task.given(index)) + with_output)
        for batch in (None, 20):
            sampler = run(self.engine(*steps, payload=payload), batch, most_tasks=20, first_index=5, keep=1)
            self.assertEqual(figures(sampler)["checksum"], sum(expected) % 2**64)
            self.assertEqual(sampler.kept[5], (bytes([6]) * 9, (-5, None, 10)))

    def test_a_failure_on_a_thread_is_the_answer(self) -> None:
        def fail(index: int) -> None:
            if index == 3:
                raise Failure("task", "bad item 3", "step 1 (python)")

        for batch in (None, 9):
            with self.assertRaises(Failure) as raised:
                figures(run(self.engine(Blocks(fail)), batch))
            self.assertEqual(raised.exception.message, "bad item 3")


if __name__ == "__main__":
    unittest.main()
