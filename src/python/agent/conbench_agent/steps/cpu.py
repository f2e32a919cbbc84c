"""`cpu`: computation."""

from __future__ import annotations

from typing import Optional

from ..protocol import Job, StepJob
from ..task import Done, Step
from . import Place
from .stage import Computation


class CpuStep(Step):
    """Computes on the calling thread; its async form computes on the event loop, which it blocks."""

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        del place  # Nothing is shared.
        self._computation = Computation(number, step_job.step, step_job.iterations, job.seed)

    def blocking(self, index: int, item: object) -> Done:
        """Computes."""
        return self._computation.blocking(index), None

    def prepare(self, index: Optional[int]) -> None:
        """Makes the inputs."""
        self._computation.prepare(index)
