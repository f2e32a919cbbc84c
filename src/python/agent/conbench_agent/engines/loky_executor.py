"""`loky.get_reusable_executor`: an executor of worker processes that each begin as a new interpreter."""

from __future__ import annotations

from concurrent.futures import Executor
from importlib import import_module
from typing import Any

from .. import worker
from ..protocol import Job
from ..task import Task
from .patience import end_in_time
from .process_executor import ProcessExecutor, ProcessPool
from .processes import Crew


class LokyPool(ProcessPool):
    """The reusable executor, and what belongs to it."""

    #: The package: joblib has a copy of its own.
    package = "loky"

    def close(self) -> None:
        """Ends the workers."""
        # What is still queued is not waited for: the workers are ended.
        end_in_time(self._shut_down)
        self._crew.close()

    def _shut_down(self) -> None:
        self.executor.shutdown(wait=True)

    def _hire(self, job: Job) -> Crew:
        context: Any = import_module(self.package + ".backend.context").get_context("loky")
        return Crew(job, self._task, self.workers, context)

    def _make(self) -> Executor:
        # By default idle workers leave after 10 s, and a parked agent idles longer.
        executor: Executor = import_module(self.package).get_reusable_executor(
            max_workers=self.workers,
            context=self._crew.context,
            timeout=None,
            initializer=worker.start,
            initargs=(self._crew.hiring,),
        )
        return executor

    def _fill(self) -> None:
        """Nothing is forked: workers start with the first task."""


class LokyExecutor(ProcessExecutor):
    """Submits to it, as to the executor of the standard library."""

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the executor."""
        super().__init__(job, task, LokyPool)
