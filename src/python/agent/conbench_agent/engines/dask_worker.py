"""What runs on a worker of a Dask cluster: tasks of candidates, each made once in a process, and small measurements.

A worker may have several threads, and serve several candidates, one after the other. It holds a desk for each.
"""

from __future__ import annotations

import os
import pickle
import threading
from contextlib import suppress
from importlib import import_module
from resource import RUSAGE_CHILDREN, getrusage
from time import monotonic, monotonic_ns, process_time_ns
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple, cast

from .. import meter, steps
from ..meter import Usage
from ..protocol import Failure, Job
from ..task import Result, Task
from ..worker import check_result
from . import dask_lent

#: What a task took by this process's clock (ns), its checksum without that of the output, and what it hands back.
Ran = Tuple[int, int, object]

#: How long the threads of a worker wait for each other to get ready. One that serves another program comes later.
_MEETING_S = 5.0
#: The same to tear down, which must be done before the controller ends the agent.
_PARTING_S = 1.0
#: A worker is busy that ran something so recently.
_BUSY_S = 30.0
#: What the kernel computes on that tells a worker's speed.
_KERNEL_BYTES = 8192


class RanThere(NamedTuple):
    """What comes back of tasks that were handed over together."""

    #: The process that ran them.
    pid: Tuple[str, int]
    #: The CPU time that it and its reaped children used so far.
    cpu_ns: int
    ran: List[Ran]


class _Desk:
    """The task of one candidate in this process."""

    def __init__(self, candidate: str, job: Job) -> None:
        self._candidate = candidate
        self._job = job
        self._making = threading.Lock()
        self._made: Optional[Task] = None
        self._meetings: Dict[str, threading.Barrier] = {}
        #: Types of what tasks handed back so far.
        self._known: Set[Tuple[type, ...]] = set()

    def get_ready(self, index: Optional[int], sample: bytes) -> None:
        """Makes the task and, ahead, what task `index` needs, or all tasks; Failure if that cannot be."""
        with self._making:
            if self._made is None:
                dask_lent.lend(self._candidate, [folder for folder, _ in _modules(self._job)])
                _import_modules(self._job)
                _unpickle(sample)
                self._made = steps.build(self._job, steps.Place.worker(0))
            self._made.prepare(index)
        self._made.enter_thread()

    def meet(self, what_for: str, threads: int, patience_s: float = _MEETING_S) -> None:
        """Waits for the other threads of this process, a while, so that each of them comes here once."""
        with self._making:
            barrier = self._meetings.setdefault(what_for, threading.Barrier(threads))
        # What a thread that is not here would get ready, it makes when its first task comes.
        with suppress(threading.BrokenBarrierError):
            barrier.wait(patience_s)

    def run(self, index: int, given: object) -> Ran:
        task = self.task
        begin_ns = monotonic_ns()
        checksum, result = task.blocking(index, given)
        service_ns = monotonic_ns() - begin_ns
        kinds = _types(result)
        if kinds not in self._known:
            # Of a result that cannot be pickled nobody would ever hear: Dask computes it again and again.
            check_result(index, result)
            self._known.add(kinds)
        return service_ns, checksum, result

    def close(self) -> None:
        """Gives back what the task holds, and what this process was lent for it."""
        if self._made is not None:
            self._made.close()
        dask_lent.take_back(self._candidate)

    def give_up(self) -> None:
        """The same after something failed: what the user's code set up in this process is torn down before."""
        with self._making:
            if self._made is not None:
                self._made.leave()
            self.close()

    @property
    def task(self) -> Task:
        if self._made is None:
            raise Failure("worker", "a worker was not told its task")
        return self._made


_desks: Dict[str, _Desk] = {}
_given_up: Set[str] = set()
_opening = threading.Lock()
_used_s = 0.0


def is_busy() -> bool:
    """Whether this worker holds something for a candidate, and ran something lately."""
    return bool(_desks) and monotonic() - _used_s < _BUSY_S


def get_ready(candidate: str, threads: int, job: str, sample: bytes, index: Optional[int]) -> None:
    """Gets ready for a candidate what task `index` needs, or all tasks; called once for each thread of each worker.

    `job` is its job as text; `sample` are some items, as they cross.
    """
    _note_use()
    with _opening:
        if candidate in _given_up:
            raise Failure("worker", "the candidate was given up before this worker heard of it")
        desk = _desks.get(candidate)
        if desk is None:
            desk = _desks[candidate] = _Desk(candidate, Job.parse(job))
    try:
        desk.get_ready(index, sample)
    finally:
        desk.meet(f"ready {index}", threads)


def run(candidate: str, items: List[Tuple[int, object]]) -> RanThere:
    """Runs tasks, of which each is an index and what it is given."""
    _note_use()
    desk = _desks.get(candidate)
    if desk is None:
        raise Failure("worker", "a worker came anew in the midst of the work, and was not told its task")
    return RanThere(_who(), _cpu_ns(), [desk.run(index, given) for index, given in items])


def leave_thread(candidate: str, threads: int) -> Optional[Failure]:
    """Tears down what the user's code set up in this thread; called once for each thread of each worker."""
    desk = _desks.get(candidate)
    if desk is None:
        return None
    failed = desk.task.leave_thread()
    desk.meet("leave", threads, _PARTING_S)
    return failed


