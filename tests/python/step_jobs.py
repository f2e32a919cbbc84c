"""Jobs and tasks of single steps, and the checks that every step must pass."""

from __future__ import annotations

import asyncio
import json
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Iterator, List

import support
from conbench_agent import steps
from conbench_agent.protocol import Job
from conbench_agent.task import DRAWS, VARIANTS, Task

try:
    import uvloop  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    NEW_LOOPS = [asyncio.new_event_loop, asyncio.new_event_loop]
else:
    NEW_LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]

WAIT = {"kind": "wait", "time": {"distribution": "fixed", "time_ns": 50_000}}


def cpu(kernel: str = "sort", input_bytes: int = 800) -> Dict[str, Any]:
    """A small computation."""
    return {"kind": "cpu", "kernel": kernel, "input_bytes": input_bytes}


def job(*descriptions: Dict[str, Any], draw_ns: int = 50_000, iterations: int = 1, **fields: Any) -> Job:
    """A job of these steps, each of which draws the same short time."""
    whole = support.job([], **{"seed": 7, **fields})
    whole["steps"] = [{"step": step, "iterations": iterations, "draws": [[draw_ns] * DRAWS]} for step in descriptions]
    return Job.parse(json.dumps(whole))


def in_agent(of: Job) -> Task:
    """The task of a job in the agent."""
    return steps.build(of, steps.Place.agent())


def expected(task: Task) -> List[int]:
    """The checksum of each variant."""
    return [sum(task.reference(index)) % 2**64 for index in range(VARIANTS)]


async def end_others() -> None:
    """Ends the consumers and partners that live on this loop, as an engine does."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class StepCase(unittest.TestCase):
    """A test of steps."""

    def directory(self) -> str:
        """A directory that is removed after the test."""
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        return made.name

    def check_forms(self, of: Job) -> None:
        """Checks both forms of a task, alone and many at once, against its reference for every variant."""
        task = in_agent(of)
        self.addCleanup(task.close)
        sums = expected(task)

        def blocking(index: int) -> int:
            return task.blocking(index, None)[0]

        async def asynchronous() -> List[int]:
            done = await asyncio.gather(*[task.asynchronous(index, None) for index in range(40)])
            return [checksum for checksum, _ in done]

        expect = [sums[index % VARIANTS] for index in range(40)]
        self.assertEqual([blocking(index) for index in range(40)], expect)
        with ThreadPoolExecutor(4) as pool:
            self.assertEqual(list(pool.map(blocking, range(40))), expect)
        # Each loop gets locks, consumers and partners of its own.
        for new_loop in NEW_LOOPS:
            loop = new_loop()
            try:
                self.assertEqual(loop.run_until_complete(asynchronous()), expect)
            finally:
                loop.run_until_complete(end_others())
                loop.close()


def every_description(directory: str) -> Iterator[Job]:
    """A job of each kind of step that needs no other side."""
    for description in [
        cpu(),
        WAIT,
        {**WAIT, "kind": "sleep"},
        {"kind": "file", "operation": "read", "size_bytes": 1000, "fsync": False},
        {"kind": "lock", "hold": WAIT},
        {"kind": "lock", "hold": cpu()},
        {"kind": "queue", "capacity": 1, "stage": WAIT},
        {"kind": "queue", "capacity": 1, "stage": cpu()},
        {"kind": "event", "round_trips": 1},
        {"kind": "command", "argv": ["true"], "expect_status": 0},
    ]:
        yield job(description, directory=directory)
