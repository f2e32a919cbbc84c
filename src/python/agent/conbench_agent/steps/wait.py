"""`wait`: a device that answers on time, as precisely in every engine."""

from __future__ import annotations

from ..protocol import Job, StepJob
from ..task import Done, Step
from . import Place, label
from .stage import Wait


class WaitStep(Step):
    """Waits for an absolute deadline: `clock_nanosleep` on a thread, one timerfd on an event loop."""

    is_async = True

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        del job, place  # Nothing is shared, and nothing depends on the seed but the draws.
        self._wait = Wait(number, step_job, label(number, step_job))

    def blocking(self, index: int, item: object) -> Done:
        """Waits on the calling thread."""
        return self._wait.blocking(index), None

    async def asynchronous(self, index: int, item: object) -> Done:
        """Waits on the event loop."""
        return await self._wait.asynchronous(index), None

    def reference(self, index: int, item: object) -> int:
        """Its checksum, without a wait."""
        return self._wait.reference(index)
