"""What goes wrong, as exceptions. Their text is what the program says, or as short."""

from __future__ import annotations

from typing import Optional


class ConbenchError(Exception):
    """Whatever keeps `recommend` from an answer."""


class BadInput(ConbenchError, ValueError):
    """Something that was asked for cannot be, and nothing was measured: an argument, an item, an interpreter."""


class NeedsCloudpickle(BadInput):
    """A function or an item has no module that another process could import, and cloudpickle is not installed."""


class NoAnswer(ConbenchError):
    """It was measured, and nothing could be compared: every candidate failed, or the budget was too small.

    `table` is what a terminal shows of it, with every failure.
    """

    def __init__(self, message: str, table: Optional[str] = None) -> None:
        super().__init__(message)
        self.table = table


class InsideAgent(ConbenchError):
    """`recommend` was called by code that is being measured: a module that calls it when it is imported."""


class ProgramNotFound(ConbenchError):
    """The program `conbench` is nowhere to be found."""


class ProgramFailed(ConbenchError):
    """The program ended in a way that it never should."""


class ConbenchWarning(UserWarning):
    """What the program warns of while it measures.

    Where a warning is made an error, its `answer` is what was found, or None.
    """

    answer: object = None
