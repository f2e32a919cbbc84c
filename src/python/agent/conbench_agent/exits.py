"""What Python runs at exit, for a life that ends by itself: the user's modules may have files and processes to remove.

An agent ends with `os._exit`, since threads that a task left behind must not keep it alive, and that runs none of it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress

#: How long it may take in all. The controller kills what takes longer.
LONGEST_S = 1.0


def run(status: int) -> None:
    """Runs what was registered in this process, and ends it with this status if that takes too long."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: os._exit(status))
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    _say_nothing()
    if status != 0:
        _wait_for_no_process()
    with suppress(BaseException):
        atexit._run_exitfuncs()


def forget() -> None:
    """Has this process, which is a fork, run nothing that its parent registered: what that removes is not its own."""
    atexit._clear()
    # What registers itself once in a process would not do so again.
    finalize = getattr(sys.modules.get("weakref"), "finalize", None)
    if finalize is not None:
        for known in finalize._registry.values():
            known.atexit = False
        if finalize._registered_with_atexit:
            atexit.register(finalize._exitfunc)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()
        atexit.register(util._exit_function)


def _say_nothing() -> None:
    """Nobody reads what is printed now: a full pipe would be waited for."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)


def _wait_for_no_process() -> None:
    """Has `multiprocessing` not wait for the workers of an engine that was abandoned: whoever killed them need not."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        vars(process)["_children"].clear()
