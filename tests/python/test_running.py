"""A candidate's blocks, in this process."""

from __future__ import annotations

import json
import unittest
from typing import Any, List
from unittest import mock

from conbench_agent import engines, steps
from conbench_agent.engines.sequential import Sequential
from conbench_agent.protocol import Go, Job, Payload
from conbench_agent.running import Running, ramp_ns
from conbench_agent.task import Task
from fake_steps import Echo
from support import job

GO = Go(block=1, kind="timed", window_ns=1_000_000, first_index=0)


class Elsewhere(Sequential):
    """An engine whose tasks run elsewhere, it says."""

    crosses = True


class Noted(Task):
    """A task that notes for what it was prepared."""

    def __init__(self) -> None:
        super().__init__([Echo()], Payload(100, 10), seed=1)
        self.prepared: List[Any] = []

    def prepare(self, index: Any, loop_only: bool = False) -> None:
        self.prepared.append((index, loop_only))


def running(engine: str = "sequential", kind: Any = Sequential) -> Running:
    described = Job.parse(json.dumps(job([], engine=engine)))
    task = Noted()
    with mock.patch.object(steps, "build", return_value=task), mock.patch.object(engines, "build", kind):
        return Running(described)


class Blocks(unittest.TestCase):
    def test_a_memory_block_of_what_crosses_tells_the_cost_of_pickling(self) -> None:
        for kind, tells in (Elsewhere, True), (Sequential, False):
            candidate = running(kind=kind)
            candidate.first_tasks(0)
            self.assertNotIn("serialisation", candidate.block(GO))
            block: Any = candidate.block(GO._replace(kind="memory"))
            self.assertEqual("serialisation" in block, tells)
            if tells:
                self.assertGreater(block["serialisation"]["bytes_per_task"], 110)
                self.assertGreater(block["serialisation"]["ns_per_task"], 0)

    def test_a_verify_block_runs_as_many_tasks_as_it_is_asked_for(self) -> None:
        candidate = running(kind=Elsewhere)
        self.assertEqual(len(_results(candidate, GO._replace(kind="verify"))), 16)
        self.assertEqual(_results(candidate, GO._replace(kind="verify", most_tasks=3, first_index=4)), [104, 100, 101])

    def test_the_agent_prepares_what_it_runs_itself(self) -> None:
        for engine, prepared in [
            ("ThreadPoolExecutor", [(0, False), (None, False)]),
            ("asyncio+ProcessPoolExecutor", [(0, True), (None, True)]),
            ("ProcessPoolExecutor", []),
            ("InterpreterPoolExecutor", []),
        ]:
            candidate = running(engine)
            candidate.first_tasks(0)
            self.assertEqual(getattr(candidate._task, "prepared"), prepared, engine)  # noqa: B009

    def test_ramps_spread_over_the_time_of_a_task(self) -> None:
        ramps = sorted(ramp_ns(block, 1000, None) for block in range(100))
        self.assertTrue(all(low < high <= low + 20 for low, high in zip(ramps, ramps[1:])), ramps)
        self.assertGreaterEqual(ramps[0], 1000)
        self.assertLess(ramps[-1], 2000)


def _results(candidate: Running, go: Go) -> Any:
    return candidate.block(go)["results"]


if __name__ == "__main__":
    unittest.main()
