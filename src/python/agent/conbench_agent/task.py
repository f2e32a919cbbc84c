"""The seam between engines and steps.

An engine holds a `Task` and calls one of its forms with an index; it never learns what the steps are. A step offers a
blocking and an async form; it never learns which engine calls it.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, Callable, Coroutine, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union, cast

from .protocol import Failure, Payload

#: Distinct inputs of a step: task i uses variant i % VARIANTS, and so repeats its checksum.
VARIANTS = 16
#: Bytes of a pattern before it repeats: more than a compressor that looks 32 KiB back can see.
PERIOD = 64 << 10
#: The length of a table of draws: task i uses entry i % DRAWS.
DRAWS = 1024
#: Checksums are sums modulo this.
MODULUS = 1 << 64

_NOTHING: Tuple[object, ...] = ()

#: A checksum below `MODULUS`, and what was handed back or None; or, where that is tolerated, why the task failed.
Done = Tuple[int, object]
#: What crosses to whoever runs a task: the payload's bytes or None, and the items of its `python` steps.
Given = Tuple[Optional[bytes], Tuple[object, ...]]
#: What comes back: the payload's output or None, and the results of its `python` steps.
Result = Tuple[Optional[bytes], Tuple[object, ...]]
#: Steps, each with the place of its item and result among those that cross; None if it exchanges nothing.
_Steps = Sequence[Tuple["Step", Optional[int]]]


class Verified(NamedTuple):
    """What was found when the user's function ran for the reference."""

    #: The digest by value of each task's result, from the first task on.
    digests: List[int]
    #: The `notes` of the frame `reference`.
    notes: List[Dict[str, object]]
    #: How often the function was called.
    calls: int = 0


class Step:
    """One step of a task, ready to run: its inputs made, its connections pooled, its draws given."""

    #: Whether `asynchronous` leaves the event loop free while it waits. Mixed engines move the others off the loop.
    is_async = False
    #: Whether it takes an item and hands back a result: so do the `python` steps.
    exchanges = False
    #: How many different items it has: task i uses item i % distinct.
    distinct = 1

    def item(self, index: int) -> object:
        """What task `index` hands to this step; nothing but for steps that exchange."""
        return None

    def blocking(self, index: int, item: object) -> Done:
        """Does the step on the calling thread; Failure if it cannot.

        The checksum depends on `index % VARIANTS` alone.
        """
        raise NotImplementedError

    async def asynchronous(self, index: int, item: object) -> Done:
        """Does the step on an event loop.

        A step without a real async form blocks the loop, as it does for a user who makes that mistake.
        """
        return self.blocking(index, item)

    def reference(self, index: int, item: object) -> int:
        """The checksum of task `index`, in any way that is quick: waits are not waited."""
        return self.blocking(index, item)[0]

    def verify(self, tasks: int, budget_ns: int, most_calls: Optional[int] = None) -> Verified:
        """Runs the user's function for the reference: on the items of the first `tasks` tasks, and of one at least."""
        return Verified([], [])

    def verified(self, index: int, item: object, result: object) -> int:
        """The digest by value of what task `index` handed back in a verify block; Failure if it is wrong."""
        return 0

    def prepare(self, index: Optional[int]) -> None:
        """Makes ahead what a user's program would have or be handed (inputs, files, what `setup` makes).

        For every variant, or just for task `index`. Called once for `index` and then once for all, or for all alone.
        """

    def settle(self) -> None:
        """Lets the effects of a block settle after its end (writeback of files), outside every window."""

    def close(self) -> None:
        """Gives back what it holds: connections, partners."""


class Segment(NamedTuple):
    """Successive steps, `first` to `end - 1`, that run in one place: on the loop of a mixed engine, or off it."""

    first: int
    end: int
    is_async: bool


