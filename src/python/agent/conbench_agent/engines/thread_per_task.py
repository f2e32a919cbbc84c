"""`Thread`: a thread started and joined for each task."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from time import monotonic_ns
from typing import Dict, Optional

from ..protocol import Failure, Job
from ..sampler import Lane, Sampler
from ..task import Task, first_failure
from .base import Engine


class ThreadPerTask(Engine):
    """The main thread starts a thread for each task while fewer than `in_flight` are alive."""

    def __init__(self, job: Job, task: Task) -> None:
        """Starts nothing yet."""
        self.slots = self.shards = job.candidate.sizes.concurrency
        self._task = task
        self._tears_down = task.tears_down
        #: The first teardown that failed.
        self._left: Optional[Failure] = None

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        task = self._task
        free: SimpleQueue[int] = SimpleQueue()
        alive: Dict[int, threading.Thread] = {}

        def run(slot: int, lane: Lane, index: int, submitted_ns: int) -> None:
            try:
                given = task.given(index)
                begin_ns = lane.begin()
                checksum, result = task.blocking(index, given)
                checksum += task.received(result)
                lane.end(index, submitted_ns, begin_ns, monotonic_ns(), (checksum, result))
            except BaseException as error:
                sampler.fail(error)
            finally:
                if self._tears_down:
                    self._left = first_failure([self._left, task.leave_thread()])
                free.put(slot)

        for slot in range(self.slots):
            free.put(slot)
        while True:
            slot = free.get()
            if slot in alive:
                alive.pop(slot).join()
            index = sampler.next()
            if index is None:
                break
            thread = threading.Thread(target=run, args=(slot, sampler.lane(slot), index, monotonic_ns()), daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                sampler.fail(Failure("setup", f"cannot start thread {len(alive) + 1} of {self.slots}: {error}"))
                break
            alive[slot] = thread
        for thread in alive.values():
            thread.join()

    def leave(self) -> Optional[Failure]:
        """Each thread was torn down when its task ended."""
        return self._left
