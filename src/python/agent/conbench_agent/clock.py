"""The clock and precise waits: `CLOCK_MONOTONIC` in nanoseconds, the same in all processes.

A wait stands for a device that answers on time, so it must not favour an engine by its timer. The timers of
the runtime are not precise enough for that: a thread's sleep is late by the kernel's timer slack (50 us), an
event loop rounds its sleeps up to a millisecond. Here a thread gives its slack away, and an event loop waits
for one timerfd with all its deadlines behind it; both are late by some 10 to 60 us, most of which the kernel
takes to wake a process.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Callable, List, Optional, Tuple

from .protocol import Failure

if TYPE_CHECKING:
    import asyncio

#: Now, in nanoseconds of `CLOCK_MONOTONIC`.
now_ns = time.monotonic_ns

_NS_PER_S = 1_000_000_000
_NEVER_NS = sys.maxsize


class _Thread(threading.local):
    """What belongs to one thread."""

    precise: bool = False
    timer: Optional[Timer] = None


_thread = _Thread()


def wait_until(deadline_ns: int) -> None:
    """Blocks this thread until the clock shows `deadline_ns`, precisely, without the GIL."""
    _set_precise(True)
    _sleep_until(deadline_ns)


def sleep_with_default_slack(time_ns: int) -> None:
    """`time.sleep` with the slack that a thread has by default, whatever waited before on it."""
    _set_precise(False)
    time.sleep(time_ns / _NS_PER_S)


def _set_precise(precise: bool) -> None:
    """Sets this thread's timer slack, once: 1 ns, or the default that it was born with (0 stands for it)."""
    if _thread.precise is precise:
        return
    _thread.precise = precise
    # As prctl(PR_SET_TIMERSLACK) would. A kernel that refuses leaves the default in force.
    with contextlib.suppress(OSError), open(f"/proc/{threading.get_native_id()}/timerslack_ns", "wb", 0) as slack:
        slack.write(b"1" if precise else b"0")


if sys.version_info >= (3, 11):

    def _sleep_until(deadline_ns: int) -> None:
        # time.sleep is an absolute clock_nanosleep inside, and costs less than one through ctypes.
        while (remaining_ns := deadline_ns - now_ns()) > 0:
            time.sleep(remaining_ns / _NS_PER_S)

else:
    _nanosleep: Optional[Callable[[int], None]] = None

    def _sleep_until(deadline_ns: int) -> None:
        # time.sleep is a select() inside, to which the kernel adds a slack of 0.1 % of the time.
        global _nanosleep
        if now_ns() < deadline_ns:
            if _nanosleep is None:
                _nanosleep = _clock_nanosleep()
            _nanosleep(deadline_ns)

    def _clock_nanosleep() -> Callable[[int], None]:
        """The absolute `clock_nanosleep` of the C library, which releases the GIL."""
        _require_ctypes()
        import ctypes
        import errno

        function = ctypes.CDLL(None).clock_nanosleep
        function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        timespec = ctypes.c_long * 2
        timer_abstime = 1

        def nanosleep(deadline_ns: int) -> None:
            deadline = timespec(*divmod(deadline_ns, _NS_PER_S))
            # Interrupted by a signal: the deadline is absolute, so the wait just goes on.
            while function(time.CLOCK_MONOTONIC, timer_abstime, deadline, None) == errno.EINTR:
                pass

        return nanosleep


def timer() -> Timer:
    """The timer of the running event loop, made at its first wait."""
    # asyncio takes long to import, and only event loops need it; they have imported it.
    import asyncio

    loop = asyncio.get_running_loop()
    timer = _thread.timer
    if timer is None or timer.loop is not loop:
        timer = _thread.timer = Timer(loop)
    return timer


class Timer:
    """The precise waits of one event loop: one timerfd and a heap of deadlines.

    A million waits cost a million heap entries and one descriptor.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: List[Tuple[int, int, asyncio.Future[None]]] = []
        # Tells entries with the same deadline apart: futures cannot be compared.
        self._numbers = itertools.count()
        self._armed_ns = _NEVER_NS
        self._descriptor, self._set_time = _timerfd()
        loop.add_reader(self._descriptor, self._wake_due)

    def __del__(self) -> None:
        # The loop's reader held this timer, so the loop is closed, or the timer was never whole.
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    async def wait_until(self, deadline_ns: int) -> None:
        """Returns when the clock shows `deadline_ns`."""
        if now_ns() >= deadline_ns:
            return
        due = self.loop.create_future()
        heapq.heappush(self._waiting, (deadline_ns, next(self._numbers), due))
        if deadline_ns < self._armed_ns:
            self._arm(deadline_ns)
        await due

    def _arm(self, deadline_ns: int) -> None:
        self._armed_ns = deadline_ns
        # All zero disarms it.
        self._set_time(deadline_ns if deadline_ns != _NEVER_NS else 0)

    def _wake_due(self) -> None:
        """Wakes all that are due and arms the timerfd for the next one."""
        waiting = self._waiting
        now = now_ns()
        while waiting and waiting[0][0] <= now:
            due = heapq.heappop(waiting)[2]
            if not due.done():  # It is when its task was cancelled.
                due.set_result(None)
        # Setting the time takes back the readiness that woke the loop: there is no need to read.
        self._arm(waiting[0][0] if waiting else _NEVER_NS)


if sys.version_info >= (3, 13):

    def _timerfd() -> Tuple[int, Callable[[int], None]]:
        """A new timerfd, and the function that arms it for a time of the clock."""
        descriptor = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_CLOEXEC | os.TFD_NONBLOCK)

        def set_time(deadline_ns: int) -> None:
            os.timerfd_settime_ns(descriptor, flags=os.TFD_TIMER_ABSTIME, initial=deadline_ns)

        return descriptor, set_time

else:

    def _timerfd() -> Tuple[int, Callable[[int], None]]:
        """A new timerfd, and the function that arms it for a time of the clock."""
        _require_ctypes()
        import ctypes

        # Neither call blocks: both keep the GIL, which a PyDLL does.
        libc = ctypes.PyDLL(None, use_errno=True)
        settime = libc.timerfd_settime
        settime.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        # TFD_CLOEXEC and TFD_NONBLOCK are these two by definition.
        descriptor: int = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK)
        if descriptor < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"cannot make a timerfd: {os.strerror(error)}")
        timer_abstime = 1
        # A struct itimerspec: no interval, then the time.
        setting = (ctypes.c_long * 4)()

        def set_time(deadline_ns: int) -> None:
            setting[2], setting[3] = divmod(deadline_ns, _NS_PER_S)
            settime(descriptor, timer_abstime, setting, None)

        return descriptor, set_time


def _require_ctypes() -> None:
    try:
        import ctypes  # noqa: F401
    except ImportError as error:
        raise Failure(
            "setup",
            f"a precise wait needs the module `ctypes` before CPython 3.13, and this interpreter has none ({error}); "
            "install libffi and build it again, or take a later CPython",
        ) from error
