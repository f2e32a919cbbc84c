"""What this process and its children used of the machine."""

from __future__ import annotations

import resource
import time
from typing import Iterable, NamedTuple


class Usage(NamedTuple):
    """CPU time and context switches, as `block` frames hold them."""

    user_ns: int = 0
    system_ns: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0

    def plus(self, other: Usage) -> Usage:
        """Field by field the sum."""
        return Usage(*(mine + others for mine, others in zip(self, other)))

    def since(self, earlier: Usage) -> Usage:
        """Field by field `self - earlier`, never below zero."""
        return Usage(*(max(now - before, 0) for now, before in zip(self, earlier)))


def usage() -> Usage:
    """What this process and its reaped children used so far."""
    return _of(resource.RUSAGE_SELF).plus(_of(resource.RUSAGE_CHILDREN))


def live(pids: Iterable[int]) -> Usage:
    """The CPU time that live processes used so far, by their CPU clocks.

    The clock does not tell user from kernel mode; all of it is counted as user time.
    """
    return Usage(user_ns=sum(_process_cpu_ns(pid) for pid in pids))


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
