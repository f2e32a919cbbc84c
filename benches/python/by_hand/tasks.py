"""What a task does, in plain Python: the work that the engines' steps do, with nothing around it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from array import array

#: `cpu` (the amount is a number of rounds), `sleep` (of nanoseconds) or `sha256` (of rounds).
WORK = sys.argv[1]
AMOUNT = int(sys.argv[2])

WORDS = array("Q", os.urandom(8192))
DATA = os.urandom(1 << 20)


def cpu(index: int) -> int:
    """Arithmetic on 64-bit numbers."""
    total = index
    for _ in range(AMOUNT):
        for word in WORDS:
            total = ((total ^ word) * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) & 0xFFFF_FFFF_FFFF_FFFF
    return total


def sleep(index: int) -> int:
    """Sleeps."""
    time.sleep(AMOUNT / 1e9)
    return index


def sha256(index: int) -> int:
    """Hashes a mebibyte."""
    digest = b""
    for _ in range(AMOUNT):
        digest = hashlib.sha256(DATA).digest()
    return index + digest[0]


work = {"cpu": cpu, "sleep": sleep, "sha256": sha256}[WORK]


async def work_async(index: int) -> int:
    """The same on an event loop, where only sleeping has an async form."""
    if WORK == "sleep":
        await asyncio.sleep(AMOUNT / 1e9)
        return index
    return work(index)
