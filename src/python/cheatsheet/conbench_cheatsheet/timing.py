"""The timing of loops: how often a call is made so that the clock does not matter, and what is taken off.

An item hands over a function that makes a given number of calls in a plain `for` loop, as a user would write it. The
clock is read before and after the loop, never within. What the two readings and an empty loop cost is taken off.
"""

from __future__ import annotations

import time
from typing import Awaitable, Callable, Generator, List, Optional, Sequence

#: A loop takes at least so long: some thousand times what a reading of the clock takes, and much less than the time
#: that the scheduler lets a thread run on a busy machine, so that most loops are not interrupted.
LOOP_NS = 500_000
#: So long all loops of an item take together, if five of them take no longer.
BUDGET_NS = 18_000_000
#: The same where threads or processes wake each other: what that costs depends on the cores that the scheduler has
#: them on, which changes every few milliseconds, so more of it has to be seen.
SWITCHING_BUDGET_NS = 36_000_000
#: How many loops there are at least and at most. Their median is the figure.
FEWEST_LOOPS = 5
MOST_LOOPS = 90

#: No loop makes more calls.
_MOST_CALLS = 10_000_000

#: Yields how many calls the next loop makes, gets how long it took in ns, and returns the ns of one call.
_Schedule = Generator[int, int, float]


class Meter:
    """Times loops by a clock that counts nanoseconds."""

    def __init__(
        self, now_ns: Callable[[], int] = time.perf_counter_ns, empty: Optional[Callable[[int], object]] = None
    ) -> None:
        empty = empty or _empty
        self._now_ns = now_ns
        #: What is measured of a loop that makes no call.
        self.overhead_ns = median([self._timed(empty, 0) for _ in range(51)])
        #: What an empty loop takes for each of its turns.
        self.turn_ns = 0.0
        self.turn_ns = self.per_call(empty)

    def per_call(
        self,
        loop: Callable[[int], object],
        parts: float = 1,
        minus_ns: float = 0,
        budget_ns: int = BUDGET_NS,
    ) -> float:
        """The ns of one of the `parts` of a call, less `minus_ns`, which the call was asked to take.

        `loop` makes as many calls as it is told.
        """
        schedule = self._schedule(budget_ns)
        calls = next(schedule)
        while True:
            try:
                calls = schedule.send(self._timed(loop, calls))
            except StopIteration as end:
                return _part(end.value, parts, minus_ns)

    async def per_await(
        self,
        loop: Callable[[int], Awaitable[object]],
        parts: float = 1,
        minus_ns: float = 0,
        budget_ns: int = BUDGET_NS,
    ) -> float:
        """As `per_call`, of a loop within a coroutine."""
        now_ns = self._now_ns
        schedule = self._schedule(budget_ns)
        calls = next(schedule)
        while True:
            start_ns = now_ns()
            await loop(calls)
            elapsed_ns = now_ns() - start_ns
            try:
                calls = schedule.send(elapsed_ns)
            except StopIteration as end:
                return _part(end.value, parts, minus_ns)

    def _timed(self, loop: Callable[[int], object], calls: int) -> int:
        now_ns = self._now_ns
        start_ns = now_ns()
        loop(calls)
        return now_ns() - start_ns

    def _schedule(self, budget_ns: int) -> _Schedule:
        # The first call finds nothing ready, so it does not count.
        calls = 1
        elapsed_ns = yield calls
        while calls < _MOST_CALLS:
            if elapsed_ns >= LOOP_NS:
                # It may have been held up: it takes as long only if it does so twice.
                elapsed_ns = yield calls
                if elapsed_ns >= LOOP_NS:
                    break
            # A short loop tells little of a long one: it grows step by step, a little beyond what is needed.
            needed = int(1.1 * calls * LOOP_NS / max(elapsed_ns, 1)) + 1
            calls = min(needed, 16 * calls, _MOST_CALLS)
            elapsed_ns = yield calls
        loops = min(max(int(budget_ns / max(elapsed_ns, 1)), FEWEST_LOOPS), MOST_LOOPS)
        samples: List[float] = [(elapsed_ns - self.overhead_ns) / calls]
        while len(samples) < loops:
            elapsed_ns = yield calls
            samples.append((elapsed_ns - self.overhead_ns) / calls)
        return max(median(samples) - self.turn_ns, 0.0)


def median(samples: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle; the module `statistics` is large to import."""
    ordered = sorted(samples)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _empty(calls: int) -> None:
    for _ in range(calls):
        pass


def _part(per_call_ns: float, parts: float, minus_ns: float) -> float:
    return max(per_call_ns - minus_ns, 0.0) / parts


def seconds(run: Callable[[], object]) -> float:
    """How long something takes that is run once."""
    start_ns = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start_ns) / 1e9


def ms(run: Callable[[], object]) -> float:
    """The same in milliseconds."""
    return seconds(run) * 1e3
