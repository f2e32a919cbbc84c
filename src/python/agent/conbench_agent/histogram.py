"""HDR histograms of nanoseconds: three significant digits, nothing clamped.

They are written in the V2 DEFLATE interchange format of the HdrHistogram project, as base64.
"""

from __future__ import annotations

import base64
import struct
import sys
import zlib
from array import array
from collections import Counter
from itertools import repeat
from operator import rshift
from typing import Dict, List, Tuple

_V2_COOKIE = 0x1C84_9303 | 0x10
_COMPRESSED_COOKIE = 0x1C84_9304 | 0x10
_SIGNIFICANT_DIGITS = 3
#: Buckets of values between one power of two and the next: as many as three digits need.
_HALF = 1024
_HALF_BITS = 10
#: The range that a histogram says it has, until a value is out of its last buckets: about a second.
_RANGE_NS = 1 << 30

# A double holds a number as its exponent, then 52 bits of mantissa. Exponent and first ten bits of mantissa, which lie
# in the upper 32 bits, are just what an HDR histogram of three digits tells apart.
_UPPER_HALF = 1 if sys.byteorder == "little" else 0
_MANTISSA_BITS_IN_UPPER_HALF = 20
_EXPONENT_BIAS = 1023


class Histogram:
    """How often each value was recorded; memory grows with the number of distinct values, to three digits, alone."""

    def __init__(self) -> None:
        """Nothing recorded."""
        #: Counts by the upper bits of the value as a double.
        self._counts: Counter[int] = Counter()

    def record_all(self, values: List[int]) -> None:
        """Records values below 2**53; one below zero counts as zero."""
        # All of this runs in C: about 0.1 us a value, where a loop takes some 0.4.
        upper_halves = memoryview(array("d", values)).cast("B").cast("I")[_UPPER_HALF::2]
        self._counts.update(map(rshift, upper_halves, repeat(_MANTISSA_BITS_IN_UPPER_HALF - _HALF_BITS)))

    def record(self, value: int, count: int = 1) -> None:
        """Records one value, `count` times."""
        if count:
            [upper_half] = memoryview(array("d", [value])).cast("B").cast("I")[_UPPER_HALF::2]
            self._counts[upper_half >> (_MANTISSA_BITS_IN_UPPER_HALF - _HALF_BITS)] += count

    def add(self, other: Histogram) -> None:
        """Records all that `other` holds."""
        self._counts.update(other._counts)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def buckets(self) -> List[Tuple[int, int]]:
        """The lowest value of each bucket that is not empty, with its count, in order."""
        lowest: Counter[int] = Counter()
        for key, count in self._counts.items():
            lowest[_lowest_value(key)] += count
        return sorted(lowest.items())

    def encode(self) -> str:
        """The base64 of its V2 DEFLATE serialisation."""
        buckets = self.buckets()
        longest = buckets[-1][0] if buckets else 0
        highest = _RANGE_NS if longest < 2 * _RANGE_NS else (1 << longest.bit_length()) - 1
        counts = _encode_counts({_index(value): count for value, count in buckets})
        # Payload length, normalising offset, digits, lowest and highest value, conversion ratio.
        header = struct.pack(">IIIIqqd", _V2_COOKIE, len(counts), 0, _SIGNIFICANT_DIGITS, 1, highest, 1.0)
        deflated = zlib.compress(header + counts)
        return base64.b64encode(struct.pack(">II", _COMPRESSED_COOKIE, len(deflated)) + deflated).decode()


def _lowest_value(key: int) -> int:
    """The lowest value whose double has these upper bits."""
    exponent = (key >> _HALF_BITS) - _EXPONENT_BIAS
    if exponent < 0 or exponent > _EXPONENT_BIAS:
        return 0  # Zero itself, or beyond all exponents the sign of a negative number.
    mantissa = key % _HALF + _HALF
    return mantissa << exponent >> _HALF_BITS


def _index(value: int) -> int:
    """The place of a value in the array of counts.

    Values below 2048 have a bucket each; above, each power of two has 1024 buckets, twice as wide as those before.
    """
    doublings = max(value.bit_length() - (_HALF_BITS + 1), 0)
    return doublings * _HALF + (value >> doublings)


def _encode_counts(counts: Dict[int, int]) -> bytes:
    """The array of counts up to the last that is not zero: each count, or how many zeros follow as a negative number.

    At least one count is written: an empty histogram is a single zero.
    """
    encoded = bytearray()
    position = 0
    for index in sorted(counts):
        zeros = index - position
        if zeros:
            encoded += _varint(-zeros if zeros > 1 else 0)
        encoded += _varint(counts[index])
        position = index + 1
    return bytes(encoded or _varint(0))


def _varint(number: int) -> bytes:
    """A signed number in zigzag LEB128: seven bits a byte, the lowest first, the sign as the lowest bit."""
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    encoded = bytearray()
    # A ninth byte would hold eight bits; no count gets there.
    while rest >= 0x80:
        encoded.append(0x80 | rest & 0x7F)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
