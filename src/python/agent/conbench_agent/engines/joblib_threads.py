"""`joblib.Parallel` on threads: tasks come from a generator."""

from __future__ import annotations

from importlib import import_module
from time import monotonic_ns
from typing import Any, Callable, Iterator, List, Optional

from ..protocol import Job
from ..sampler import Sampler
from ..task import Task
from .numbered_threads import NumberedThreads
from .patience import end_in_time


class JoblibThreads(NumberedThreads):
    """A `Parallel` that keeps its threads."""

    def __init__(self, job: Job, task: Task) -> None:
        """Makes it."""
        super().__init__(job, task)
        joblib = import_module("joblib")
        self._delayed = joblib.delayed
        self._parallel: Any = joblib.Parallel(
            n_jobs=self.slots, backend="threading", return_as="generator_unordered", batch_size=1
        )
        self._parallel.__enter__()

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        delayed, take = self._delayed(self._runner(sampler)), sampler.next

        def calls() -> Iterator[Any]:
            while (index := take()) is not None:
                yield delayed(index, monotonic_ns())

        for _ in self._parallel(calls()):
            pass

    def close(self) -> None:
        """Ends the threads, but for one that is still in a call of the user's."""
        end_in_time(lambda: self._parallel.__exit__(None, None, None))

    def _in_each(self, call: Callable[[], Any], timeout_s: Optional[float] = None) -> List[Any]:
        # It has no timeout for a single call: `call` waits for no longer than it is to.
        return list(self._parallel(self._delayed(call)() for _ in range(self.slots)))
