"""The timing of loops, by a clock that only advances when it is told to."""

from __future__ import annotations

import asyncio
import unittest
from typing import Callable, List

from conbench_cheatsheet.timing import BUDGET_NS, FEWEST_LOOPS, LOOP_NS, MOST_LOOPS, Meter

READING_NS = 40
TURN_NS = 10
S = 1_000_000_000


def always(call_ns: int) -> Callable[[int], int]:
    return lambda _: call_ns


class Clock:
    """Each reading takes a time, and so does each turn of a loop."""

    def __init__(self) -> None:
        self.time_ns = 0
        self.loops: List[int] = []
        self.durations_ns: List[int] = []

    def now_ns(self) -> int:
        self.time_ns += READING_NS
        return self.time_ns

    def loop(self, call_ns: Callable[[int], int]) -> Callable[[int], None]:
        """A loop whose calls take what `call_ns` says of the loop's number, beside a turn each."""

        def run(calls: int) -> None:
            duration_ns = calls * (call_ns(len(self.loops)) + TURN_NS)
            self.loops.append(calls)
            self.durations_ns.append(duration_ns)
            self.time_ns += duration_ns

        return run

    def meter(self) -> Meter:
        meter = Meter(self.now_ns, self.loop(always(0)))
        self.loops.clear()
        self.durations_ns.clear()
        return meter


class Timing(unittest.TestCase):
    def test_the_clock_and_the_empty_loop_are_taken_off(self) -> None:
        clock = Clock()
        meter = clock.meter()
        self.assertEqual(meter.overhead_ns, READING_NS)
        self.assertAlmostEqual(meter.turn_ns, TURN_NS)
        for call_ns in (25, 1_000, 30_000, 7_000_000, 3 * S):
            self.assertAlmostEqual(meter.per_call(clock.loop(always(call_ns))), call_ns, places=3)

    def test_a_call_that_costs_nothing_is_not_below_zero(self) -> None:
        clock = Clock()
        meter = clock.meter()
        self.assertEqual(meter.per_call(clock.loop(always(-5))), 0)
        self.assertEqual(meter.per_call(clock.loop(always(1_000)), minus_ns=2_000), 0)

    def test_short_calls_are_made_so_often_that_the_clock_does_not_matter(self) -> None:
        clock = Clock()
        meter = clock.meter()
        meter.per_call(clock.loop(always(30)))
        counted = [duration for duration in clock.durations_ns if duration >= LOOP_NS]
        self.assertGreaterEqual(len(counted), FEWEST_LOOPS)
        self.assertEqual(len(set(clock.loops[-FEWEST_LOOPS:])), 1)
        # All that it takes is about what an item may take.
        self.assertLess(sum(clock.durations_ns), 1.5 * BUDGET_NS)

    def test_long_calls_are_made_five_times_after_one_that_does_not_count(self) -> None:
        clock = Clock()
        meter = clock.meter()
        meter.per_call(clock.loop(always(BUDGET_NS)))
        self.assertEqual(clock.loops, [1] * (1 + FEWEST_LOOPS))

    def test_there_are_never_more_loops_than_needed(self) -> None:
        clock = Clock()
        meter = clock.meter()
        meter.per_call(clock.loop(always(LOOP_NS)))
        self.assertLessEqual(len(clock.loops), 1 + MOST_LOOPS)

    def test_the_first_call_does_not_count(self) -> None:
        clock = Clock()
        meter = clock.meter()
        self.assertAlmostEqual(meter.per_call(clock.loop(lambda number: S if number == 0 else 5_000_000)), 5_000_000)

    def test_a_call_that_was_held_up_does_not_pass_for_a_long_one(self) -> None:
        clock = Clock()
        meter = clock.meter()
        held_up = clock.loop(lambda number: S if number in (0, 2, 4) else 30)
        self.assertAlmostEqual(meter.per_call(held_up), 30, places=3)
        self.assertGreaterEqual(clock.durations_ns[-1], LOOP_NS)

    def test_a_disturbed_loop_does_not_count(self) -> None:
        clock = Clock()
        meter = clock.meter()
        # The third and the fourth of six.
        disturbed = clock.loop(lambda number: S if number in (3, 4) else 30_000_000)
        self.assertAlmostEqual(meter.per_call(disturbed), 30_000_000)

    def test_a_figure_is_for_one_part_less_what_was_asked_for(self) -> None:
        clock = Clock()
        meter = clock.meter()
        self.assertAlmostEqual(meter.per_call(clock.loop(always(8_000)), parts=2), 4_000, places=3)
        self.assertAlmostEqual(meter.per_call(clock.loop(always(1_200)), minus_ns=1_000), 200, places=3)

    def test_a_loop_in_a_coroutine_is_timed_alike(self) -> None:
        clock = Clock()
        meter = clock.meter()
        loop = clock.loop(always(2_000))

        async def awaited(calls: int) -> None:
            loop(calls)

        async def main() -> float:
            return await meter.per_await(awaited, parts=4)

        self.assertAlmostEqual(asyncio.run(main()), 500, places=3)


class ByTheRealClock(unittest.TestCase):
    def test_the_meter_measures_what_it_takes_off(self) -> None:
        meter = Meter()
        self.assertGreater(meter.overhead_ns, 0)
        self.assertGreater(meter.turn_ns, 0)

        def loop(calls: int) -> None:
            for _ in range(calls):
                sum(range(100))

        self.assertGreater(meter.per_call(loop), 0)
