"""`ProcessPoolExecutor`: `submit` of a task or a chunk, with a backlog for the workers; `map` over a batch."""

from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Callable, Iterable, List, Optional

from .. import meter, worker
from ..meter import Usage
from ..protocol import Failure, Job
from ..task import Task
from .executors import ExecutorEngine, leave_workers
from .patience import end_in_time
from .processes import Crew, crossing_failure

#: How long after its pool a worker may end that broke it.
_LATE_S = 5.0


class ProcessPool:
    """A `ProcessPoolExecutor` whose workers have their task, and what belongs to it."""

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the executor; under `fork`, all its workers are started with the first task, else as they are wanted.

        No thread of this process may have started before: a process that is forked beside threads may inherit a lock
        that one of them holds, and wait for it for ever.
        """
        self.workers = job.candidate.sizes.workers or 1
        self._task = task
        self._crew = self._hire(job)
        try:
            self.executor = self._make()
            self._fill()
        except BaseException:
            self._crew.close()
            raise

    def get_ready(self, index: Optional[int]) -> None:
        """Starts the workers that do not run yet, and lets each make ahead what task `index` needs, or all tasks."""
        calls = [self.executor.submit(worker.get_ready, index) for _ in range(self.workers)]
        self._note_workers()

        def look() -> None:
            for call in calls:
                if call.done():
                    call.result()

        try:
            self._crew.meeting.hold(self.workers, look)
            for call in calls:
                call.result()
        except BaseException as error:
            raise self.failure([0], error) from error

    def failure(self, under_way: Iterable[int], error: BaseException) -> Failure:
        """Why one of the tasks that were handed over together came to nothing, of what their future raises."""
        if not isinstance(error, BrokenProcessPool):
            return crossing_failure(self._task, under_way, error)
        if error.__cause__ is not None:
            # What came back could not be read: no worker died of it, but the pool is at its end.
            reason = str(error.__cause__).strip().strip("'").strip().rpartition("\n")[2]
            return Failure("worker", f"what a worker process handed back cannot be read: {reason}")
        # The executor ends the other workers, and knows how each of them ended when that is done.
        end_in_time(self.executor.shutdown)
        return self._crew.find_death(_LATE_S) or Failure("worker", f"the pool of worker processes broke: {error}")

    def pids(self) -> List[int]:
        """The workers and the processes that help them."""
        return self._crew.pids()

    def usage(self) -> Usage:
        """What these processes used so far."""
        return self._crew.usage()

    def leave(self) -> Optional[Failure]:
        """Tears down each worker."""
        return leave_workers(self.executor, self._task, self.workers, self._crew.meeting.hold)

    def close(self) -> None:
        """Ends the workers."""
        end_in_time(partial(self.executor.shutdown, cancel_futures=True))
        self._crew.close()

    def abandon(self) -> None:
        """Ends the workers without a word."""
        self._crew.kill()
        self.close()

    def _hire(self, job: Job) -> Crew:
        return Crew(job, self._task, self.workers)

    def _make(self) -> Executor:
        return ProcessPoolExecutor(
            self.workers, mp_context=self._crew.context, initializer=worker.start, initargs=(self._crew.hiring,)
        )

    def _note_workers(self) -> None:
        """Tells the crew of workers that were not made by its context; all of them are started."""

    def _fill(self) -> None:
        # Early patch releases of CPython 3.9 to 3.11 start even forked workers as they are wanted, beside the thread
        # that the executor itself has by then. Later ones have `_launch_processes`, and start them all before it.
        is_fork = self._crew.context.get_start_method() == "fork"
        if is_fork and not hasattr(self.executor, "_launch_processes"):
            start_one = getattr(self.executor, "_adjust_process_count", lambda: None)
            for _ in range(self.workers):
                start_one()


class ProcessExecutor(ExecutorEngine):
    """A pool of worker processes, behind an executor."""

    def __init__(self, job: Job, task: Task, make: Callable[[Job, Task], ProcessPool] = ProcessPool) -> None:
        """Makes the pool."""
        self._pool = make(job, task)
        super().__init__(self._pool.executor, task, self._pool.workers, job.candidate.sizes.chunk or 1)

    def get_ready(self) -> None:
        """Starts the workers, and sets them up."""
        self._pool.get_ready(0)

    def warm(self) -> None:
        """Lets each worker make ahead what its tasks need."""
        self._pool.get_ready(None)

    def pids(self) -> List[int]:
        """The workers and the processes that help them."""
        return self._pool.pids()

    def workers_usage(self) -> Usage:
        """What these processes used so far, and the programs that tasks started in them."""
        return self._pool.usage().plus(meter.of_children(self._children.ns))

    def leave(self) -> Optional[Failure]:
        """Tears down each worker."""
        return self._pool.leave()

    def close(self) -> None:
        """Ends the workers."""
        self._pool.close()

    def abandon(self) -> None:
        """Ends the workers without a word."""
        self._pool.abandon()

    def _failure(self, under_way: Iterable[int], error: BaseException) -> Failure:
        return self._pool.failure(under_way, error)
