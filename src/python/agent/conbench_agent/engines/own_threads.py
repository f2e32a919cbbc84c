"""An executor of the user's whose workers are threads: `submit`, with a backlog for them."""

from __future__ import annotations

from queue import SimpleQueue
from time import monotonic_ns
from typing import Any, Callable, List, Optional, Set

from ..protocol import Failure, Job
from ..sampler import Lane, Sampler
from ..task import Task
from .gathering import attend, failure_of
from .numbered_threads import NumberedThreads
from .own_executor import MORE_S, BuiltExecutor
from .threads import BACKLOG_PER_WORKER


class OwnThreads(NumberedThreads):
    """One whose workers are threads of this process. They may be any threads, and new ones for each task."""

    def __init__(self, job: Job, task: Task) -> None:
        """Builds it."""
        super().__init__(job, task)
        self._executor = BuiltExecutor(job)
        #: Those that no task is in.
        self._lanes: List[Lane] = []

    def warm(self) -> None:
        """Starts the rest of the threads, and sees how many tasks run at once."""

        def enter() -> None:
            self._enter()
            attend(own.gathering.address)

        own = self._executor
        own.gather([own.executor.submit(enter) for _ in range(self.slots + 1)], MORE_S)

    def run(self, sampler: Sampler) -> None:
        """Runs one block: submits a task for each that ends, or all tasks of a batch."""
        own, take = self._executor, sampler.next
        ended: SimpleQueue[Any] = SimpleQueue()
        given = _Given()
        run = self._runner_of(sampler, given)
        submit = own.executor.submit

        def submit_next() -> bool:
            index = take()
            if index is None:
                return False
            given.tasks.add(index)
            try:
                submit(run, index, monotonic_ns()).add_done_callback(ended.put)
            except BaseException as error:
                raise failure_of(own.name, error) from error
            given.under_way += 1
            return True

        if sampler.tasks is None or sampler.is_paced:
            outstanding = self.slots if sampler.is_paced else (1 + BACKLOG_PER_WORKER) * self.slots
            for _ in range(outstanding):
                submit_next()
        else:
            while submit_next():
                pass
        try:
            while given.under_way:
                future = own.next_of(ended, lambda: given.under_way, lambda: self.slots - len(self._lanes))
                given.under_way -= 1
                future.result()
                if sampler.tasks is None or sampler.is_paced:
                    submit_next()
        except BaseException as error:
            sampler.stopped = True
            raise failure_of(own.name, error) from error
        if given.tasks and not sampler.failure:
            # Its future says that it is done.
            raise Failure("checksum", f"`{own.name}` says that {len(given.tasks)} tasks are done that it never ran")

    def close(self) -> None:
        """Shuts it down."""
        self._executor.close()

    def _in_each(self, call: Callable[[], Any], timeout_s: Optional[float] = None) -> List[Any]:
        calls = [self._executor.executor.submit(call) for _ in range(self.slots)]
        return [one.result(timeout_s) for one in calls]

    def _runner_of(self, sampler: Sampler, given: _Given) -> Callable[[int, int], None]:
        """What is submitted: runs a task and records it, in any lane that no other task is in."""
        task, threads, own = self._task, self._own, self._executor
        lanes = self._lanes = [sampler.lane(slot) for slot in range(self.slots)]

        def run(index: int, submitted_ns: int) -> None:
            try:
                lane = lanes.pop()
            except IndexError:
                sampler.fail(own.uneven("more"))
                return
            try:
                if given.begins_again(index):
                    raise own.ran_twice(index)
                if not hasattr(threads, "slot"):
                    self._enter()
                item = task.given(index)
                begin_ns = lane.begin()
                checksum, result = task.blocking(index, item)
                checksum += task.received(result)
                end_ns = monotonic_ns()
                lane.end(index, submitted_ns, begin_ns, end_ns, (checksum, result))
                if end_ns - begin_ns > own.longest_ns:
                    own.longest_ns = end_ns - begin_ns
            except BaseException as error:
                sampler.fail(error)
            finally:
                lanes.append(lane)

        return run


class _Given:
    """What an executor was given in one block."""

    def __init__(self) -> None:
        #: The tasks that it has not begun.
        self.tasks: Set[int] = set()
        #: How many it has not handed back.
        self.under_way = 0

    def begins_again(self, task: int) -> bool:
        """Notes that a task begins, and whether it began before."""
        try:
            self.tasks.remove(task)
        except KeyError:
            return True
        return False
