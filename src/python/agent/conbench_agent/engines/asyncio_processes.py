"""asyncio, and worker processes for what would block its loop: `run_in_executor` on a ProcessPoolExecutor.

Each run of steps that have no async form leaves the loop as one call; the others stay on it. A task begins and ends on
the loop, so that to cross, and to wait for a worker, is part of its time, as it is in a program that awaits the call.
"""

from __future__ import annotations

from typing import List, Optional, Tuple, cast

from .. import meter, worker
from ..meter import Usage
from ..protocol import Failure, Job
from ..task import MODULUS, Done, Result, Task, first_failure
from .asyncio_tasks import AsyncioTasks, in_flight_of
from .process_executor import ProcessPool


class WithProcesses(AsyncioTasks):
    """Moves what blocks to the worker processes of a pool."""

    crosses = True
    moves_blocking = True

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the pool, and then the loop: a process that is forked inherits none."""
        self._pool = ProcessPool(job, task)
        self._children_ns = 0
        try:
            # Any call starts the workers: under `fork` all of them, else the first.
            self._pool.executor.submit(int).result()
        except Exception as error:
            raise self._pool.failure([0], error) from error
        super().__init__(task, in_flight_of(job, task))
        self._perform = task.tolerant(self._in_segments)

    def get_ready(self) -> None:
        """Starts the workers, and sets them up."""
        self._pool.get_ready(0)

    def warm(self) -> None:
        """Lets each worker make ahead what its tasks need."""
        self._pool.get_ready(None)

    def pids(self) -> List[int]:
        """The workers and the processes that help them."""
        return self._pool.pids()

    def workers_usage(self) -> Usage:
        """What these processes used so far, and the programs that tasks started in them."""
        return self._pool.usage().plus(meter.of_children(self._children_ns))

    def leave(self) -> Optional[Failure]:
        """Tears down the loop and each worker."""
        return first_failure([super().leave(), self._pool.leave()])

    def close(self) -> None:
        """Ends the loop and the workers."""
        super().close()
        self._pool.close()

    def abandon(self) -> None:
        """Ends the workers without a word."""
        self._pool.abandon()

    async def _in_segments(self, index: int, given: object) -> Done:
        task, checksum = self._task, 0
        output: Optional[bytes] = None
        results: Tuple[object, ...] = ()
        # The payload crosses once, with the first segment that leaves the loop.
        carries_payload = True
        for number, segment in enumerate(task.segments):
            if segment.is_async:
                added, found = await task.segment_async(number, index, given)
                results += cast(Tuple[object, ...], found)
            else:
                added, handed_back = await self._in_worker(number, index, given, carries_payload)
                if carries_payload:
                    output = handed_back[0]
                results += handed_back[1]
                carries_payload = False
            checksum += added
        if carries_payload:
            checksum += task.take_payload(index, given)
            output = task.hand_back(index)
        return checksum % MODULUS, None if output is None and not results else (output, results)

    async def _in_worker(self, number: int, index: int, given: object, carries_payload: bool) -> Tuple[int, Result]:
        handed = self._task.handed_to_segment(number, given, carries_payload)
        try:
            _, _, checksum, handed_back, children_ns = await self._loop.run_in_executor(
                self._pool.executor, worker.run_segment, number, index, handed, carries_payload
            )
        except Exception as error:
            raise self._pool.failure([index], error) from error
        self._children_ns += children_ns
        return checksum, cast(Result, handed_back)
