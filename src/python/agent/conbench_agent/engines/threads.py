"""`ThreadPoolExecutor`: the main thread submits, and keeps a backlog for the threads; by `map`, where it can."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from queue import SimpleQueue
from time import monotonic_ns
from typing import Any, Callable, Optional

from ..protocol import Failure, Job
from ..sampler import Sampler
from ..task import Task, first_failure
from .base import Engine, maps_lazily
from .patience import LEAVE_S, end_in_time

#: Tasks queued for each thread beyond the one it runs: with fewer, threads starve.
BACKLOG_PER_WORKER = 2


class ThreadPool(Engine):
    """A pool of threads."""

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the pool, which starts its threads as they are wanted."""
        self.slots = self.shards = job.candidate.sizes.workers or 1
        self._task = task
        self._own = threading.local()
        numbers = count()

        def number_thread() -> None:
            self._own.slot = next(numbers)
            task.enter_pool_thread()

        self._pool = ThreadPoolExecutor(self.slots, initializer=number_thread)

    def warm(self) -> None:
        """Starts the rest of the threads: the pool starts one only when none is idle."""
        everyone = threading.Barrier(self.slots)
        for call in [self._pool.submit(everyone.wait) for _ in range(self.slots)]:
            call.result()

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        if sampler.tasks is not None and not sampler.is_paced:
            self._submit_all(sampler)
        elif sampler.is_paced or not maps_lazily(ThreadPoolExecutor):
            self._keep_submitted(sampler)
        else:
            self._map_lazily(sampler)

    def leave(self) -> Optional[Failure]:
        """Tears down each thread."""
        return leave_threads(self._pool, self.slots, self._task)

    def close(self) -> None:
        """Ends the threads, but for one that is still in a call of the user's."""
        end_in_time(partial(self._pool.shutdown, cancel_futures=True))

    def _keep_submitted(self, sampler: Sampler) -> None:
        """Submits a task for each that ends.

        Of what a program may wait on (`wait`, a semaphore, this queue), the queue takes least of the time of the lock
        that the threads need: it is written in C.
        """
        submit, run, take = self._pool.submit, self._runner(sampler), sampler.next
        outstanding = self.slots if sampler.is_paced else (1 + BACKLOG_PER_WORKER) * self.slots
        ended: SimpleQueue[object] = SimpleQueue()
        for _ in range(outstanding):
            ended.put(None)
        while True:
            ended.get()
            index = take()
            if index is None:
                break
            submit(run, index, monotonic_ns()).add_done_callback(ended.put)
        for _ in range(outstanding - 1):
            ended.get()

    def _map_lazily(self, sampler: Sampler) -> None:
        """Maps over tasks without an end, of which so many are submitted and not taken."""
        lazily: Any = {"buffersize": (1 + BACKLOG_PER_WORKER) * self.slots}
        tasks, times = iter(sampler.next, None), iter(monotonic_ns, None)
        for _ in self._pool.map(self._runner(sampler), tasks, times, **lazily):
            pass

    def _submit_all(self, sampler: Sampler) -> None:
        submit, run = self._pool.submit, self._runner(sampler)
        calls = [submit(run, index, monotonic_ns()) for index in iter(sampler.next, None)]
        for call in calls:
            call.result()

    def _runner(self, sampler: Sampler) -> Callable[[int, int], None]:
        """What is submitted: runs a task and records it."""
        task, own = self._task, self._own
        lanes = [sampler.lane(slot) for slot in range(self.slots)]

        def run(index: int, submitted_ns: int) -> None:
            lane = lanes[own.slot]
            try:
                given = task.given(index)
                begin_ns = lane.begin()
                checksum, result = task.blocking(index, given)
                checksum += task.received(result)
                lane.end(index, submitted_ns, begin_ns, monotonic_ns(), (checksum, result))
            except BaseException as error:
                sampler.fail(error)

        return run


def entering(workers: int, enter: Callable[[], None]) -> Callable[[], Optional[Failure]]:
    """What so many threads are each called with to set themselves up: it waits for all, so that each is called once."""
    everyone = threading.Barrier(workers)

    def call() -> Optional[Failure]:
        try:
            enter()
        except BaseException as error:
            return Failure.of(error)
        finally:
            everyone.wait()
        return None

    return call


def leaving(workers: int, task: Task) -> Callable[[], Optional[Failure]]:
    """What so many threads are each called with to be torn down by the user's code, as `entering` has it."""
    everyone = threading.Barrier(workers)

    def call() -> Optional[Failure]:
        everyone.wait(LEAVE_S)
        return task.leave_thread()

    return call


def not_left() -> Failure:
    """That a thread does not come to its tear-down."""
    return Failure("setup", f"a thread was not torn down within {LEAVE_S:g} s: a task or `teardown_thread` hangs in it")


def leave_threads(pool: ThreadPoolExecutor, workers: int, task: Task) -> Optional[Failure]:
    """Has the user's code tear down each thread of a pool whose threads have all started; the first that failed."""
    if not task.tears_down:
        return None
    leave = leaving(workers, task)
    calls = [pool.submit(leave) for _ in range(workers)]
    try:
        return first_failure([call.result(LEAVE_S) for call in calls])
    except Exception:
        return not_left()
