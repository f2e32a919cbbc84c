"""`joblib.Parallel` on loky's processes: tasks come from a generator, and results as they are done.

Batches have a fixed size, or that which joblib finds by itself: it doubles them until they last for 0.2 s, and keeps
what it found for as long as the `Parallel` lives.
"""

from __future__ import annotations

from concurrent.futures import Executor
from importlib import import_module
from time import monotonic_ns
from typing import Any, Dict, Iterator

from .. import worker
from ..protocol import Job
from ..sampler import Sampler
from ..task import Task
from .executors import recorder
from .loky_executor import LokyPool
from .process_executor import ProcessExecutor

#: Joblib asks for a number where loky takes None: no agent is parked for so long.
_NEVER_S = 1_000_000
#: Tasks given to it and not back, for each worker and each task of a batch; joblib's own default.
_DISPATCHED = 2


class JoblibPool(LokyPool):
    """A `Parallel` that keeps its workers, and what belongs to it."""

    package = "joblib.externals.loky"

    def __init__(self, job: Job, task: Task) -> None:
        """Makes it."""
        self._batch = job.candidate.sizes.chunk
        super().__init__(job, task)

    def _make(self) -> Executor:
        self.parallel: Any = import_module("joblib").Parallel(
            n_jobs=self.workers,
            backend="loky",
            return_as="generator_unordered",
            batch_size=self._batch or "auto",
            pre_dispatch=_DISPATCHED * self.workers * (self._batch or 1),
            idle_worker_timeout=_NEVER_S,
            initializer=worker.start,
            initargs=(self._crew.hiring,),
        )
        self.parallel.__enter__()
        # Only its executor lets each worker get ready once.
        executor: Executor = self.parallel._backend._workers
        return executor

    def forget_batches(self) -> None:
        """Has batches that joblib sizes by itself begin with one task, as in a program that calls it once."""
        self.parallel._backend.reset_batch_stats()

    def _note_workers(self) -> None:
        processes: Dict[int, Any] = getattr(self.executor, "_processes", {})
        self._crew.adopt(list(processes.values()))

    def _shut_down(self) -> None:
        self.parallel.__exit__(None, None, None)
        # With its folder for arrays, which else goes when the interpreter exits: no agent waits for that.
        executor: Any = self.executor
        executor.terminate()


class JoblibProcesses(ProcessExecutor):
    """Gives it a generator of calls."""

    _pool: JoblibPool

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the pool."""
        super().__init__(job, task, JoblibPool)

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        delayed = import_module("joblib").delayed(worker.run_item)
        record = recorder(self._lanes(sampler), self._task, self._children)
        take, handed = sampler.next, self._task.handed
        submitted: Dict[int, int] = {}
        if sampler.tasks is not None:
            self._pool.forget_batches()

        def calls() -> Iterator[Any]:
            while (index := take()) is not None:
                submitted[index] = monotonic_ns()
                yield delayed((index, handed(index)))

        try:
            for index, ran in self._pool.parallel(calls()):
                record(index, submitted.pop(index), ran)
        except BaseException as error:
            sampler.stopped = True
            raise self._failure(sorted(submitted), error) from error
