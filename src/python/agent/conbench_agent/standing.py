"""Where the threads of this process stand, told when the controller asks: it does when nothing happens any more."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Optional

#: SIGURG: whoever does not know it ignores it.
_ASK = 23
_STDERR = 2


class Item:
    """At which item a process is."""

    def __init__(self) -> None:
        """At none yet."""
        self.place: Optional[int] = None

    def tell(self, _number: int, _frame: Optional[FrameType]) -> None:
        """Writes it to standard error."""
        if self.place is not None:
            os.write(_STDERR, f"conbench: at item {self.place}\n".encode())


def tell_when_asked() -> None:
    """From now on, and in processes that this one forks, a signal writes the threads' stacks to standard error."""
    # A program may have closed its standard error. An interpreter beside the main one has no signals, and (in CPython
    # 3.14) no such module.
    with suppress(Exception):
        import faulthandler

        faulthandler.register(_ASK, _STDERR, all_threads=True)


def tell_when_asked_at(item: Item) -> None:
    """The signal has the main thread write at which item it is, too, where it can still run Python."""
    with suppress(Exception):
        # The user's code may have a use for the signal.
        if signal.getsignal(_ASK) != signal.SIG_DFL:
            return
        import faulthandler

        faulthandler.unregister(_ASK)
        signal.signal(_ASK, item.tell)
        faulthandler.register(_ASK, _STDERR, all_threads=True, chain=True)
