"""A bound on the user's own code where it may wait for ever."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional


@contextmanager
def at_most(seconds: float, error: Optional[BaseException] = None) -> Iterator[None]:
    """Raises this, or TimeoutError, in its block after so long, as far as a signal can.

    A signal does it, in this thread: what is called may be bound to the thread that began it. So it does nothing in any
    other than the main thread, nor where the user's own code has a use for the alarm.
    """
    is_free = signal.getsignal(signal.SIGALRM) == signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    if threading.current_thread() is not threading.main_thread() or not is_free:
        yield
        return

    def over(_number: int, _frame: Optional[FrameType]) -> None:
        raise error or TimeoutError(f"it did not end within {seconds:g} s")

    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
