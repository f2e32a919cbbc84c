"""Threads of a library's pool, each of which records what it runs in a lane of its own."""

from __future__ import annotations

import threading
from itertools import count
from time import monotonic_ns
from typing import Any, Callable, List, Optional

from ..protocol import Failure, Job
from ..sampler import Sampler
from ..task import Task, first_failure
from .base import Engine
from .patience import LEAVE_S
from .threads import entering, leaving, not_left


class NumberedThreads(Engine):
    """As many threads as there are workers."""

    def __init__(self, job: Job, task: Task) -> None:
        """Starts nothing."""
        self.slots = self.shards = job.candidate.sizes.workers or 1
        self._task = task
        self._own = threading.local()
        self._numbers = count()

    def warm(self) -> None:
        """Starts the rest of the threads, and sets them up."""
        failure = first_failure(self._in_each(entering(self.slots, self._enter)))
        if failure is not None:
            raise failure

    def leave(self) -> Optional[Failure]:
        """Tears down each thread."""
        if not self._task.tears_down:
            return None
        try:
            return first_failure(self._in_each(leaving(self.slots, self._task), LEAVE_S))
        except Exception:
            return not_left()

    def _in_each(self, call: Callable[[], Any], timeout_s: Optional[float] = None) -> List[Any]:
        """What as many calls as there are threads return, of which each waits for all others."""
        raise NotImplementedError

    def _enter(self) -> None:
        """Gives the calling thread a number, once, and sets it up for the user's code."""
        if not hasattr(self._own, "slot"):
            self._own.slot = next(self._numbers) % self.slots
            self._task.enter_pool_thread()

    def _runner(self, sampler: Sampler) -> Callable[[int, int], None]:
        """What the pool is given: runs a task and records it."""
        task, own, enter = self._task, self._own, self._enter
        lanes = [sampler.lane(slot) for slot in range(self.slots)]

        def run(index: int, submitted_ns: int) -> None:
            try:
                try:
                    lane = lanes[own.slot]
                except AttributeError:  # The thread is new.
                    enter()
                    lane = lanes[own.slot]
                given = task.given(index)
                begin_ns = lane.begin()
                checksum, result = task.blocking(index, given)
                checksum += task.received(result)
                lane.end(index, submitted_ns, begin_ns, monotonic_ns(), (checksum, result))
            except BaseException as error:
                sampler.fail(error)

        return run
