"""An executor that a factory of the user's builds, and what it does wrong.

Found and told are fewer or more tasks at once than it was asked for, tasks that run twice, and tasks that do not come
back.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from time import monotonic_ns
from typing import Any, Callable, Optional, Sequence, cast

from ..protocol import Failure, Job, Own, OwnExecutor
from ..task import Task
from .base import Engine
from .gathering import Gathering, failure_of
from .own_factory import Factory, workers_in_words
from .patience import LEAVE_S, end_in_time

#: Nothing came back for so long, and for so many times the longest task, and for as many again as there are workers:
#: then what is under way is lost. It is less than what the controller waits for an agent that does nothing.
_LEAST_NS, _TASKS = 1_500_000_000, 5
#: How often at most that is looked at.
_LOOK_NS = 100_000_000
#: After as many tasks at once as there should be, further ones are looked for so long.
MORE_S = 0.05


def build_own(job: Job, task: Task) -> Engine:
    """The engine of an executor of the user's, by where that runs tasks; its module is imported only now."""
    if of_user(job).model == "processes":
        from .own_processes import OwnProcesses

        return OwnProcesses(job, task)
    from .own_threads import OwnThreads

    return OwnThreads(job, task)


def of_user(job: Job) -> OwnExecutor:
    """What the candidate's engine is, which a factory of the user's builds."""
    return cast(Own, job.candidate.engine).own


class BuiltExecutor:
    """The executor, and what is known of what it was given."""

    def __init__(self, job: Job) -> None:
        """Builds it."""
        own = of_user(job)
        self.name = own.factory
        self.workers = job.candidate.sizes.workers or 1
        self.gathering = Gathering()
        self.executor: Executor = Factory(own.factory, job.executor_path).build(self.workers)
        #: The longest task so far; 0 before there was one.
        self.longest_ns = 0
        #: When a task came back last.
        self.heard_ns = 0

    def gather(self, calls: Sequence[Future[Any]], more_s: float = 0.0) -> None:
        """Holds as many calls as there are workers until all run at once; Failure if they never do, or more do."""
        try:
            at_once = len(self.gathering.hold(calls, self.workers, more_s))
        except BaseException as error:
            raise failure_of(self.name, error) from error
        if at_once < self.workers:
            raise self.uneven(str(at_once))
        if at_once > self.workers:
            raise self.uneven("more")

    def part(self, calls: Sequence[Future[Any]]) -> None:
        """Holds calls that tear down until each worker runs one; Failure if some never do."""
        try:
            came = len(self.gathering.hold(calls, self.workers, first_s=LEAVE_S))
        except BaseException as error:
            raise failure_of(self.name, error) from error
        if came < self.workers:
            raise Failure(
                "setup",
                f"`{self.name}` tore down {came} of {workers_in_words(self.workers)} within {LEAVE_S:g} s: it runs no "
                "more calls, or a teardown hangs",
            )

    def uneven(self, at_once: str) -> Failure:
        """That it runs another number of tasks than it was asked for."""
        asked = workers_in_words(self.workers)
        return Failure(
            "setup", f"`{self.name}` was asked for {asked} and runs {at_once} tasks at once: there is no such size"
        )

    def next_of(self, ended: SimpleQueue[Any], under_way: Callable[[], int], running: Callable[[], int]) -> Any:
        """Waits for the next of what ends; Failure if nothing comes back for longer than any task takes.

        `under_way` tells how many tasks the executor has, and `running` how many of them have begun: as long as one
        runs, nothing is lost, and the task's own time limit says when it takes too long.
        """
        self.heard_ns = monotonic_ns()
        while True:
            # How long a task takes is not known before there was one.
            patience_ns = round(_LEAST_NS + (_TASKS + self.workers) * self.longest_ns)
            try:
                return ended.get(timeout=max(self.heard_ns + patience_ns - monotonic_ns(), _LOOK_NS) / 1e9)
            except Empty:
                if self.longest_ns and monotonic_ns() >= self.heard_ns + patience_ns and running() <= 0:
                    raise self._lost(under_way(), patience_ns) from None

    def _lost(self, under_way: int, waited_ns: int) -> Failure:
        tasks = "a task" if under_way == 1 else f"{under_way} tasks"
        waited_s, longest_s = f"{waited_ns / 1e9:.1f}", f"{self.longest_ns / 1e9:.2g}"
        return Failure(
            "hang",
            f"`{self.name}` does not hand back {tasks} that it was given: nothing came back for {waited_s} s, "
            f"and no task took longer than {longest_s} s: it lost what it was given, or hangs",
        )

    def ran_twice(self, task: Optional[int] = None) -> Failure:
        """That it runs tasks more than once."""
        which = "tasks" if task is None else f"task {task}"
        return Failure("checksum", f"`{self.name}` ran {which} more than once: what a task does is then done twice")

    def close(self) -> None:
        """Shuts it down, but for calls of the user's that do not end."""
        end_in_time(self.executor.shutdown)
        self.gathering.close()