def leave(candidate: str) -> Optional[Failure]:
    """Tears down this process, and forgets the candidate; called once for each worker."""
    desk = _desks.get(candidate)
    if desk is None:
        return None
    failed = desk.task.leave()
    forget(candidate)
    return failed


def forget(candidate: str) -> None:
    """Gives back what the candidate's task holds."""
    desk = _desks.pop(candidate, None)
    if desk is not None:
        desk.close()


def give_up(candidate: str) -> None:
    """Forgets a candidate that failed, and has the user's code tear down what it set up in this process.

    It does not wait for that: a task may still run, or hang, and this is called where the worker hears its scheduler.
    """
    _given_up.add(candidate)
    desk = _desks.pop(candidate, None)
    if desk is not None:
        threading.Thread(target=desk.give_up, name="conbench-give-up", daemon=True).start()


def name_of_candidate(client: str) -> str:
    """A name that no other candidate has, of this client of the scheduler."""
    return f"{client}/{os.urandom(8).hex()}"


def give_up_all_but(clients: List[str]) -> None:
    """Gives up the candidates of clients that the scheduler has no more: their agents were killed."""
    for candidate in list(_desks):
        if candidate.rpartition("/")[0] not in clients:
            # At once: the next candidate must not find the modules of this one.
            dask_lent.take_back(candidate)
            give_up(candidate)


def usage() -> Tuple[RanThere, Usage]:
    """What this process used so far, and programs that tasks started in it."""
    return RanThere(_who(), _cpu_ns(), []), meter.usage().plus(meter.programs([os.getpid()], ()))


def lacks(files: Dict[str, str]) -> List[str]:
    """Of these files, name and digest, those that were not sent to this worker."""
    return [name for name, digest in files.items() if _uploaded.get(name) != digest]


def note_uploaded(files: Dict[str, str]) -> None:
    """These files were sent."""
    _uploaded.update(files)


_uploaded: Dict[str, str] = {}


def nothing(*given: object) -> None:
    """A task that does nothing."""


def carry(way: str, data: bytes, size: int) -> bytes:
    """A task that hands back what it is given, nothing, or so many bytes, by the way that they are to go."""
    global _random
    if way == BOTH_WAYS:
        return data
    if way == THERE:
        return b""
    if len(_random) < size:
        # (Making them takes its time, too: it is done once.)
        _random = os.urandom(size)
    return _random[:size]


#: The ways that payloads go.
BOTH_WAYS, THERE, BACK = WAYS = "both", "there", "back"
_random = b""


def kernel_ns(least_ns: int) -> float:
    """The time of one iteration of a kernel, the best of many within `least_ns`."""
    from ..steps.kernels import Input

    kernel = Input({"kernel": "loop", "input_bytes": _KERNEL_BYTES}, 1)
    best, end_ns = float("inf"), monotonic_ns() + least_ns
    while True:
        begin_ns = monotonic_ns()
        kernel.iterate()
        now_ns = monotonic_ns()
        best = min(best, now_ns - begin_ns)
        if now_ns >= end_ns:
            return best


def place() -> Tuple[int, List[int], int]:
    """This process, the cores that it may use, and as how many it may use them at once."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    # A container may have fewer, by its quota: that package looks.
    usable: int = import_module("dask.system").cpu_count()
    return os.getpid(), cores, min(usable, len(cores))


def bind() -> None:
    """Has the kernel kill this process when that ends which started it."""
    from ..parent import binder

    binder()()


def _note_use() -> None:
    global _used_s
    _used_s = monotonic()


def _types(result: object) -> Tuple[type, ...]:
    """The types of what the steps of a task hand back."""
    return tuple(map(type, cast(Result, result)[1])) if isinstance(result, tuple) else (type(result),)


def _who() -> Tuple[str, int]:
    return os.uname().nodename, os.getpid()


def _cpu_ns() -> int:
    reaped = getrusage(RUSAGE_CHILDREN)
    return process_time_ns() + round((reaped.ru_utime + reaped.ru_stime) * 1e9)


def _modules(job: Job) -> Iterator[Tuple[str, str]]:
    """The modules of the user's functions, each behind its folder."""
    for step in job.steps:
        module = (step.step.get("function") or "").partition(":")[0]
        if module and module != "__main__":
            yield os.path.abspath(step.step["path"]), module


def _import_modules(job: Job) -> None:
    """Imports the modules of the user's functions; Failure if this worker does not have one."""
    from ..user.loading import put_first

    for folder, module in _modules(job):
        put_first(folder)
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise Failure(
                "setup",
                f"the workers cannot import `{error.name or module}`: it is not on {os.uname().nodename}: send it with "
                "--cluster-upload FILE (a package as a .zip that holds its folder), or install it there",
            ) from None
        except BaseException:
            # Whatever else it raises, whoever loads the function tells.
            return


def _unpickle(sample: bytes) -> None:
    try:
        pickle.loads(sample)
    except BaseException as error:
        raise Failure(
            "setup",
            f"the workers cannot unpickle the items: {type(error).__name__}: {error}: send what their classes need "
            "with --cluster-upload FILE, or install it there",
        ) from None
