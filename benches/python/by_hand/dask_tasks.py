"""What a task does on the workers of `dask_by_hand`, which are sent this file."""

from __future__ import annotations

import time
from typing import Tuple


def sleep(item: Tuple[int, int]) -> int:
    """Sleeps for so many nanoseconds, or does nothing."""
    amount_ns, index = item
    if amount_ns:
        time.sleep(amount_ns / 1e9)
    return index
