"""Processes that an item starts: they end with it, and with this process, however it ends.

The workers of a `multiprocessing.Pool` end by themselves when their parent is gone: they read the end of their queue.
Those of other pools, and children that wait for something else, need a tether.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import Any, Callable, Iterator

#: The start method by which standing children begin: what is sent to them later costs the same under all of them.
FORK = multiprocessing.get_context("fork")

#: No child of an item lives longer, in seconds.
_LONGEST_LIFE_S = 60
#: So long a child that was asked to end has for it, in seconds.
_PATIENCE_S = 2.0


def tether() -> None:
    """Has the kernel kill this process when its parent ends, or after a minute, whatever it waits for then."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LONGEST_LIFE_S)
    # An interpreter without ctypes keeps the minute.
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL), 0, 0, 0)
    parent = multiprocessing.parent_process()
    # The parent may have ended before the kernel knew.
    if parent is not None and parent.pid != os.getppid():
        os._exit(1)


@contextmanager
def child(target: Callable[..., object], *arguments: Any) -> Iterator[multiprocessing.process.BaseProcess]:
    """A child that runs `target`; whoever asks for it has it end by then, else it is killed."""
    process = FORK.Process(target=_run, args=(target, arguments))
    process.start()
    try:
        yield process
    finally:
        end(process, _PATIENCE_S)


def _run(target: Callable[..., object], arguments: Any) -> None:
    tether()
    target(*arguments)


def end(process: multiprocessing.process.BaseProcess, patience_s: float) -> bool:
    """Waits for a child, kills it if it does not end by itself, and returns whether it did."""
    process.join(patience_s)
    by_itself = not process.is_alive()
    if not by_itself:
        process.kill()
        process.join()
    process.close()
    return by_itself


def stop_helpers() -> None:
    """Ends the processes that `multiprocessing` keeps for whoever used it, and waits until they are gone."""
    for module, instance in (("forkserver", "_forkserver"), ("resource_tracker", "_resource_tracker")):
        helper = getattr(sys.modules.get(f"multiprocessing.{module}"), instance, None)
        # Some versions have no such method: then the helper ends a little after this process.
        stop = getattr(helper, "_stop", None)
        if stop is not None:
            stop()
