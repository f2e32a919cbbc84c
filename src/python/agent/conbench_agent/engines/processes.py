"""Worker processes, as the agent holds them: how they are made, watched, metered and ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from copy import copy
from functools import partial
from multiprocessing import forkserver, util
from time import monotonic, monotonic_ns, sleep
from typing import TYPE_CHECKING, Callable, Iterable, List, Optional, Sequence

from .. import leftovers, meter, steps, worker
from ..meter import Usage
from ..protocol import Failure, Job
from ..steps.ipc import Shared
from ..task import Task
from ..user.caller import CALLERS_MAIN
from .patience import end_in_time

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

#: How often somebody who waits for workers looks whether they live.
LOOK_S = 0.1
#: How long the end of a worker may take: of one that is asked to, and of one that is told to.
_GRACE_S = 0.3
#: How often a worker is looked at that is about to end.
_POLL_S = 0.01

#: What multiprocessing says of an end of which the fork server told another thread.
_LOST = 255
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE")


def context_of(job: Job) -> BaseContext:
    """Where processes of the candidate's start method come from."""
    leftovers.keep_files_in(job.directory)
    context = multiprocessing.get_context(job.candidate.start_method)
    if context.get_start_method() == "forkserver":
        _start_forkserver(context, job)
    return context


def _start_forkserver(context: BaseContext, job: Job) -> None:
    """Starts the server that forks workers, with this package imported, lest each worker must import it anew.

    A program's own modules are imported there too, from CPython 3.14 on: the server was meant to import them always,
    with the program's main module, and failed to.
    """
    ours = steps.__name__, worker.__name__
    modules = sorted(name for name in sys.modules if name.startswith(ours))
    if sys.version_info >= (3, 14):
        names = [name.partition(":")[0] for step in job.steps if (name := step.step.get("function"))]
        modules += [CALLERS_MAIN if name == "__main__" else name for name in names]
    context.set_forkserver_preload(modules)
    with suppress(OSError):
        here = os.getcwd()
        # It is not told where this process finds its modules, and looks in the directory that it is started in.
        os.chdir(os.path.dirname(os.path.dirname(steps.__path__[0])))
        try:
            forkserver.ensure_running()
        finally:
            os.chdir(here)


def _noting(context: BaseContext, processes: List[BaseProcess]) -> BaseContext:
    """The same context, which notes each process that it makes.

    Who asks multiprocessing for its live children instead, misses the one that died before the question, and takes a
    worker that its pool then terminated for the one that died.
    """
    make: Callable[..., BaseProcess] = context.Process  # type: ignore[attr-defined]

    def process(*args: object, **options: object) -> BaseProcess:
        made = make(*args, **options)
        processes.append(made)
        return made

    noting = copy(context)
    vars(noting)["Process"] = process
    return noting


def _started(processes: Sequence[BaseProcess]) -> List[BaseProcess]:
    return [process for process in processes if process.pid is not None]


def unlink_names() -> None:
    """Gives back what multiprocessing made under names in the system, semaphores above all.

    It does so itself when the interpreter exits, which an agent does not wait for.
    """
    run: Optional[Callable[[int], None]] = getattr(util, "_run_finalizers", None)
    if run is not None:
        end_in_time(partial(run, 0))


def check_crossing(job: Job, task: Task, pickles_given: bool = True) -> None:
    """Failure if the user's code, or what it is given, cannot cross to other processes, or interpreters."""
    begin_ns = monotonic_ns()
    if task.exchanging:
        from ..user.pickling import can_cross

        for step in task.exchanging:
            if job.candidate.engine == "sharded-asyncio" and step.is_async and step.function is None:
                # Its coroutine function has a name, by which workers find it.
                continue
            failure = can_cross(step, job.candidate.start_method, pickles_given)
            if failure is not None:
                raise failure
    task.checks_ns += monotonic_ns() - begin_ns


def crossing_failure(task: Task, under_way: Iterable[int], error: BaseException) -> Failure:
    """Why one of the tasks under way came to nothing although its worker lives.

    It failed, or it could not be handed over, or what it made could not be handed back.
    """
    if isinstance(error, Failure):
        return error
    if task.exchanging:
        from ..user.pickling import cannot_send

        for index in under_way:
            given = task.given(index)
            failure = None if given is None else cannot_send(given[1], index)
            if failure is not None:
                return failure
    return Failure("task", f"a worker cannot hand back what a task made: {type(error).__name__}: {error}")


