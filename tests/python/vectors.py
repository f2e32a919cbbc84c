"""The vectors of `tests/vectors`, which the native agent's tests make: this agent is held to the same."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any, Dict, List

_FOLDER = Path(__file__).resolve().parents[1] / "vectors"
#: The bytes in front of what is deflated of a histogram, and those of the header in it.
_COOKIE_BYTES, _HEADER_BYTES = 8, 40


def load(name: str) -> Dict[str, Any]:
    """The file of this name: lists of cases."""
    vectors: Dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_bytes())
    return vectors


def inflated(text: str) -> bytes:
    """What of a histogram's text does not depend on who deflates it."""
    return zlib.decompress(base64.b64decode(text)[_COOKIE_BYTES:])


def counts(text: str) -> List[List[int]]:
    """The lowest value of each bucket of a histogram that is not empty, with its count."""
    found: List[List[int]] = []
    index = number = shift = 0
    for byte in inflated(text)[_HEADER_BYTES:]:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            value = number >> 1 ^ -(number & 1)
            # A number below zero says how many buckets are empty.
            found += [[_lowest(index), value]] if value > 0 else []
            index += 1 if value >= 0 else -value
            number = shift = 0
    return found


def _lowest(index: int) -> int:
    """The lowest value of the bucket of this index: from 2048 on, each power of two has 1024 of them."""
    doublings = max(index // 1024 - 1, 0)
    return (index - doublings * 1024) << doublings
