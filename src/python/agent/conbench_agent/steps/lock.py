"""`lock`: a critical section under one lock that all tasks of the candidate share.

`threading.Lock` between threads, `asyncio.Lock` between tasks of an event loop, `multiprocessing.Lock` between
worker processes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ContextManager, Optional

from ..protocol import Job, StepJob
from ..task import Done, Step
from . import Place, label
from .ipc import WorkersLock, handed
from .on_loop import OnLoop
from .stage import make_stage

if TYPE_CHECKING:
    import asyncio


class LockStep(Step):
    """Waits or computes while it holds the lock."""

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        where = label(number, step_job)
        self._hold = make_stage(number, step_job.step["hold"], job, step_job, where)
        self.is_async = self._hold.is_async
        handles = handed(job, step_job, place, where)
        # An engine uses one form throughout: this lock or the one of its loop.
        self._lock: ContextManager[object] = (
            threading.Lock() if handles is None else WorkersLock(handles, number, job, where)
        )
        self._loop_lock = OnLoop(_loop_lock)

    def blocking(self, index: int, item: object) -> Done:
        """Holds the lock of threads or of workers."""
        with self._lock:
            return self._hold.blocking(index), None

    async def asynchronous(self, index: int, item: object) -> Done:
        """Holds the lock of the event loop."""
        async with self._loop_lock.get():
            return await self._hold.asynchronous(index), None

    def reference(self, index: int, item: object) -> int:
        """Its checksum, without a wait."""
        return self._hold.reference(index)

    def prepare(self, index: Optional[int]) -> None:
        """Makes the inputs of a computation."""
        self._hold.prepare(index)


def _loop_lock() -> asyncio.Lock:
    import asyncio

    return asyncio.Lock()
