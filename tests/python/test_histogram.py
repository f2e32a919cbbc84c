"""Histograms, against strings that the Rust crate `hdrhistogram` wrote of the same values."""

from __future__ import annotations

import base64
import random
import unittest
import zlib
from typing import List

from conbench_agent.histogram import Histogram

#: What the crate wrote of 1, 20, 300,000 and 4,000,000,000; of the powers of two with their neighbours; of nothing.
FEW = "HISTFAAAADZ4nC2Iqw0AIBTE7g6Lw+IYhOVYgDAPk7AEHsEnvIo2aSwtAPD4OCuf9iVPO0paleqDOsaBCdM="
POWERS = (
    "HISTFAAAAE54nM3IsQnAIBCF4efzIKRKkSoQyBypMld6N3ASN7MVC71Dh/DB9x/cHeIJIGHMz+uAp9m+PB4UERIkd3WpV/2qOIu3"
    "bJaDUhfQAXmFMG8="
)
NOTHING = "HISTFAAAAB14nJNpmSzMwMDAyAABzFAazHcAYvsPUBEAP/UCuw=="


def plain(text: str) -> bytes:
    """A serialisation without its compression, which differs from one deflater to the next."""
    data = base64.b64decode(text)
    length = int.from_bytes(data[4:8], "big")
    assert (data[:4].hex(), length) == ("1c849314", len(data) - 8)
    return zlib.decompress(data[8:])


def histogram(values: List[int]) -> Histogram:
    recorded = Histogram()
    recorded.record_all(values)
    return recorded


def bucket(value: int) -> int:
    """The lowest value of the bucket of `value`: three digits are its first eleven bits."""
    dropped = max(value.bit_length() - 11, 0)
    return value >> dropped << dropped


class Encoding(unittest.TestCase):
    def test_the_interchange_format_is_that_of_the_crate(self) -> None:
        powers = [2**power + difference for power in range(45) for difference in (-1, 0, 1)]
        for values, written in ([1, 20, 300_000, 4_000_000_000], FEW), (powers, POWERS), ([], NOTHING):
            self.assertEqual(plain(histogram(values).encode()), plain(written))


class Recording(unittest.TestCase):
    def test_values_fall_into_buckets_of_three_digits(self) -> None:
        rng = random.Random(7)
        values = [rng.getrandbits(rng.randrange(53)) for _ in range(2000)]
        recorded = histogram(values)
        self.assertEqual(len(recorded), len(values))
        expected = sorted({bucket(value) for value in values})
        self.assertEqual([lowest for lowest, _ in recorded.buckets()], expected)
        self.assertEqual(sum(count for _, count in recorded.buckets()), len(values))

    def test_one_by_one_is_the_same_as_all_at_once(self) -> None:
        values = [0, 1, 1023, 1024, 2047, 2048, 2049, 5_000_000]
        single = Histogram()
        for value in values:
            single.record(value, 2)
        single.record(3, 0)
        double = histogram(values)
        double.add(histogram(values))
        self.assertEqual(single.buckets(), double.buckets())
        self.assertEqual(single.encode(), double.encode())

    def test_below_zero_is_zero(self) -> None:
        self.assertEqual(histogram([-1, 0, -(10**12)]).buckets(), [(0, 3)])


if __name__ == "__main__":
    unittest.main()
