"""`multiprocessing.pool.ThreadPool`: `apply_async`, with a backlog for the threads; `map` over a batch."""

from __future__ import annotations

from multiprocessing.pool import ThreadPool
from queue import SimpleQueue
from time import monotonic_ns
from typing import Any, Callable, List, Optional

from ..protocol import Job
from ..sampler import Sampler
from ..task import Task
from .numbered_threads import NumberedThreads
from .patience import end_in_time
from .threads import BACKLOG_PER_WORKER


class PoolOfThreads(NumberedThreads):
    """A pool of threads that looks like one of processes."""

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the pool, which starts its threads at once."""
        super().__init__(job, task)
        self._pool = ThreadPool(self.slots)

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        if sampler.tasks is None or sampler.is_paced:
            self._keep_submitted(sampler)
        else:
            calls = [(index, monotonic_ns()) for index in iter(sampler.next, None)]
            self._pool.starmap(self._runner(sampler), calls, chunksize=1)

    def close(self) -> None:
        """Ends the threads, but for one that is still in a call of the user's."""
        end_in_time(self._pool.terminate)

    def _keep_submitted(self, sampler: Sampler) -> None:
        """Submits a task for each that ends."""
        submit, run, take = self._pool.apply_async, self._runner(sampler), sampler.next
        outstanding = self.slots if sampler.is_paced else (1 + BACKLOG_PER_WORKER) * self.slots
        ended: SimpleQueue[object] = SimpleQueue()
        for _ in range(outstanding):
            ended.put(None)
        while True:
            ended.get()
            index = take()
            if index is None:
                break
            submit(run, (index, monotonic_ns()), callback=ended.put)
        for _ in range(outstanding - 1):
            ended.get()

    def _in_each(self, call: Callable[[], Any], timeout_s: Optional[float] = None) -> List[Any]:
        calls = [self._pool.apply_async(call) for _ in range(self.slots)]
        return [one.get(timeout_s) for one in calls]