class Task:
    """A task, as engines see it."""

    #: What crosses to whoever runs task `index`; None if nothing does.
    given: Callable[[int], Optional[Given]]
    #: The whole task `index` on the calling thread: takes the payload given, does the steps, makes the output.
    blocking: Callable[[int, Any], Done]
    #: The same on an event loop.
    asynchronous: Callable[[int, Any], Coroutine[Any, Any, Done]]
    #: The digest of the output in what came back; whoever receives a result adds it to the task's checksum.
    received: Callable[[object], int]

    def __init__(
        self, steps: Sequence[Step], payload: Payload, seed: Optional[int], tolerates_errors: bool = False
    ) -> None:
        """With the payload's inputs made from `seed`; None is the task of a worker, whose inputs come to it.

        With `tolerates_errors`, a task that fails does not raise: it hands back its Failure, with the checksum 0.
        """
        self.segments = _segments(steps)
        self._steps = list(steps)
        # The place of each step's item and result among those that cross; None for a step that exchanges nothing.
        places = iter(range(len(steps)))
        self._places = [next(places) if step.exchanges else None for step in steps]
        #: The steps that take items and hand back results, in order.
        self.exchanging = [step for step in steps if step.exchanges]
        self._all = list(zip(self._steps, self._places))
        self._output_bytes = payload.output_bytes
        self._hands_back = bool(payload.output_bytes or self.exchanging)
        self._inputs: List[bytes] = []
        if seed is not None and payload.input_bytes:
            self._inputs = [pattern(payload.input_bytes, seed ^ variant) for variant in range(VARIANTS)]
        self.given, self.blocking, self.asynchronous = self._given, self._blocking, self._asynchronous
        if len(steps) == 1 and not payload.input_bytes and not payload.output_bytes:
            self.given, self.blocking, self.asynchronous = _alone(steps[0])
        self.received = _received
        #: Time that went to checks of the user's code, which are no part of a program's start-up.
        self.checks_ns = 0
        self._tolerates_errors = tolerates_errors
        if tolerates_errors:
            self.blocking, self.asynchronous = _tolerant(self.blocking), self.tolerant(self.asynchronous)
            self.received = _received_if_any

    def given_to_segment(self, number: int, given: object, with_payload: bool) -> Optional[Given]:
        """The part of `given` that one segment needs, in the same form, and the payload if that crosses with it."""
        if given is None:
            return None
        payload, items = cast(Given, given)
        segment = self.segments[number]
        needed = set(self._places[segment.first : segment.end])
        payload = payload if with_payload else None
        if payload is None and needed == {None}:
            return None
        return payload, tuple(item if place in needed else None for place, item in enumerate(items))

    def segment_blocking(self, number: int, index: int, given: object) -> Done:
        """The steps of one segment on the calling thread; hands back a tuple of the results of its `python` steps."""
        segment = self.segments[number]
        return _run(self._all[segment.first : segment.end], index, given)

    def segment_async(self, number: int, index: int, given: object) -> Coroutine[Any, Any, Done]:
        """The steps of one segment on an event loop; hands back a tuple of the results of its `python` steps."""
        segment = self.segments[number]
        return _run_async(self._all[segment.first : segment.end], index, given)

    def take_payload(self, index: int, given: Any) -> int:
        """The digest of the payload given: whoever receives bytes reads them all once."""
        return 0 if given is None or given[0] is None else digest(given[0])

    def hand_back(self, index: int) -> Optional[bytes]:
        """The payload's output, or None."""
        return bytes([index % VARIANTS + 1]) * self._output_bytes if self._output_bytes else None

    def tolerant(
        self, perform: Callable[[int, Any], Coroutine[Any, Any, Done]]
    ) -> Callable[[int, Any], Coroutine[Any, Any, Done]]:
        """An engine's own way to perform a task; where errors are tolerated it hands back the task's Failure."""
        return _tolerant_async(perform) if self._tolerates_errors else perform

    def reference(self, index: int) -> List[int]:
        """The checksums of task `index`: one a step, and the payload's last."""
        given = self.given(index)
        items = () if given is None else given[1]
        sums = [step.reference(index, _at(items, place)) for step, place in self._all]
        return [*sums, self.take_payload(index, given) + self.received((self.hand_back(index), ()))]

    @property
    def distinct(self) -> int:
        """How many tasks meet every item of every step; 0 if no step takes items."""
        return max((step.distinct for step in self.exchanging), default=0)

    def verify(self, tasks: int, budget_ns: int, most_calls: Optional[int] = None) -> Verified:
        """Runs the user's functions for the reference: on the items of the first `tasks` tasks, and of one at least.

        They share the time and the calls that there may be.
        """
        share = max(len(self.exchanging), 1)
        most = None if most_calls is None else most_calls // share
        each = [step.verify(tasks, budget_ns // share, most) for step in self.exchanging]
        digests = [combined(digests) for digests in zip(*(verified.digests for verified in each))]
        notes = [note for verified in each for note in verified.notes]
        return Verified(digests, notes, sum(verified.calls for verified in each))

    def verified(self, index: int, result: object) -> int:
        """The digest by value of the result of task `index`; Failure if a check finds it wrong."""
        results = () if result is None else cast(Result, result)[1]
        steps = zip(self.exchanging, results)
        return combined([step.verified(index, step.item(index), each) for step, each in steps])

    def prepare(self, index: Optional[int], loop_only: bool = False) -> None:
        """Makes ahead what tasks need of the steps, or of those alone that stay on the loop of a mixed engine."""
        for step in self._steps:
            if step.is_async or not loop_only:
                step.prepare(index)

    def settle(self) -> None:
        """Lets the effects of a block settle."""
        for step in self._steps:
            step.settle()

    def close(self) -> None:
        """Gives back what the steps hold."""
        for step in self._steps:
            step.close()

    def result(self, index: int, results: object) -> object:
        """What task `index` hands back, of the tuple of the results of all its `python` steps."""
        return (self.hand_back(index), results) if self._hands_back else None

    def _given(self, index: int) -> Optional[Given]:
        if not self._inputs and not self.exchanging:
            return None
        payload = self._inputs[index % VARIANTS] if self._inputs else None
        return payload, tuple([step.item(index) for step in self.exchanging])

    def _blocking(self, index: int, given: Any) -> Done:
        checksum, results = _run(self._all, index, given)
        return (checksum + self.take_payload(index, given)) % MODULUS, self.result(index, results)

    async def _asynchronous(self, index: int, given: Any) -> Done:
        checksum, results = await _run_async(self._all, index, given)
        return (checksum + self.take_payload(index, given)) % MODULUS, self.result(index, results)


def _run(steps: _Steps, index: int, given: Any) -> Done:
    """Does these steps: the sum of their checksums, and a tuple of the results of those that exchange."""
    checksum, results = 0, _NOTHING
    for step, place in steps:
        if place is None:
            checksum += step.blocking(index, None)[0]
        else:
            added, result = step.blocking(index, given[1][place])
            checksum, results = checksum + added, (*results, result)
    return checksum % MODULUS, results


async def _run_async(steps: _Steps, index: int, given: Any) -> Done:
    """The same on an event loop."""
    checksum, results = 0, _NOTHING
    for step, place in steps:
        if place is None:
            checksum += (await step.asynchronous(index, None))[0]
        else:
            added, result = await step.asynchronous(index, given[1][place])
            checksum, results = checksum + added, (*results, result)
    return checksum % MODULUS, results


def _received(result: object) -> int:
    if result is None:
        return 0
    output = cast(Result, result)[0]
    return 0 if output is None else digest(output)


def _received_if_any(result: object) -> int:
    return 0 if isinstance(result, Failure) else _received(result)


def _tolerant(perform: Callable[[int, Any], Done]) -> Callable[[int, Any], Done]:
    def perform_or_fail(index: int, given: Any) -> Done:
        try:
            return perform(index, given)
        except Failure as failure:
            return _failed(failure)

    return perform_or_fail


def _tolerant_async(
    perform: Callable[[int, Any], Coroutine[Any, Any, Done]],
) -> Callable[[int, Any], Coroutine[Any, Any, Done]]:
    async def perform_or_fail(index: int, given: Any) -> Done:
        try:
            return await perform(index, given)
        except Failure as failure:
            return _failed(failure)

    return perform_or_fail


def _failed(failure: Failure) -> Done:
    """A task that failed by itself. Set-up, workers that die and the like are no task's own fault."""
    if failure.kind != "task":
        raise failure
    return 0, failure


def _alone(
    step: Step,
) -> Tuple[
    Callable[[int], Optional[Given]], Callable[[int, Any], Done], Callable[[int, Any], Coroutine[Any, Any, Done]]
]:
    """What `Task` does where it is one step and no payload, in as few calls as can be.

    Most tasks are. A coroutine around each step would be seen in what an event loop achieves.
    """
    if not step.exchanges:
        return (lambda _: None), step.blocking, step.asynchronous

    def given(index: int) -> Given:
        return None, (step.item(index),)

    def blocking(index: int, given: Given) -> Done:
        checksum, result = step.blocking(index, given[1][0])
        return checksum, (None, (result,))

    async def asynchronous(index: int, given: Given) -> Done:
        checksum, result = await step.asynchronous(index, given[1][0])
        return checksum, (None, (result,))

    return given, blocking, asynchronous


def pattern(length: int, seed: int) -> bytes:
    """`length` bytes that depend on `seed` alone, repeated after 64 KiB; a shorter one begins a longer one."""
    period = hashlib.shake_128((seed % MODULUS).to_bytes(8, "little")).digest(min(length, PERIOD))
    return (period * -(-length // PERIOD))[:length]


def digest(data: Union[bytes, memoryview]) -> int:
    """The checksum of bytes, which reads each of them once: Adler-32 from 0 on, and the length above it."""
    return zlib.adler32(data, 0) | (len(data) & 0xFFFF_FFFF) << 32


def combined(digests: Sequence[int]) -> int:
    """One digest of several: a single one stands for itself."""
    whole = 0
    for each in digests:
        whole = (whole * 0x100_0000_01B3 + each) % MODULUS
    return whole


def _segments(steps: Sequence[Step]) -> List[Segment]:
    segments: List[Segment] = []
    for position, step in enumerate(steps):
        if segments and segments[-1].is_async == step.is_async:
            segments[-1] = segments[-1]._replace(end=position + 1)
        else:
            segments.append(Segment(position, position + 1, step.is_async))
    return segments


def _at(items: Tuple[object, ...], place: Optional[int]) -> object:
    return None if place is None else items[place]
