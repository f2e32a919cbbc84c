"""Pitfalls of processes and their pools."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional

from .. import host
from ..children import FORK, child, end, tether
from ..registry import Both, Unavailable, pitfall
from ..timing import median, ms
from ..work import LOCK, nothing, take_lock

_WORKERS = 2


class Mapped(NamedTuple):
    """What came of `pool.map`."""

    results: int
    message: Optional[str]


def mapped(function: Callable[[int], object], initializer: Optional[Callable[[], None]] = None) -> Mapped:
    """Has a pool of two run this for four items."""
    with FORK.Pool(_WORKERS, initializer) as pool:
        try:
            return Mapped(len(pool.map(function, range(4))), None)
        except Exception as error:
            return Mapped(0, f"{type(error).__name__}: {error}")


@pitfall("cannot-pickle")
def cannot_pickle() -> Both:
    """What goes to another process is pickled, and a lock, a socket or a connection cannot be."""
    wrong = mapped(Client().ask)
    return Both(wrong.results, mapped(_ask, _connect).results, wrong.message)


class Client:
    """What asks a server: as many do, it holds a lock."""

    def __init__(self) -> None:
        """A client of its own."""
        self._lock = threading.Lock()

    def ask(self, number: int) -> int:
        """What the server would say."""
        with self._lock:
            return number + 1


_client: Optional[Client] = None


def _connect() -> None:
    global _client
    _client = Client()


def _ask(number: int) -> int:
    assert _client is not None, "each worker has one from its start"
    return _client.ask(number)


class Child(NamedTuple):
    """What became of a child that wants a lock."""

    pid: int
    hung: bool
    warning: Optional[str]


def child_of_a_holder(start_method: str) -> Child:
    """Starts a child while another thread of its parent holds the lock that the child will want."""
    context: Any = multiprocessing.get_context(start_method)
    patience_s = {"fork": 0.3}.get(start_method, 10.0)
    with _held_elsewhere(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        process = context.Process(target=_take_lock if start_method == "fork" else take_lock)
        process.start()
        pid = process.pid
        hung = not end(process, patience_s)
    warned = [str(entry.message) for entry in caught if issubclass(entry.category, DeprecationWarning)]
    return Child(pid, hung, warned[0] if warned else None)


def _take_lock() -> None:
    # It may hang: the kernel ends it, should its parent be unable to.
    tether()
    take_lock()


@contextmanager
def _held_elsewhere() -> Iterator[None]:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with LOCK:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        held.wait()
        yield
    finally:
        release.set()
        thread.join()


@pitfall("fork-with-held-lock")
def fork_with_held_lock() -> Both:
    """A forked child has the lock as it stood, but not the thread that would release it."""
    wrong, mended = child_of_a_holder("fork"), child_of_a_holder("spawn")
    lines = []
    if wrong.hung:
        lines.append(f"process {wrong.pid} still waited for the lock after 0.3 s, and was killed")
    if wrong.warning is not None:
        lines.append(f"DeprecationWarning: {wrong.warning}")
    return Both(int(wrong.hung), int(mended.hung), "\n".join(lines) or None)


@pitfall("chunk-size-1")
def chunk_size_1() -> Both:
    """A message for each tiny item."""
    items = range(500)
    with ProcessPoolExecutor(_WORKERS, mp_context=FORK, initializer=tether) as pool:
        list(pool.map(nothing, items, chunksize=100))
        mended_ms = ms(lambda: list(pool.map(nothing, items, chunksize=100)))
        wrong_ms = ms(lambda: list(pool.map(nothing, items)))
    return Both(wrong_ms, mended_ms)


@pitfall("pool-per-call")
def pool_per_call() -> Both:
    """Workers that are started for a moment."""
    batches = [range(number, number + 8) for number in range(5)]

    def a_pool_each() -> None:
        for batch in batches:
            with FORK.Pool(_WORKERS) as pool:
                pool.map(abs, batch)

    def one_pool() -> None:
        with FORK.Pool(_WORKERS) as pool:
            for batch in batches:
                pool.map(abs, batch)

    return Both(ms(a_pool_each), ms(one_pool))


class Sized(NamedTuple):
    """A pool of so many workers on one core."""

    workers: int
    #: From its start to its end with a task for each, in ms.
    elapsed_ms: float
    #: The memory of its workers, in MiB.
    memory_mib: float


class OnOneCore(NamedTuple):
    """Pools where one core is allowed."""

    pools: List[Sized]
    #: Whether a quota of a control group allows no more, or the affinity.
    is_quota: bool


def pools_on_one_core(sizes: List[int]) -> OnOneCore:
    """Pools of these sizes, in a child that is allowed one core: by a quota where one can be had, as in a container."""
    here, there = FORK.Pipe()
    with here, host.one_core_group() as group, child(_on_one_core, there, sizes, group):
        there.close()
        result: OnOneCore = here.recv()
        return result


def _on_one_core(result: Connection[Any, Any], sizes: List[int], group: Optional[Path]) -> None:
    is_quota = group is not None and _enter(group)
    if not is_quota:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    result.send(OnOneCore([_pool(workers) for workers in sizes], is_quota))


def _enter(group: Path) -> bool:
    try:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        return False
    return True


def _pool(workers: int) -> Sized:
    def run() -> None:
        with FORK.Pool(workers) as pool:
            pool.map(nothing, range(workers), chunksize=1)

    elapsed_ms = median([ms(run) for _ in range(3)])
    with FORK.Pool(workers) as pool:
        pool.map(nothing, range(workers), chunksize=1)
        pids = [process.pid for process in multiprocessing.active_children()]
        memory_mib = sum(host.memory_mib(pid) for pid in pids if pid is not None)
    return Sized(workers, elapsed_ms, memory_mib)


@pitfall("cpu-count")
def cpu_count() -> Both:
    """`os.cpu_count` counts the machine's cores, not those that this process may use."""
    count = os.cpu_count() or 1
    if count == 1:
        raise Unavailable("this machine has one core: os.cpu_count() is right")
    (wrong, mended), is_quota = pools_on_one_core([count, 1])
    quota = host.quota_cores()
    how = "a quota of a control group" if is_quota else "affinity: no control group with a quota can be made here"
    shown = (
        f"one core is allowed by {how}\n"
        f"memory of the workers: {wrong.memory_mib:.1f} MiB, mended {mended.memory_mib:.1f} MiB\n"
        f"here: os.cpu_count() {count}, affinity {host.cores()}, "
        f"quota of the control group {'none' if quota is None else f'{quota:g} cores'}"
    )
    return Both(wrong.elapsed_ms, mended.elapsed_ms, shown)
