"""The sampler under simulated time: tasks with known times, no clock.

`test_vectors` holds it to what the native one makes of single blocks.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import unittest
from array import array
from typing import Any, Dict, List, Optional, Tuple, Union
from unittest import mock

import vectors
from conbench_agent.meter import Usage
from conbench_agent.protocol import Failure
from conbench_agent.sampler import LOG_CAPACITY, NEVER_NS, Batch, Sampler, Settings, Window, _counter_with_lock

GO_NS = 1_000_000_000
DONE = (1, None)


def settings(arrival: Union[Batch, Window], slots: int) -> Settings:
    return Settings(arrival, first_index=0, slots=slots, shards=slots, task_timeout_ns=NEVER_NS)


def finish(sampler: Sampler) -> Dict[str, Any]:
    return sampler.finish(3, "timed", Usage())


def throughput_per_s(block: Dict[str, Any]) -> float:
    throughput: float = block["tasks_in_window"] * 1e9 / block["window_ns"]
    return throughput


def metered(window_ms: int) -> Dict[str, Any]:
    """Two slots with tasks of 10 ms that use one and a half cores, in a window of this length."""
    ms = 1_000_000
    now = GO_NS

    def time() -> int:
        return now

    with mock.patch("conbench_agent.sampler.monotonic_ns", time):
        sampler = Sampler(settings(Window(window_ms * ms, 25 * ms), 2), GO_NS, lambda: now * 3 // 2)
        while not sampler.stopped:
            begin_ns, now = now, now + 10 * ms
            for slot in range(2):
                if sampler.next() is not None:
                    sampler.lane(slot).begun_at(begin_ns)
                    sampler.lane(slot).end(0, begin_ns, begin_ns, now, DONE)
    return finish(sampler)


def counts(text: str) -> List[int]:
    """The counts of a histogram, in the order of their buckets."""
    return [count for _, count in vectors.counts(text)]


def simulate(settings: Settings, task_ns: int, pause_ns: int = 0) -> Dict[str, Any]:
    """Runs slots whose tasks last `task_ns` with pauses of `pause_ns` between, all begun together."""
    sampler = Sampler(settings, GO_NS)
    # (time of the next event, order, slot, begin of the task that ends then; None: a task begins)
    order = itertools.count()
    events: List[Tuple[int, int, int, Optional[int]]] = [
        (GO_NS, next(order), slot, None) for slot in range(settings.slots)
    ]
    done = 0
    while events:
        event = min(events)
        events.remove(event)
        now, _, slot, began = event
        if began is not None:
            done += 1
            sampler.lane(slot).end(done, began, began, now, DONE)
            events.append((now + pause_ns, next(order), slot, None))
        elif sampler.next() is not None:
            sampler.lane(slot).begun_at(now)
            events.append((now + task_ns, next(order), slot, now))
    block = finish(sampler)
    assert (block["tasks"], block["checksum"]) == (done, done), "each task begun is counted once"
    return block


TASK_NS = 2_000_000


def cores_shown(slots: int, stops_at_the_end: bool = False, turns: Optional[int] = None) -> float:
    """The cores that windows of two turns show of tasks that share two cores evenly, each as long as `TASK_NS` or half.

    That is their mean throughput, times the computation of a task. No slot `stops_at_the_end` of the window, as the
    sampler has it; a limit may allow so many `turns` of tasks.
    """
    generator, turn_ns, blocks = random.Random(slots), TASK_NS * max(slots, 2) // 2, max(2048 // slots, 60)
    shown = 0.0
    for block in range(blocks):
        arrival = Window(2 * turn_ns, int((1 + block * 0.618_033_988_749_895 % 1) * turn_ns))
        most = None if turns is None else turns * slots
        sampler = Sampler(settings(arrival, slots)._replace(most_tasks=most), GO_NS)
        now = float(GO_NS)
        #: The computation that each core has done for each task of those in flight, and at which each task ends.
        running: List[Tuple[float, int, int]] = []
        done, idle = 0.0, list(range(slots))
        while True:
            for slot in idle:
                is_over = stops_at_the_end and sampler._window is not None and now >= sampler._window[1]
                if not is_over and sampler.next() is not None:
                    sampler.lane(slot).begun_at(int(now))
                    heapq.heappush(running, (done + generator.uniform(0.5, 1.5) * TASK_NS, slot, int(now)))
            if not running:
                break
            sharing = max(len(running) / 2, 1.0)
            ends_at, slot, begin_ns = heapq.heappop(running)
            now += (ends_at - done) * sharing
            done, idle = ends_at, [slot]
            sampler.lane(slot).end(0, begin_ns, begin_ns, int(now), DONE)
        shown += throughput_per_s(finish(sampler)) * TASK_NS / 1e9
    return shown / blocks


class Sharing(unittest.TestCase):
    def test_tasks_that_share_cores_show_as_many_as_there_are(self) -> None:
        for slots in (2, 4, 16, 64):
            self.assertAlmostEqual(cores_shown(slots) / 2, 1, delta=0.01, msg=f"{slots} in flight")

    def test_straddlers_that_end_under_a_falling_load_count_too_much(self) -> None:
        for slots in (8, 16, 64):
            self.assertGreater(cores_shown(slots, stops_at_the_end=True) / 2, 1.015, f"{slots} in flight")

    def test_a_window_that_a_limit_cuts_holds_no_straddler_that_ended_under_a_falling_load(self) -> None:
        # Cut where the last task begins, it would show 1.018 and 1.020 times the cores.
        for slots in (16, 64):
            self.assertAlmostEqual(cores_shown(slots, turns=4) / 2, 1, delta=0.01, msg=f"{slots} in flight")


class Throughput(unittest.TestCase):
    def setUp(self) -> None:
        self.random = random.Random(11)

    def test_it_is_unbiased_over_the_phases_that_the_ramp_gives(self) -> None:
        for _ in range(12):
            slots, task_ns = self.random.randrange(1, 9), self.random.randrange(50_000, 2_000_000)
            pause_ns = int(task_ns * self.random.random() / 2)
            window_ns, cycle_ns, phases = self.random.randrange(2, 6) * task_ns, task_ns + pause_ns, 20
            ramps = [phase * cycle_ns // phases for phase in range(phases)]
            blocks = [simulate(settings(Window(window_ns, ramp), slots), task_ns, pause_ns) for ramp in ramps]
            mean = sum(map(throughput_per_s, blocks)) / phases
            self.assertAlmostEqual(mean / (slots * 1e9 / cycle_ns), 1, delta=0.02)

    def test_without_pauses_a_window_of_any_length_sees_it_exactly(self) -> None:
        for _ in range(48):
            slots, task_ns = self.random.randrange(1, 9), self.random.randrange(50, 2000) * 1000
            window = Window(self.random.randrange(100, 9000) * 1000, self.random.randrange(3000) * 1000)
            block = simulate(settings(window, slots), task_ns)
            self.assertAlmostEqual(throughput_per_s(block) / (slots * 1e9 / task_ns), 1, delta=1e-9)
            self.assertEqual(block["busy_ns"], slots * window.window_ns)

    def test_a_limit_holds_and_does_not_bias_a_window_that_it_cuts(self) -> None:
        for _ in range(96):
            slots, task_ns = self.random.randrange(1, 9), self.random.randrange(50, 2000) * 1000
            window, most = Window(self.random.randrange(100, 9000) * 1000), self.random.randrange(100)
            block = simulate(settings(window, slots)._replace(most_tasks=most), task_ns)
            self.assertLessEqual(block["tasks"], most)
            self.assertLessEqual(block["tasks_in_window"], most + 1e-9)
            self.assertLessEqual(block["window_ns"], max(window.window_ns, block["elapsed_ns"]))
            truth = slots * 1e9 / task_ns
            if most > slots:
                self.assertAlmostEqual(throughput_per_s(block) / truth, 1, delta=1e-9)
            elif block["window_ns"]:
                self.assertLessEqual(throughput_per_s(block), truth + 1e-6)


class Windows(unittest.TestCase):
    def test_a_slot_without_work_does_not_hold_the_block_for_ever(self) -> None:
        sampler, now = Sampler(settings(Window(1_000_000), 2), GO_NS), GO_NS
        while (index := sampler.next()) is not None:
            sampler.lane(0).begun_at(now)
            sampler.lane(0).end(index, now, now, now + 100_000, DONE)
            now += 100_000
            self.assertLess(now, GO_NS + 10_000_000_000, "the block never ends")
        self.assertAlmostEqual(throughput_per_s(finish(sampler)) / 10_000, 1, delta=1e-9)
        self.assertLessEqual(now, GO_NS + 2 * 50_000_000 + 2_000_000, "a window's patience at each end")

    def test_the_window_waits_for_slots_as_long_as_one_after_another_begins(self) -> None:
        sampler, now = Sampler(settings(Window(1_000_000), 4), GO_NS), GO_NS
        while (index := sampler.next()) is not None:
            for slot in range(1 + min((now - GO_NS) // 40_000_000, 3)):
                sampler.lane(slot).begun_at(now)
            sampler.lane(0).end(index, now, now, now + 100_000, DONE)
            now += 100_000
        self.assertEqual(sampler._window, (GO_NS + 120_000_000, GO_NS + 121_000_000))

    def test_a_slot_that_goes_without_work_does_not_hold_it_either(self) -> None:
        sampler, now = Sampler(settings(Window(1_000_000), 2), GO_NS), GO_NS
        sampler.lane(1).begun_at(now)
        while (index := sampler.next()) is not None:
            sampler.lane(0).begun_at(now)
            sampler.lane(0).end(index, now, now, now + 100_000, DONE)
            now += 100_000
            self.assertLess(now, GO_NS + 10_000_000_000, "the block never ends")

    def test_the_cpu_clock_is_read_after_both_edges_of_the_window(self) -> None:
        # Both edges of a window that is shorter than a task may be read at one task's end.
        for window_ms, cores in (100, 1.5), (1, None):
            with self.subTest(window_ms=window_ms):
                self.assertEqual(metered(window_ms).get("window_cores"), cores)

    def test_a_block_resumes_when_its_first_task_runs_and_not_when_it_is_handed_out(self) -> None:
        sampler = Sampler(settings(Batch(1), 1), GO_NS)
        self.assertEqual(sampler.next(), 0)
        sampler.lane(0).begun_at(GO_NS + 5)
        sampler.lane(0).end(0, GO_NS + 5, GO_NS + 300, GO_NS + 400, DONE)
        self.assertEqual(finish(sampler)["resume_ns"], 300)
        self.assertEqual(sampler.mean_service_ns, 100)


class Logs(unittest.TestCase):
    def test_a_full_log_is_folded_and_nothing_is_lost(self) -> None:
        window_ns = 3 * LOG_CAPACITY * 10
        block = simulate(settings(Window(window_ns), 1), 10)
        self.assertGreaterEqual(block["tasks"], 3 * LOG_CAPACITY)
        self.assertAlmostEqual(block["tasks_in_window"], window_ns / 10, delta=1e-3)
        self.assertEqual(counts(block["service"]), [window_ns // 10])

    def test_a_chunk_is_what_its_tasks_are_one_by_one(self) -> None:
        for seed in range(40):
            draw = random.Random(seed)
            size = draw.choice([1, 3, 64, 1024])
            of_both = settings(Window(20_000, draw.choice([0, 900])), 2)._replace(keep=5)
            both = [Sampler(of_both, GO_NS) for _ in "ab"]
            now, index = GO_NS, 0
            while not both[0].stopped:
                slot, submitted_ns = draw.randrange(2), now
                now += draw.randrange(50)
                times = array("q")
                for _ in range(size):
                    times.extend((now, now + draw.randrange(40)))
                    now = times[-1] + draw.randrange(3)
                results: List[object] = [draw.random() for _ in range(size)]
                indices = list(range(index, index + size))
                index += size
                for sampler in both:
                    sampler.lane(slot).begun_at(times[0])
                both[0].lane(slot).end_chunk(indices, submitted_ns, times, size, results)
                for place, each in enumerate(indices):
                    begin_ns, end_ns = times[2 * place], times[2 * place + 1]
                    both[1].lane(slot).end(each, submitted_ns, begin_ns, end_ns, (1, results[place]))
            self.assertEqual(finish(both[0]), finish(both[1]))
            self.assertEqual(both[0].kept, both[1].kept)

    def test_a_chunk_larger_than_the_room_of_a_log_is_kept(self) -> None:
        sampler = Sampler(settings(Batch(LOG_CAPACITY * 3), 1), GO_NS)
        count = LOG_CAPACITY * 3 // 2
        times = array("q", [GO_NS, GO_NS + 5]) * count
        for _ in range(2):
            sampler.lane(0).end_chunk(list(range(count)), GO_NS, times, count, None)
        block = finish(sampler)
        self.assertEqual((block["tasks"], block["checksum"], sum(counts(block["service"]))), (2 * count,) * 3)

    def test_memory_does_not_grow_with_the_number_of_tasks(self) -> None:
        sampler = Sampler(settings(Window(NEVER_NS), 1), GO_NS)
        lane = sampler.lane(0)
        lane.begun_at(GO_NS)
        for index in range(3 * LOG_CAPACITY):
            lane.end(index, GO_NS, GO_NS, GO_NS + 10, DONE)
        self.assertLessEqual(len(sampler._logs[0].rows), LOG_CAPACITY * 24)

    def test_a_limit_loses_no_task_of_a_full_log(self) -> None:
        most = 2 * LOG_CAPACITY + 5
        block = simulate(settings(Window(100 * LOG_CAPACITY), 1)._replace(most_tasks=most), 10)
        self.assertEqual((block["tasks"], block["window_ns"]), (most, (most - 1) * 10))
        self.assertAlmostEqual(block["tasks_in_window"], most - 1, delta=1e-3)
        never_begins = settings(Window(100 * LOG_CAPACITY), 2 * most)._replace(most_tasks=most, shards=1)
        sampler = Sampler(never_begins, GO_NS)
        while (index := sampler.next()) is not None:
            lane = sampler.lane(index, 0)
            lane.begun_at(GO_NS)
            lane.end(index, GO_NS, GO_NS, GO_NS + 10, DONE)
        block = finish(sampler)
        self.assertEqual((block["tasks"], sum(counts(block["service"]))), (most, most))

    def test_results_are_kept_of_the_first_tasks_alone(self) -> None:
        sampler = Sampler(settings(Batch(9), 1)._replace(first_index=4, keep=3), GO_NS)
        while (index := sampler.next()) is not None:
            sampler.lane(0).end(index, GO_NS, GO_NS, GO_NS + 1, (0, f"result {index}"))
        self.assertEqual(sampler.kept, {4: "result 4", 5: "result 5", 6: "result 6"})


class Failures(unittest.TestCase):
    def test_the_first_failure_is_the_answer_and_stops_dispatch(self) -> None:
        sampler = Sampler(settings(Batch(9), 1), GO_NS)
        sampler.fail(Failure("task", "first"))
        sampler.fail(ValueError("second"))
        self.assertIsNone(sampler.next())
        with self.assertRaisesRegex(Failure, "^first$"):
            finish(sampler)

    def test_an_error_that_is_no_failure_becomes_one(self) -> None:
        sampler = Sampler(settings(Batch(9), 1), GO_NS)
        sampler.fail(ValueError("unforeseen"))
        with self.assertRaises(Failure) as raised:
            finish(sampler)
        self.assertEqual((raised.exception.kind, raised.exception.message), ("agent", "ValueError: unforeseen"))

    def test_a_task_over_its_timeout_has_failed(self) -> None:
        for arrival in Batch(9), Window(10_000_000):
            sampler = Sampler(settings(arrival, 1)._replace(task_timeout_ns=1_000_000), GO_NS)
            sampler.lane(0).begun_at(GO_NS)
            sampler.lane(0).end(0, GO_NS, GO_NS, GO_NS + 1_000_000, DONE)
            self.assertIsNotNone(sampler.next())
            sampler.lane(0).end(1, GO_NS, GO_NS, GO_NS + 2_000_000, DONE)
            self.assertIsNone(sampler.next())
            with self.assertRaisesRegex(Failure, r"^a task took 2.0 ms, longer than task_timeout \(1.0 ms\)$"):
                finish(sampler)


class Threads(unittest.TestCase):
    def test_each_index_is_given_once(self) -> None:
        for take in (Sampler(settings(Batch(20_000), 4), GO_NS).next, _take_until(20_000)):
            taken: List[List[int]] = [[] for _ in range(4)]

            def work(mine: List[int], take: Any = take) -> None:
                while (index := take()) is not None:
                    mine.append(index)

            threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(index for mine in taken for index in mine), list(range(20_000)))

    def test_a_lane_is_one_whoever_asks(self) -> None:
        sampler = Sampler(settings(Batch(1), 2), GO_NS)
        self.assertIs(sampler.lane(1), sampler.lane(1))
        self.assertIsNot(sampler.lane(0), sampler.lane(1))

    def test_stalls_are_told_where_a_heartbeat_is_wanted(self) -> None:
        for heartbeat in (True, False):
            sampler = Sampler(settings(Batch(1), 1)._replace(heartbeat=heartbeat), GO_NS)
            self.assertEqual(sampler.wants_heartbeat, heartbeat)
            for late_ns in (5, 9, 7):
                sampler.stalled(late_ns)
            self.assertEqual(finish(sampler).get("longest_stall_ns"), 9 if heartbeat else None)


def _take_until(end: int) -> Any:
    """The counter of interpreters without a GIL, as `Sampler.next` uses it."""
    take = _counter_with_lock(0)

    def taken() -> Optional[int]:
        index = take()
        return index if index < end else None

    return taken


if __name__ == "__main__":
    unittest.main()
