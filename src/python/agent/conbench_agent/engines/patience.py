"""Waiting that comes to an end."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Callable

from ..protocol import Failure

#: How long a pool may take to end by itself.
END_S = 0.5
#: How long the user's code may take to tear down what it set up: less than a controller waits for the last word.
LEAVE_S = 3.0


def end_in_time(end: Callable[[], object]) -> bool:
    """Ends a pool, and whether it did end: one that waits for a call of the user's, or hangs, is left alone."""
    ending = threading.Thread(target=end, name="conbench-end", daemon=True)
    ending.start()
    ending.join(END_S)
    return not ending.is_alive()


class Patience:
    """What looks after workers that are to tear down: raises when they never will, and when it takes too long."""

    def __init__(self, look: Callable[[], None]) -> None:
        """With what looks whether they still may."""
        self._look = look
        self._deadline = monotonic() + LEAVE_S

    def left_s(self) -> float:
        """How long it may still take."""
        return max(self._deadline - monotonic(), 0.0)

    def __call__(self) -> None:
        """Looks, and raises if there is nothing more to wait for."""
        self._look()
        if self.left_s() == 0:
            raise Failure(
                "setup", f"workers were not torn down within {LEAVE_S:g} s: a task or a teardown hangs in one"
            )
