"""Where the threads of this process stand, told when the controller asks: it does when nothing happens any more."""

from __future__ import annotations

import faulthandler
from contextlib import suppress

#: SIGURG: whoever does not know it ignores it.
_ASK = 23
_STDERR = 2


def tell_when_asked() -> None:
    """From now on, and in processes that this one forks, a signal writes the threads' stacks to standard error."""
    # A program may have closed its standard error, and an interpreter beside the main one has no signals.
    with suppress(Exception):
        faulthandler.register(_ASK, _STDERR, all_threads=True)
