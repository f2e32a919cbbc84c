"""Work inside a step: what a critical section or a queue's consumer does, and the steps `wait` and `cpu` themselves."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .. import clock
from ..protocol import Failure, Job, StepJob
from ..task import VARIANTS
from .kernels import Input, fold, input_seed


def checksum(number: int) -> int:
    """The checksum of a step that computes nothing."""
    return fold(0, number)


class Draws:
    """The durations that tasks draw."""

    def __init__(self, step_job: StepJob, where: str) -> None:
        """Those of the step's first table."""
        if not step_job.draws or not step_job.draws[0]:
            raise Failure("setup", "the job has no table of durations", where)
        self._table = step_job.draws[0]
        self._length = len(self._table)

    def at(self, index: int) -> int:
        """The duration of task `index`, in ns."""
        return self._table[index % self._length]


class Stage:
    """A precise wait or a computation, with a blocking and an async form. Each gives its checksum."""

    #: Whether `asynchronous` leaves the event loop free.
    is_async = False

    def blocking(self, index: int) -> int:
        """Does it on the calling thread."""
        raise NotImplementedError

    async def asynchronous(self, index: int) -> int:
        """Does it on an event loop, which a computation blocks."""
        return self.blocking(index)

    def reference(self, index: int) -> int:
        """Its checksum, without a wait."""
        return self.blocking(index)

    def prepare(self, index: Optional[int]) -> None:
        """Makes the inputs of every variant, or of task `index` alone."""


class Wait(Stage):
    """Waits for a device that answers on time: until now plus the task's draw."""

    is_async = True

    def __init__(self, number: int, step_job: StepJob, where: str) -> None:
        self._draws = Draws(step_job, where)
        self._checksum = checksum(number)

    def blocking(self, index: int) -> int:
        """Waits on the calling thread."""
        clock.wait_until(clock.now_ns() + self._draws.at(index))
        return self._checksum

    async def asynchronous(self, index: int) -> int:
        """Waits on the timer of the event loop."""
        await clock.timer().wait_until(clock.now_ns() + self._draws.at(index))
        return self._checksum

    def reference(self, index: int) -> int:
        """Its checksum, at once."""
        return self._checksum


class Computation(Stage):
    """A kernel with its inputs, one a variant, each made by the first task that needs it."""

    def __init__(self, number: int, cpu: Dict[str, Any], iterations: int, seed: int) -> None:
        self._cpu = cpu
        self._iterations = iterations
        self._seeds = [input_seed(seed, number, variant) for variant in range(VARIANTS)]
        self._inputs: List[Optional[Input]] = [None] * VARIANTS

    def blocking(self, index: int) -> int:
        """Computes."""
        variant = index % VARIANTS
        return (self._inputs[variant] or self._make(variant)).run(self._seeds[variant], self._iterations)

    def prepare(self, index: Optional[int]) -> None:
        """Makes the inputs of every variant, or of task `index` alone."""
        for variant in range(VARIANTS) if index is None else [index % VARIANTS]:
            if self._inputs[variant] is None:
                self._make(variant)

    def _make(self, variant: int) -> Input:
        # Should two threads make it at once, one of two equal inputs stays.
        made = self._inputs[variant] = Input(self._cpu, self._seeds[variant])
        return made


def make_stage(number: int, work: Dict[str, Any], job: Job, step_job: StepJob, where: str) -> Stage:
    """The stage that `work` describes, inside step `number`."""
    if work["kind"] == "wait":
        return Wait(number, step_job, where)
    return Computation(number, work, step_job.iterations, job.seed)
