"""One task after another on the main thread."""

from __future__ import annotations

from time import monotonic_ns
from typing import Optional

from ..protocol import Failure, Job
from ..sampler import Sampler
from ..task import Task
from .base import Engine


class Sequential(Engine):
    """A plain loop."""

    def __init__(self, job: Job, task: Task) -> None:
        """Needs nothing of the job."""
        self._task = task

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        task, lane = self._task, sampler.lane(0)
        task.enter_thread()
        while (index := sampler.next()) is not None:
            given = task.given(index)
            begin_ns = lane.begin()
            checksum, result = task.blocking(index, given)
            checksum += task.received(result)
            lane.end(index, begin_ns, begin_ns, monotonic_ns(), (checksum, result))
            # A result that lived on beside the next one would cost its memory: no other engine keeps it so long.
            result = None

    def leave(self) -> Optional[Failure]:
        """Tears down the main thread."""
        return self._task.leave_thread()