class Meeting:
    """Where the workers of a pool wait for each other, so that each of them takes one task."""

    def __init__(self, context: BaseContext) -> None:
        self._arrived = context.Semaphore(0)
        self._opened = context.Semaphore(0)

    def wait(self) -> None:
        """Called by each worker: returns when all have come."""
        self._arrived.release()
        self._opened.acquire()

    def hold(self, workers: int, look: Callable[[], None]) -> None:
        """Called by the agent: lets the workers go on when all have come; `look` raises if they never will."""
        for _ in range(workers):
            while not self._arrived.acquire(timeout=LOOK_S):
                look()
        for _ in range(workers):
            self._opened.release()


class Crew:
    """The worker processes that a pool starts, and what they share."""

    def __init__(self, job: Job, task: Task, workers: int, context: Optional[BaseContext] = None) -> None:
        """Failure if the task cannot cross, or the workers cannot share what they must.

        Workers come from `context`, or else by the candidate's start method.
        """
        check_crossing(job, task)
        self._workers: List[BaseProcess] = []
        self.context = _noting(context or context_of(job), self._workers)
        self._task = task
        self._shared = Shared(job, self.context, workers)
        self.meeting = Meeting(self.context)
        handles = self._shared.handles
        self.hiring = worker.Hiring(job, handles, self.meeting, handles)

    def pids(self) -> List[int]:
        """The workers and the processes that help them."""
        workers = [worker.pid for worker in self._workers if worker.pid is not None]
        return [*workers, *self._shared.pids(), *leftovers.helpers()]

    def adopt(self, processes: Iterable[BaseProcess]) -> None:
        """Takes in workers that a library made by a context of its own."""
        self._workers += [process for process in processes if process not in self._workers]

    def usage(self) -> Usage:
        """What these processes used so far."""
        return meter.live(self.pids())

    def sentinels(self) -> List[int]:
        """Descriptors that become readable when a worker ends."""
        return [worker.sentinel for worker in _started(self._workers)]

    def find_death(self, patience_s: float = 0.0) -> Optional[Failure]:
        """Which worker died, and how; None if none does within the time.

        A pool terminates the others when one dies: that is none's own death, unless it was everyone's.
        """
        deadline = monotonic() + patience_s
        while True:
            statuses = [process.exitcode for process in self._workers]
            for number, status in enumerate(statuses):
                if status is not None and (status != -signal.SIGTERM or set(statuses) == {-signal.SIGTERM}):
                    return died(number, status)
            if monotonic() >= deadline:
                return None
            sleep(_POLL_S)

    def kill(self) -> None:
        """Kills the workers."""
        for process in _started(self._workers):
            process.kill()

    def close(self) -> None:
        """Waits for the workers to end, who were asked to, and ends those that do not; then what they shared."""
        end(_started(self._workers))
        self._shared.close()
        unlink_names()


def died(number: int, status: int) -> Failure:
    """The failure that a worker's death is."""
    return Failure("worker", f"the worker process {how_it_ended(status)}", f"worker {number}")


def how_it_ended(status: int) -> str:
    """An exit code in words, and what it hints at."""
    if status == _LOST:
        return "died; how is not known, or it called os._exit(255)"
    if status >= 0:
        return f"ended with status {status} in the midst of its work: does a task call os._exit?"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if name == "SIGKILL":
        return "was killed by SIGKILL, which is also what the system does when memory runs out"
    if name in _CRASHES:
        return f"was killed by {name}: native code that a task calls crashed; PYTHONFAULTHANDLER=1 shows where"
    return f"was killed by {name}"


def end(processes: Sequence[BaseProcess]) -> None:
    """Waits a little for these processes, which were asked to end or have no more to do; then kills them."""
    for last_word in (_nothing, _terminate, _kill):
        for process in processes:
            last_word(process)
        deadline = monotonic() + _GRACE_S
        for process in processes:
            process.join(max(deadline - monotonic(), 0))
        if all(process.exitcode is not None for process in processes):
            return


def _nothing(process: BaseProcess) -> None:
    pass


def _terminate(process: BaseProcess) -> None:
    process.terminate()


def _kill(process: BaseProcess) -> None:
    process.kill()
