"""asyncio: `create_task` with a bound on what is in flight, and `gather` over all tasks of a batch.

On asyncio's own event loop, or on uvloop's.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from typing import Any, Callable, Coroutine, Dict, Iterator, List, Optional, Set

from ..clock import now_ns
from ..protocol import Failure, Job
from ..sampler import Lane, Sampler
from ..task import Task
from .event_loop import EventLoopEngine, failure_of

#: The work of one task on the loop.
Work = Coroutine[Any, Any, None]


class AsyncioTasks(EventLoopEngine):
    """Spawns a task of the event loop for each task."""

    async def _closed(self, sampler: Sampler) -> None:
        if sampler.is_paced:
            await self._feed(sampler, self._loop.create_task)
            return
        drained = self._loop.create_future()

        def end(failure: Optional[Failure]) -> None:
            if not drained.done():
                drained.set_result(None)

        self._keep_in_flight(sampler, self._loop.create_task, end)
        await drained

    async def _batch(self, sampler: Sampler) -> None:
        if sampler.is_paced:
            await self._feed(sampler, self._loop.create_task)
            return
        await asyncio.gather(*self._bounded(sampler))

    def _keep_in_flight(
        self,
        sampler: Sampler,
        spawn: Callable[[Work], asyncio.Task[None]],
        end: Callable[[Optional[Failure]], None],
    ) -> None:
        """Spawns as many tasks as may be in flight; each that ends spawns the next in its place.

        Of all bounds that leave each task a task of the loop this one costs least: a coroutine that spawns them behind
        a semaphore has to be woken for every one. `end` is called when none is left, or with a failure.
        """
        perform, given, received = self._perform, self.given, self.received
        # The loop refers to its tasks only weakly.
        alive: Dict[Lane, asyncio.Task[None]] = {}

        async def run(lane: Lane, index: int, handed: object, submitted_ns: int) -> None:
            try:
                begin_ns = lane.begin()
                checksum, result = await perform(index, handed)
                checksum += received(result)
                lane.end(index, submitted_ns, begin_ns, now_ns(), (checksum, result))
                launch(lane)
            except BaseException as error:
                failure = failure_of(error)
                sampler.fail(failure)
                end(failure)

        def launch(lane: Lane) -> None:
            index = sampler.next()
            if index is not None:
                alive[lane] = spawn(run(lane, index, given(index), now_ns()))
                return
            if sampler.park(partial(launch, lane)):
                return
            alive.pop(lane, None)
            if not alive:
                end(None)

        for lane in self._lanes(sampler):
            launch(lane)

    async def _feed(self, sampler: Sampler, spawn: Callable[[Work], asyncio.Task[None]]) -> None:
        """Spawns a task whenever one may be in flight and the rate allows one; returns when each has ended."""
        perform, given, received = self._perform, self.given, self.received
        room = asyncio.Semaphore(self.slots)
        free = self._lanes(sampler)
        alive: Set[asyncio.Task[None]] = set()

        async def run(lane: Lane, index: int, handed: object, submitted_ns: int) -> None:
            try:
                begin_ns = lane.begin()
                checksum, result = await perform(index, handed)
                checksum += received(result)
                lane.end(index, submitted_ns, begin_ns, now_ns(), (checksum, result))
            except BaseException as error:
                sampler.fail(failure_of(error))
            finally:
                free.append(lane)
                room.release()

        while True:
            await room.acquire()
            index = await self._next(sampler)
            if index is None:
                break
            task = spawn(run(free.pop(), index, given(index), now_ns()))
            # The loop refers to its tasks only weakly.
            alive.add(task)
            task.add_done_callback(alive.discard)
        while alive and sampler.failure is None:
            await asyncio.wait(list(alive), return_when=asyncio.FIRST_COMPLETED)
        if sampler.failure is not None:
            raise sampler.failure

    def _bounded(self, sampler: Sampler) -> Iterator[Work]:
        """All tasks of a batch, each behind a semaphore that lets as many begin as may be in flight."""
        perform, given, received = self._perform, self.given, self.received
        bound = asyncio.Semaphore(self.slots)
        free = self._lanes(sampler)

        async def run(index: int, submitted_ns: int) -> None:
            await bound.acquire()
            try:
                if sampler.stopped:
                    return
                lane, handed = free.pop(), given(index)
                begin_ns = lane.begin()
                checksum, result = await perform(index, handed)
                checksum += received(result)
                lane.end(index, submitted_ns, begin_ns, now_ns(), (checksum, result))
                free.append(lane)
            except BaseException as error:
                failure = failure_of(error)
                sampler.fail(failure)
                raise failure from None
            finally:
                bound.release()

        for index in self._dealt(sampler):
            yield run(index, now_ns())

    def _lanes(self, sampler: Sampler) -> List[Lane]:
        """The lanes of this loop's slots."""
        return [sampler.lane(slot) for slot in range(self.slots)]

    def _dealt(self, sampler: Sampler) -> Iterator[int]:
        """The tasks of a batch that are this loop's."""
        return iter(sampler.next, None)

    async def _next(self, sampler: Sampler) -> Optional[int]:
        """The next task, when a rate allows one."""
        return await sampler.next_on_loop()


def in_flight_of(job: Job, task: Task) -> int:
    """Tasks in flight of a mix.

    Under a rate, one that begins with a step for a worker begins when a worker is free: what queues for them would
    begin whenever they are, and several at once.
    """
    sizes = job.candidate.sizes
    queues = job.rate is not None and bool(task.segments) and not task.segments[0].is_async
    return min(sizes.concurrency, sizes.workers or 1) if queues else sizes.concurrency


def on_asyncio(job: Job, task: Task) -> AsyncioTasks:
    """On asyncio's own loop."""
    return AsyncioTasks(task, job.candidate.sizes.concurrency)


def on_uvloop(job: Job, task: Task) -> AsyncioTasks:
    """On the loop of uvloop, which is a package of its own."""
    return AsyncioTasks(task, job.candidate.sizes.concurrency, import_module("uvloop").new_event_loop)
