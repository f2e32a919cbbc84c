"""What holds an engine to a rate: a token bucket outside of its tasks, where the next task is taken.

A bucket begins empty, and each block has one of its own. Agents run their blocks one after another, and what is left
in the far side's bucket when a block begins is not known to its agent: with an empty one no change of agents grants a
burst, so the law holds over the whole session. What waits for the first tokens is outside of every window: a closed
load begins with one, and a batch, whose makespan has the burst in it, once its burst is there, as it would be for a
user's program that begins.
"""

from __future__ import annotations

import threading
from time import monotonic_ns
from typing import Callable, Optional, Tuple

from .clock import wait_until
from .protocol import Rate
from .sampler import Lane, Sampler, Settings

#: A feeder that waits for its token looks this often whether the block is over.
_LOOK_NS = 50_000_000


class Bucket:
    """A token bucket, by the generic cell rate algorithm (ITU-T I.371): one time says all, so nothing drifts.

    In any time `t` it gives at most `burst + t / interval` tokens.
    """

    def __init__(self, rate: Rate, now_ns: int) -> None:
        """It is empty at `now_ns`."""
        #: Rounded up, so that the rate is never exceeded.
        self._interval_ns = -(-rate.period_ns // rate.tasks)
        self._burst = rate.burst
        #: When it would be full again, if no token were taken (the theoretical arrival time).
        self.full_ns = now_ns + self._burst * self._interval_ns

    @staticmethod
    def filled(rate: Rate, at_once: int) -> Bucket:
        """A bucket that was empty and holds so many tokens now, or is full: for tasks that come at once."""
        bucket = Bucket(rate, monotonic_ns())
        wait_until(bucket.holds_ns(at_once))
        return bucket

    @property
    def ready_ns(self) -> int:
        """When there is a token, or was."""
        return self.full_ns - (self._burst - 1) * self._interval_ns

    def holds_ns(self, tokens: int) -> int:
        """When it holds so many tokens, or as many as it can, if none is taken."""
        return self.full_ns - (self._burst - min(max(tokens, 1), self._burst)) * self._interval_ns

    def take(self, now_ns: int) -> bool:
        """Takes a token, if there is one at `now_ns`; whether there was."""
        if now_ns < self.ready_ns:
            return False
        self.full_ns = max(self.full_ns, now_ns) + self._interval_ns
        return True


class PacedSampler(Sampler):
    """A sampler that hands out an index when a token is there for it.

    Slots may be left without work, and the load is full all the same. The window begins `ramp_ns` after the first
    begin, and for `tail_ns` after its end tasks are begun.
    """

    is_paced = True

    def __init__(self, settings: Settings, go_ns: int, bucket: Bucket, tail_ns: int) -> None:
        """For a block whose `go` came at `go_ns`, and whose tasks take about `tail_ns` at most."""
        super().__init__(settings, go_ns)
        self._bucket = bucket
        #: For so long after a window tasks are begun.
        self.tail_ns = tail_ns
        # Of several threads that wait for a token, one watches the clock.
        self._turn = threading.Lock()
        # The first slot that begins a task opens the window.
        self._not_begun = 1

    def next(self) -> Optional[int]:
        """The index of the next task, when it may begin; None when no more may. The calling thread waits for that."""
        with self._turn:
            while True:
                index, at_ns = self.poll()
                if index is not None or not at_ns:
                    return index
                wait_until(at_ns)

    def poll(self) -> Tuple[Optional[int], int]:
        """The index of the next task, if it may begin now; else when to ask again, or 0 when no more may."""
        now_ns = monotonic_ns()
        window = self._window
        if self.tasks is None and window is not None and now_ns >= window[1] + self.tail_ns:
            self.stopped = True
        # Beyond the last task no token is waited for.
        if self.stopped or self._all_begun or self._bucket.take(now_ns):
            return self._take_next(), 0
        return None, min(self._bucket.ready_ns, now_ns + _LOOK_NS)

    @property
    def full_ns(self) -> int:
        """When the bucket would be full again, if no token were taken."""
        return self._bucket.full_ns

    def _take_next(self) -> Optional[int]:
        return super().next()

    async def next_on_loop(self) -> Optional[int]:
        """As `next`, while the loop goes on turning."""
        from .clock import timer

        while True:
            index, at_ns = self.poll()
            if index is not None or not at_ns:
                return index
            await timer().wait_until(at_ns)

    def _note_end(self, lane: Lane, begin_ns: int, end_ns: int) -> None:
        """A task ended at a time that is watched: it may be late. Whoever feeds the engine watches the window's end."""
        self._note_lateness(begin_ns, end_ns)


def pacer(rate: Optional[Rate]) -> Callable[[], None]:
    """What waits for a token of a bucket that is empty now; without a rate, nothing."""
    if rate is None:
        return lambda: None
    bucket = Bucket(rate, monotonic_ns())

    def wait() -> None:
        while not bucket.take(monotonic_ns()):
            wait_until(bucket.ready_ns)

    return wait
