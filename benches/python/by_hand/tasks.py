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

#: As many different inputs as the steps have: one alone would stay in a cache.
INPUTS = 16
WORDS = [array("Q", os.urandom(8192)) for _ in range(INPUTS)]
DATA = [os.urandom(1 << 20) for _ in range(INPUTS if WORK == "sha256" else 0)]


def cpu(index: int) -> int:
    """Arithmetic on 64-bit numbers."""
    words, total = WORDS[index % INPUTS], index
    for _ in range(AMOUNT):
        for word in words:
            total = ((total ^ word) * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) & 0xFFFF_FFFF_FFFF_FFFF
    return total


def sleep(index: int) -> int:
    """Sleeps."""
    time.sleep(AMOUNT / 1e9)
    return index


def sha256(index: int) -> int:
    """Hashes a mebibyte."""
    data, digest = DATA[index % INPUTS], b""
    for _ in range(AMOUNT):
        digest = hashlib.sha256(data).digest()
    return index + digest[0]


work = {"cpu": cpu, "sleep": sleep, "sha256": sha256}[WORK]


async def work_async(index: int) -> int:
    """The same on an event loop, where only sleeping has an async form."""
    if WORK == "sleep":
        await asyncio.sleep(AMOUNT / 1e9)
        return index
    return work(index)
