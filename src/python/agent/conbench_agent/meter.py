"""What this process and its children used of the machine."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from typing import Collection, Iterable, Iterator, List, NamedTuple, Set


class Usage(NamedTuple):
    """CPU time and context switches, as `block` frames hold them."""

    user_ns: int = 0
    system_ns: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    #: What of the CPU time was used by programs that tasks started: they need no lock of this interpreter.
    children_ns: int = 0

    def plus(self, other: Usage) -> Usage:
        """Field by field the sum."""
        return Usage(*(mine + others for mine, others in zip(self, other)))

    def since(self, earlier: Usage) -> Usage:
        """Field by field `self - earlier`, never below zero."""
        return Usage(*(max(now - before, 0) for now, before in zip(self, earlier)))


def usage() -> Usage:
    """What this process and its reaped children used so far."""
    children = _of(resource.RUSAGE_CHILDREN)
    return _of(resource.RUSAGE_SELF).plus(children._replace(children_ns=children.user_ns + children.system_ns))


def of_children(children_ns: int) -> Usage:
    """This CPU time as that of programs that tasks started; which part of it the kernel took is not told."""
    return Usage(user_ns=children_ns, children_ns=children_ns)


class Reaped:
    """CPU time of the children that this process has reaped, read from time to time."""

    def __init__(self) -> None:
        """Reads it once."""
        self._before_ns = self._now_ns()

    def since_last(self) -> int:
        """What came since the reading before."""
        before_ns, self._before_ns = self._before_ns, self._now_ns()
        return self._before_ns - before_ns

    @staticmethod
    def _now_ns() -> int:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return round((children.ru_utime + children.ru_stime) * 1e9)


class Tally:
    """A sum of CPU time that others report bit by bit; written by one thread at a time."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.ns = 0


def programs(pids: Iterable[int], known: Collection[int]) -> Usage:
    """What programs used so far that these processes started and that live: their children and theirs.

    `known` are the processes that are no such programs: an engine's own workers and helpers.
    """
    return of_children(sum(map(_process_cpu_ns, _descendants(pids, set(known)))))


def below(pid: int, known: Collection[int] = ()) -> List[int]:
    """The processes that live below this one, but for those that are known, and what they started."""
    return list(_descendants([pid], set(known)))


def _descendants(pids: Iterable[int], known: Set[int]) -> Iterator[int]:
    for pid in pids:
        new = [child for child in _children(pid) if child not in known]
        known.update(new)
        yield from new
        yield from _descendants(new, known)


def _children(pid: int) -> Iterator[int]:
    """The living children of a process, by the thread that started them; none where the kernel does not tell."""
    # A process or thread that ends meanwhile has none.
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                yield from map(int, file.read().split())


def live(pids: Iterable[int]) -> Usage:
    """The CPU time that live processes used so far, by their CPU clocks.

    The clock does not tell user from kernel mode; all of it is counted as user time.
    """
    return Usage(user_ns=sum(_process_cpu_ns(pid) for pid in pids))


def cpu_ns(pids: Iterable[int]) -> int:
    """The CPU time that this process, its reaped children and these live processes used so far."""
    children = _of(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + children.user_ns + children.system_ns + live(pids).user_ns


def _of(who: int) -> Usage:
    raw = resource.getrusage(who)
    return Usage(round(raw.ru_utime * 1e9), round(raw.ru_stime * 1e9), raw.ru_nvcsw, raw.ru_nivcsw)


def _process_cpu_ns(pid: int) -> int:
    # What clock_getcpuclockid(3) computes: the process's number, inverted, above three bits that say which clock.
    scheduler_clock = 2
    try:
        return time.clock_gettime_ns((~pid << 3) | scheduler_clock)
    except OSError:
        return 0  # It is gone: its usage is now among that of reaped children.
