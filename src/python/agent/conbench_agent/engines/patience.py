"""Waiting that comes to an end."""

from __future__ import annotations

import threading
from typing import Callable

#: How long a pool may take to end by itself.
FAREWELL_S = 0.5


def farewell(end: Callable[[], object]) -> bool:
    """Ends a pool, and whether it did end: one that waits for a call of the user's, or hangs, is left alone."""
    ending = threading.Thread(target=end, name="conbench-farewell", daemon=True)
    ending.start()
    ending.join(FAREWELL_S)
    return not ending.is_alive()
