"""Histograms: what is recorded. What is written of it is in the vectors."""

from __future__ import annotations

import random
import unittest
from typing import List

from conbench_agent.histogram import Histogram


def histogram(values: List[int]) -> Histogram:
    recorded = Histogram()
    recorded.record_all(values)
    return recorded


def bucket(value: int) -> int:
    """The lowest value of the bucket of `value`: three digits are its first eleven bits."""
    dropped = max(value.bit_length() - 11, 0)
    return value >> dropped << dropped


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
