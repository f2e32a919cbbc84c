"""asyncio, and threads for what would block its loop: `run_in_executor` on a ThreadPoolExecutor.

Each run of steps that have no async form leaves the loop as one call; the others stay on it. A task begins and ends on
the loop, so that to wait for a thread is part of its time, as it is in a program that awaits the call.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Optional, Tuple, cast

from ..protocol import Failure, Job
from ..task import MODULUS, Done, Task, first_failure
from .asyncio_tasks import AsyncioTasks, in_flight_of
from .threads import leave_threads


class WithThreads(AsyncioTasks):
    """Moves what blocks to the threads of a pool."""

    moves_blocking = True

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the loop, and the pool, which starts its threads as they are wanted."""
        super().__init__(task, in_flight_of(job, task))
        self._perform = task.tolerant(self._in_segments)
        self._workers = job.candidate.sizes.workers or 1
        self._pool = ThreadPoolExecutor(self._workers, initializer=task.enter_pool_thread)

    def warm(self) -> None:
        """Starts the rest of the threads: the pool starts one only when none is idle."""
        everyone = threading.Barrier(self._workers)
        for call in [self._pool.submit(everyone.wait) for _ in range(self._workers)]:
            call.result()

    def leave(self) -> Optional[Failure]:
        """Tears down the loop and each thread."""
        return first_failure([super().leave(), leave_threads(self._pool, self._workers, self._task)])

    def close(self) -> None:
        """Ends the loop and the pool, but for a thread that is still in a call of the user's."""
        super().close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_segments(self, index: int, given: object) -> Done:
        task = self._task
        checksum = task.take_payload(index, given)
        results: Tuple[object, ...] = ()
        for number, segment in enumerate(task.segments):
            if segment.is_async:
                done = await task.segment_async(number, index, given)
            else:
                done = await self._loop.run_in_executor(self._pool, task.segment_blocking, number, index, given)
            checksum, results = checksum + done[0], results + cast(Tuple[object, ...], done[1])
        return checksum % MODULUS, task.result(index, results)
