"""An executor of the user's whose workers are other processes: `submit`, with a backlog for them."""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from time import monotonic_ns
from typing import Any, Callable, Iterable, List, Optional

from .. import meter, worker
from ..meter import Usage
from ..protocol import Failure, Job
from ..sampler import Sampler
from ..task import Task, first_failure
from . import own_worker
from .executors import ExecutorEngine
from .gathering import failure_of
from .own_executor import MORE_S, BuiltExecutor
from .patience import LEAVE_S
from .processes import check_crossing, crossing_failure


class OwnProcesses(ExecutorEngine):
    """One whose workers are other processes of this host."""

    shows_map = False

    def __init__(self, job: Job, task: Task) -> None:
        """Builds it; Failure if the task cannot cross to its workers."""
        check_crossing(job, task)
        #: Processes that are none of its workers.
        self._before = meter.below(os.getpid())
        name = f"conbench-executor-{os.getpid()}-{os.urandom(8).hex()}"
        self._office = own_worker.Office(os.path.join(job.directory or os.environ.get("TMPDIR", "/tmp"), name))
        self._own = BuiltExecutor(job)
        self._office.open(job, self._own.gathering.address)
        self._recording = threading.Lock()
        self._submitted = self._under_way = self._recorded = 0
        super().__init__(self._own.executor, task, self._own.workers)

    def get_ready(self) -> None:
        """Starts the workers, and sets them up."""
        self._gather(0, 0, 0.0)

    def warm(self) -> None:
        """Lets each worker make ahead what its tasks need, and sees how many run at once."""
        self._gather(None, 1, MORE_S)

    def _gather(self, index: Optional[int], further: int, more_s: float) -> None:
        submit, folder = self._executor.submit, self._office.folder
        self._own.gather([submit(own_worker.get_ready, folder, index) for _ in range(self.slots + further)], more_s)

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        self._under_way = 0
        super().run(sampler)
        if self._office.begun() > self._submitted:
            raise self._own.ran_twice()

    def pids(self) -> List[int]:
        """The workers, and the processes that help them."""
        return meter.below(os.getpid(), self._before)

    def workers_usage(self) -> Usage:
        """What these processes used so far, and the programs that tasks started in them."""
        return meter.live(self.pids()).plus(meter.of_children(self._children.ns))

    def leave(self) -> Optional[Failure]:
        """Tears down each worker."""
        if not self._task.tears_down:
            return None
        try:
            calls = [self._executor.submit(own_worker.leave, self._office.folder) for _ in range(self.slots)]
            self._own.part(calls)
            return first_failure([call.result(LEAVE_S) for call in calls])
        except BaseException as error:
            return Failure.of(error)

    def close(self) -> None:
        """Shuts it down, and removes what the workers needed."""
        self._own.close()
        self._office.close()

    def abandon(self) -> None:
        """Ends the workers without a word."""
        super().abandon()
        self._office.close()

    def _submit(self, indices: List[int]) -> Future[Any]:
        [index] = indices
        with self._recording:
            # Before it can begin: what began is held against it.
            self._submitted += 1
        future = self._executor.submit(own_worker.run, self._office.folder, index, self._task.handed(index))
        with self._recording:
            self._under_way += 1
        return future

    def _map(self, sampler: Sampler, **lazily: Any) -> None:
        """Submits all tasks of a batch: not every executor has a `map`."""
        ended: SimpleQueue[Any] = SimpleQueue()
        record = self._recorder(sampler)
        submitted = 0
        for index in iter(sampler.next, None):
            submitted_ns = monotonic_ns()
            self._submit([index]).add_done_callback(partial(_tell, ended, index, submitted_ns))
            submitted += 1
        for _ in range(submitted):
            index, submitted_ns, future = self._await(ended)
            try:
                record(index, submitted_ns, future.result())
            except BaseException as error:
                raise self._failure([index], error) from error

    def _await(self, ended: SimpleQueue[Any]) -> Any:
        return self._own.next_of(ended, lambda: self._under_way, lambda: self._office.begun() - self._recorded)

    def _recorder(self, sampler: Sampler) -> Callable[[int, int, Any], None]:
        record_in_slot, own = super()._recorder(sampler), self._own

        # It may call back in several threads.
        def record(index: int, submitted_ns: int, ran: worker.RanInSlot) -> None:
            slot, begin_ns, end_ns, *rest = ran
            with self._recording:
                self._under_way -= 1
                self._recorded += 1
                own.longest_ns = max(own.longest_ns, end_ns - begin_ns)
                own.heard_ns = monotonic_ns()
                # Workers may be replaced by others.
                record_in_slot(index, submitted_ns, (slot % self.slots, begin_ns, end_ns, *rest))

        return record

    def _failure(self, under_way: Iterable[int], error: BaseException) -> Failure:
        if isinstance(error, (pickle.PicklingError, AttributeError, TypeError)):
            return crossing_failure(self._task, under_way, error)
        return failure_of(self._own.name, error)


def _tell(ended: SimpleQueue[Any], index: int, submitted_ns: int, future: Future[Any]) -> None:
    ended.put((index, submitted_ns, future))
