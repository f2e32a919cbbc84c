"""What threads and processes are given to do. A process that is spawned imports this module, so it imports little."""

from __future__ import annotations

import threading

#: A lock of the module: each process that imports it has its own, a forked one has a copy as it just stood.
LOCK = threading.Lock()


def nothing(*_: object) -> None:
    """Does nothing: what is left is the cost of having it done elsewhere."""


def compute(turns: int) -> int:
    """Computes in Python alone, so that the thread needs the GIL all the time."""
    total = 0
    for number in range(turns):
        total += number * number
    return total


def take_lock() -> None:
    """Ends once it has had the module's lock."""
    with LOCK:
        pass


def fail(number: int) -> None:
    """A task that fails."""
    raise ValueError(f"item {number} is bad")
