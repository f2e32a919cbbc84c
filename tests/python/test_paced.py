"""The token bucket: its law under simulated time, and every engine under a real clock."""

from __future__ import annotations

import asyncio
import random
import threading
import unittest
from time import monotonic_ns
from typing import List, Optional, Union, cast

from conbench_agent.meter import Usage
from conbench_agent.paced import Bucket, PacedSampler, pacer
from conbench_agent.protocol import Failure, Rate
from conbench_agent.sampler import NEVER_NS, Batch, Sampler, Settings, Window

DONE = (1, None)


def rate(interval_ns: int, burst: int) -> Rate:
    return Rate(tasks=1, period_ns=interval_ns, burst=burst)


def excess(starts: List[int], interval_ns: int, burst: int) -> int:
    """By how many starts the law is broken, in whatever time it is most."""
    beyond = 0
    for first, begin in enumerate(starts):
        for last in range(first, len(starts)):
            beyond = max(beyond, last - first + 1 - burst - (starts[last] - begin) // interval_ns)
    return beyond


class BucketTest(unittest.TestCase):
    def test_no_time_sees_more_than_the_law_allows(self) -> None:
        draws = random.Random(7)
        for _ in range(200):
            interval_ns, burst = draws.randint(1, 1000), draws.randint(1, 7)
            now, starts = 1 << 40, []
            # Blocks of several agents, one after another, each with a bucket of its own.
            for _ in range(draws.randint(1, 4)):
                bucket = Bucket(rate(interval_ns, burst), now)
                for _ in range(draws.randint(1, 15)):
                    now += draws.randint(0, 4 * interval_ns)
                    if not bucket.take(now):
                        # A feeder may wake late.
                        now = bucket.ready_ns + draws.randint(0, 2)
                        self.assertTrue(bucket.take(now))
                    starts.append(now)
            self.assertEqual(excess(starts, interval_ns, burst), 0)

    def test_a_prompt_feeder_gets_every_token(self) -> None:
        for interval_ns, burst in ((1, 1), (7, 3), (1_000_000_007, 2)):
            bucket, now = Bucket(rate(interval_ns, burst), 0), 0
            for _ in range(500):
                now = max(now, bucket.ready_ns)
                self.assertTrue(bucket.take(now))
            self.assertEqual(now, 500 * interval_ns)

    def test_who_paces_waits_for_tokens(self) -> None:
        begun_ns = monotonic_ns()
        pace = pacer(rate(1_000_000, 1))
        for _ in range(5):
            pace()
        self.assertGreaterEqual(monotonic_ns() - begun_ns, 5_000_000)
        pacer(None)()


def paced(arrival: Union[Batch, Window], interval_ns: int, burst: int = 1, tail_ns: int = 0) -> PacedSampler:
    settings = Settings(arrival, first_index=5, slots=2, shards=2, task_timeout_ns=NEVER_NS)
    now_ns = monotonic_ns()
    return PacedSampler(settings, now_ns, Bucket(rate(interval_ns, burst), now_ns), tail_ns)


class PacedSamplerTest(unittest.TestCase):
    def test_a_batch_ends_with_its_last_task_and_waits_for_no_further_token(self) -> None:
        sampler = paced(Batch(3), 1_000_000)
        self.assertEqual([sampler.next() for _ in range(3)], [5, 6, 7])
        # The next token would be there in an hour.
        sampler._bucket = Bucket(rate(3_600_000_000_000, 1), monotonic_ns())
        self.assertEqual((sampler.next(), sampler.poll()), (None, (None, 0)))

    def test_who_must_not_wait_is_told_when_to_ask_again(self) -> None:
        sampler = paced(Batch(3), 3_600_000_000_000)
        index, at_ns = sampler.poll()
        self.assertIsNone(index)
        self.assertGreater(at_ns, monotonic_ns() - 1_000_000_000)

    def test_a_failure_ends_the_wait_for_a_token(self) -> None:
        sampler = paced(Batch(3), 3_600_000_000_000)
        taken: List[Optional[int]] = []
        waiting = threading.Thread(target=lambda: taken.append(sampler.next()))
        waiting.start()
        sampler.fail(Failure("task", "no"))
        waiting.join(10)
        self.assertEqual(taken, [None])

    def test_the_window_opens_with_the_first_task_and_dispatch_ends_after_it(self) -> None:
        sampler = paced(Window(20_000_000, ramp_ns=5_000_000), 1_000_000, tail_ns=3_000_000)
        lane, begins = sampler.lane(0), []
        while (index := sampler.next()) is not None:
            begins.append(lane.begin())
            lane.end(index, begins[-1], begins[-1], monotonic_ns(), DONE)
        block = sampler.finish(1, "timed", Usage())
        self.assertEqual(block["window_ns"], 20_000_000)
        self.assertEqual(block["tasks"], len(begins))
        # Slot 1 never had work, and nobody waits for it.
        self.assertLess(cast(float, block["tasks_in_window"]), 22)
        self.assertGreater(begins[-1] - begins[0], 20_000_000)

    def test_an_event_loop_turns_while_its_feeder_waits(self) -> None:
        sampler = paced(Batch(4), 5_000_000)

        async def feed() -> List[Optional[int]]:
            turns = 0

            async def turn() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            turning = asyncio.ensure_future(turn())
            taken = [await sampler.next_on_loop() for _ in range(5)]
            turning.cancel()
            self.assertGreater(turns, 20)
            return taken

        self.assertEqual(asyncio.run(feed()), [5, 6, 7, 8, None])

    def test_without_a_rate_nobody_waits(self) -> None:
        sampler = Sampler(Settings(Batch(1), first_index=0, slots=1, shards=1, task_timeout_ns=NEVER_NS), 0)
        self.assertEqual((sampler.poll(), sampler.poll()), ((0, 0), (None, 0)))
        self.assertFalse(sampler.is_paced)
