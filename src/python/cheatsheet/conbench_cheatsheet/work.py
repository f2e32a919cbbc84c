"""What threads and processes are given to do. A process that is spawned imports this module, so it imports little."""

from __future__ import annotations


def nothing(*_: object) -> None:
    """Does nothing: what is left is the cost of having it done elsewhere."""
