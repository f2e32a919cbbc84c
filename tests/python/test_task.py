"""The seam: what crosses, what comes back, and the sums."""

from __future__ import annotations

import asyncio
import unittest
from typing import Callable, List, Optional, Tuple

from conbench_agent.protocol import Payload
from conbench_agent.task import MODULUS, VARIANTS, Done, Segment, Step, Task, Verified, combined, digest, pattern

NO_PAYLOAD = Payload(0, 0)


class Adds(Step):
    """A step that adds a number, and notes what it was asked for."""

    def __init__(self, number: int, is_async: bool = False) -> None:
        self.is_async = is_async
        self.prepared: List[Optional[int]] = []
        self._number = number

    def blocking(self, index: int, item: object) -> Done:
        assert item is None
        return self._number + index % VARIANTS, None

    def prepare(self, index: Optional[int]) -> None:
        self.prepared.append(index)


class Labels(Step):
    """A step that exchanges: it puts its name before its item."""

    exchanges = True

    def __init__(self, name: str, distinct: int = 3, is_async: bool = False) -> None:
        self.is_async = is_async
        self.distinct = distinct
        self._name = name

    def item(self, index: int) -> object:
        return index % self.distinct

    def blocking(self, index: int, item: object) -> Done:
        return 0, (self._name, item)

    def verify(
        self,
        tasks: int,
        budget_ns: int,
        most_calls: Optional[int] = None,
        pace: Optional[Callable[[], None]] = None,
    ) -> Verified:
        count = min(tasks, self.distinct)
        return Verified(
            [self.verified(index, self.item(index), None) for index in range(count)], [{"budget": budget_ns}]
        )

    def verified(self, index: int, item: object, result: object) -> int:
        return len(self._name) * 1000 + int(str(item))


def forms(task: Task, index: int) -> Tuple[Done, Done]:
    given = task.given(index)
    return task.blocking(index, given), asyncio.run(task.asynchronous(index, given))


class Sums(unittest.TestCase):
    def test_the_sum_is_that_of_the_steps_and_the_payload_in_both_forms(self) -> None:
        task = Task([Adds(5), Adds(MODULUS - 1)], Payload(100, 10), seed=9)
        for index in (0, 3, 19):
            blocking, asynchronous = forms(task, index)
            self.assertEqual(blocking, asynchronous)
            checksum, result = blocking
            expected = 4 + 2 * (index % 16) + digest(pattern(100, 9 ^ index % 16))
            self.assertEqual(checksum, expected % MODULUS)
            self.assertEqual(result, (bytes([index % 16 + 1]) * 10, ()))
            whole = (checksum + task.received(result)) % MODULUS
            self.assertEqual(sum(task.reference(index)) % MODULUS, whole)
            self.assertEqual(len(task.reference(index)), 3)

    def test_nothing_crosses_where_nothing_must(self) -> None:
        task = Task([Adds(1)], NO_PAYLOAD, seed=1)
        self.assertIsNone(task.given(3))
        self.assertEqual(forms(task, 3), ((4, None), (4, None)))
        self.assertEqual((task.received(None), task.hand_back(3), task.distinct), (0, None, 0))

    def test_a_worker_is_given_what_the_agent_has(self) -> None:
        agent = Task([Adds(1)], Payload(50, 4), seed=1)
        worker = Task([Adds(1)], Payload(50, 4), seed=None)
        self.assertIsNone(worker.given(2))
        self.assertEqual(worker.blocking(2, agent.given(2)), agent.blocking(2, agent.given(2)))


class Exchange(unittest.TestCase):
    def setUp(self) -> None:
        self.steps = [Labels("a", 2), Adds(1), Adds(2, is_async=True), Labels("bb", 3, is_async=True), Labels("c", 4)]
        self.task = Task(self.steps, Payload(8, 2), seed=3)

    def test_items_go_to_their_steps_and_results_come_back_in_order(self) -> None:
        payload = pattern(8, 3 ^ 7)
        self.assertEqual(self.task.given(7), (payload, (1, 1, 3)))
        blocking, asynchronous = forms(self.task, 7)
        self.assertEqual(blocking, asynchronous)
        self.assertEqual(blocking[1], (b"\x08\x08", (("a", 1), ("bb", 1), ("c", 3))))

    def test_segments_give_what_the_whole_gives(self) -> None:
        task, given = self.task, self.task.given(7)
        self.assertEqual(task.segments, [Segment(0, 2, False), Segment(2, 4, True), Segment(4, 5, False)])
        dones = [task.segment_blocking(number, 7, given) for number in range(3)]
        self.assertEqual(dones, [asyncio.run(task.segment_async(number, 7, given)) for number in range(3)])
        checksum = sum(done[0] for done in dones) + task.take_payload(7, given)
        self.assertEqual(checksum, task.blocking(7, given)[0])
        self.assertEqual([done[1] for done in dones], [(("a", 1),), (("bb", 1),), (("c", 3),)])

    def test_a_segment_is_given_its_own_items_alone(self) -> None:
        given = self.task.given(7)
        assert given is not None
        parts = [self.task.handed_to_segment(number, given, with_payload=number == 0) for number in range(3)]
        self.assertEqual(parts, [(given[0], (1, None, None)), (None, (None, 1, None)), (None, (None, None, 3))])
        for number, part in enumerate(parts):
            done = self.task.segment_blocking(number, 7, given)
            self.assertEqual(self.task.segment_blocking(number, 7, part), done)
        plain = Task([Adds(1)], Payload(8, 0), seed=3)
        self.assertIsNone(plain.handed_to_segment(0, plain.given(7), with_payload=False))

    def test_results_are_verified_step_by_step(self) -> None:
        verified = self.task.verify(16, 900)
        self.assertEqual(len(verified.digests), 2, "as many as the step with the fewest")
        self.assertEqual(verified.notes, [{"budget": 300}] * 3)
        for index in range(2):
            result = self.task.blocking(index, self.task.given(index))[1]
            self.assertEqual(self.task.verified(index, result), verified.digests[index])
        self.assertEqual(self.task.distinct, 12, "then the items of all steps come together again")
        self.assertEqual(Task([Labels("x")], NO_PAYLOAD, 1).verify(2, 0).digests, [1000, 1001])

    def test_what_runs_on_the_loop_alone_can_be_prepared(self) -> None:
        off, on = Adds(1), Adds(2, is_async=True)
        task = Task([off, on], NO_PAYLOAD, seed=1)
        task.prepare(4)
        task.prepare(None, loop_only=True)
        self.assertEqual((off.prepared, on.prepared), ([4], [4, None]))


class Bytes(unittest.TestCase):
    def test_seeds_are_of_64_bits_and_no_bytes_come_to_nothing(self) -> None:
        self.assertEqual(pattern(1000, MODULUS + 5)[:8], pattern(8, 5))
        self.assertEqual(digest(b""), 0)

    def test_one_digest_stands_for_itself(self) -> None:
        self.assertEqual((combined([7]), combined([])), (7, 0))
        self.assertNotEqual(combined([1, 2]), combined([2, 1]))
        self.assertLess(combined([MODULUS - 1] * 3), MODULUS)


if __name__ == "__main__":
    unittest.main()
