"""`sleep`: the runtime's own sleep, with the precision that it has."""

from __future__ import annotations

from .. import clock
from ..protocol import Job, StepJob
from ..task import Done, Step
from . import Place, label
from .stage import Draws, checksum


class SleepStep(Step):
    """`time.sleep` with a thread's default slack; `asyncio.sleep` on an event loop."""

    is_async = True

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        del job, place  # Nothing is shared, and nothing depends on the seed but the draws.
        self._draws = Draws(step_job, label(number, step_job))
        self._done: Done = checksum(number), None

    def blocking(self, index: int, item: object) -> Done:
        """Sleeps on the calling thread."""
        clock.sleep_with_default_slack(self._draws.at(index))
        return self._done

    async def asynchronous(self, index: int, item: object) -> Done:
        """Sleeps on the event loop."""
        # asyncio takes long to import, and only event loops need it; they have imported it.
        import asyncio

        await asyncio.sleep(self._draws.at(index) / 1e9)
        return self._done

    def reference(self, index: int, item: object) -> int:
        """Its checksum, without a sleep."""
        return self._done[0]
