"""trio: `start_soon` in a nursery, with a bound on what is in flight.

What is awaited is the user's own code for trio. One that needs asyncio fails here, as it does in a program on trio.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, List, Optional

from ..clock import now_ns
from ..protocol import Failure, Job
from ..sampler import Lane, Sampler
from ..task import Task
from .base import HEARTBEAT_NS, Engine


class TrioTasks(Engine):
    """One `trio.run` for each block: trio has no loop that outlives it."""

    def __init__(self, job: Job, task: Task) -> None:
        """Starts nothing."""
        self.slots = job.candidate.sizes.concurrency
        self._task = task
        self._trio: Any = import_module("trio")

    def run(self, sampler: Sampler) -> None:
        """Runs one block, until its last task has ended, or its first one has failed."""
        self._task.enter_thread()
        try:
            self._trio.run(self._block, sampler)
        except Exception as error:
            sampler.fail(_first(error))

    def leave(self) -> Optional[Failure]:
        """Tears down the main thread."""
        return self._task.leave_thread()

    async def _block(self, sampler: Sampler) -> None:
        async with self._trio.open_nursery() as watching:
            if sampler.wants_heartbeat:
                watching.start_soon(self._beat, sampler)
            async with self._trio.open_nursery() as nursery:
                lanes = [sampler.lane(slot) for slot in range(self.slots)]
                if sampler.is_paced:
                    await self._feed(sampler, nursery, lanes)
                elif sampler.tasks is None:
                    self._keep_in_flight(sampler, nursery, lanes)
                else:
                    self._start_all(sampler, nursery, lanes)
            watching.cancel_scope.cancel()

    def _keep_in_flight(self, sampler: Sampler, nursery: Any, lanes: List[Lane]) -> None:
        """Starts as many tasks as may be in flight; each that ends starts the next in its place."""

        async def run(lane: Lane, index: int, handed: object, submitted_ns: int) -> None:
            if await self._do(sampler, nursery, lane, index, handed, submitted_ns):
                launch(lane)

        def launch(lane: Lane) -> None:
            index = sampler.next()
            if index is not None:
                nursery.start_soon(run, lane, index, self._task.given(index), now_ns())

        for lane in lanes:
            launch(lane)

    def _start_all(self, sampler: Sampler, nursery: Any, lanes: List[Lane]) -> None:
        """Starts all tasks of a batch, each behind a semaphore that lets as many begin as may be in flight."""
        free = self._trio.Semaphore(self.slots)

        async def run(index: int, submitted_ns: int) -> None:
            async with free:
                lane = lanes.pop()
                await self._do(sampler, nursery, lane, index, self._task.given(index), submitted_ns)
                lanes.append(lane)

        while (index := sampler.next()) is not None:
            nursery.start_soon(run, index, now_ns())

    async def _feed(self, sampler: Sampler, nursery: Any, lanes: List[Lane]) -> None:
        """Starts a task whenever one may be in flight and the rate allows one."""
        room = self._trio.Semaphore(self.slots)

        async def run(lane: Lane, index: int, handed: object, submitted_ns: int) -> None:
            try:
                await self._do(sampler, nursery, lane, index, handed, submitted_ns)
            finally:
                lanes.append(lane)
                room.release()

        while True:
            await room.acquire()
            index, at_ns = sampler.poll()
            while index is None and at_ns:
                await self._trio.sleep(max(at_ns - now_ns(), 0) / 1e9)
                index, at_ns = sampler.poll()
            if index is None:
                return
            nursery.start_soon(run, lanes.pop(), index, self._task.given(index), now_ns())

    async def _do(
        self, sampler: Sampler, nursery: Any, lane: Lane, index: int, handed: object, submitted_ns: int
    ) -> bool:
        """Does a task, and whether it was done: after a failure, nothing else goes on."""
        task = self._task
        try:
            begin_ns = lane.begin()
            checksum, result = await task.asynchronous(index, handed)
            checksum += task.received(result)
            lane.end(index, submitted_ns, begin_ns, now_ns(), (checksum, result))
            return True
        except self._trio.Cancelled:
            raise
        except BaseException as error:
            sampler.fail(_first(error))
            nursery.cancel_scope.cancel()
            return False

    async def _beat(self, sampler: Sampler) -> None:
        """Watches how late the loop is."""
        while True:
            deadline_ns = now_ns() + HEARTBEAT_NS
            try:
                await self._trio.sleep(HEARTBEAT_NS / 1e9)
            finally:
                # Cancelled at the end of the block, it may yet have been kept from a beat.
                late_ns = now_ns() - deadline_ns
                if late_ns > 0:
                    sampler.stalled(late_ns)


def _first(error: BaseException) -> BaseException:
    """The first error of a group of them."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]  # type: ignore[attr-defined]
    return error
