"""anyio on asyncio: what would block the loop goes through `anyio.to_thread.run_sync`, under a `CapacityLimiter`."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any, Optional, Tuple, cast

from ..protocol import Failure, Job
from ..task import MODULUS, Done, Task, first_failure
from .asyncio_tasks import AsyncioTasks, in_flight_of
from .patience import LEAVE_S
from .threads import entering, leaving, not_left


class WithAnyio(AsyncioTasks):
    """Moves what blocks to anyio's threads.

    These live as long as the task with which their loop was begun, which in a program is all of it: here a task stands
    for that, lest they be started anew in each block.
    """

    moves_blocking = True

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the loop; threads start as they are wanted."""
        super().__init__(task, in_flight_of(job, task))
        self._perform = task.tolerant(self._in_segments)
        self._workers = job.candidate.sizes.workers or 1
        self._own = threading.local()
        self._run_sync = import_module("anyio.to_thread").run_sync
        self._limiter: Any = None
        self._end: Optional[asyncio.Future[None]] = None
        self._root: Optional[asyncio.Task[None]] = None
        self._loop.run_until_complete(self._begin())

    def warm(self) -> None:
        """Starts the rest of the threads, and sets them up."""
        entered = self._in_each(entering(self._workers, self._enter))
        failure = first_failure(self._loop.run_until_complete(entered))
        if failure is not None:
            raise failure

    def leave(self) -> Optional[Failure]:
        """Tears down the loop and each thread."""
        return first_failure([super().leave(), self._leave_threads()])

    def close(self) -> None:
        """Ends the threads with the task that they live by, and the loop."""
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
        if not self._loop.is_closed():
            self._loop.run_until_complete(asyncio.sleep(0))
        super().close()

    def _leave_threads(self) -> Optional[Failure]:
        if not self._task.tears_down:
            return None
        left = self._in_each(leaving(self._workers, self._task))
        try:
            return first_failure(self._loop.run_until_complete(asyncio.wait_for(left, LEAVE_S)))
        except Exception:
            return not_left()

    async def _begin(self) -> None:
        self._end = self._loop.create_future()
        self._root = self._loop.create_task(_stand(self._end))
        self._limiter = import_module("anyio").CapacityLimiter(self._workers)
        # They are anyio's own: where a version has them not, threads end with each block.
        with suppress(ImportError, AttributeError):
            backend: Any = import_module("anyio._backends._asyncio")
            backend._root_task.set(self._root)
            # Idle ones leave after 10 s, and a parked agent idles longer.
            backend.WorkerThread.MAX_IDLE_TIME = float("inf")

    async def _in_each(self, call: Any) -> Any:
        return await asyncio.gather(*[self._run_sync(call, limiter=self._limiter) for _ in range(self._workers)])

    def _enter(self) -> None:
        if not hasattr(self._own, "is_ready"):
            self._task.enter_pool_thread()
            self._own.is_ready = True

    def _segment(self, number: int, index: int, given: object) -> Done:
        self._enter()
        return self._task.segment_blocking(number, index, given)

    async def _in_segments(self, index: int, given: object) -> Done:
        task = self._task
        checksum = task.take_payload(index, given)
        results: Tuple[object, ...] = ()
        for number, segment in enumerate(task.segments):
            if segment.is_async:
                done = await task.segment_async(number, index, given)
            else:
                done = await self._run_sync(self._segment, number, index, given, limiter=self._limiter)
            checksum, results = checksum + done[0], results + cast(Tuple[object, ...], done[1])
        return checksum % MODULUS, task.result(index, results)


async def _stand(end: asyncio.Future[None]) -> None:
    await end
