"""The seam between engines and steps.

An engine holds a `Task` and calls one of its forms with an index; it never learns what the steps are. A step offers a
blocking and an async form; it never learns which engine calls it.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from contextlib import nullcontext, suppress
from typing import (
    Any,
    Callable,
    ContextManager,
    Coroutine,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
    cast,
)

from .protocol import Failure, Payload

#: Distinct inputs of a step: task i uses variant i % VARIANTS, and so repeats its checksum.
VARIANTS = 16
#: Bytes of a pattern before it repeats: more than a compressor that looks 32 KiB back can see.
PERIOD = 64 << 10
#: The length of a table of draws: task i uses entry i % DRAWS.
DRAWS = 1024
#: Checksums are sums modulo this.
MODULUS = 1 << 64

#: How long the user's own teardown may take: less than a pool waits for its workers'.
TEARDOWN_S = 2.5

_NOTHING: Tuple[object, ...] = ()

#: A checksum below `MODULUS`, and what was handed back or None; or, where that is tolerated, why the task failed.
Done = Tuple[int, object]
#: What whoever runs a task is given: the payload's bytes or None, and the items of its `python` steps.
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
    #: What it gave for the first items, one after the other, as far as it did not fail.
    results: Sequence[object] = ()
    #: What the first call took, and the least that any took.
    first_ns: int = 0
    call_ns: int = 0


class Step:
    """One step of a task, ready to run: its inputs made, its connections pooled, its draws given."""

    #: Whether `asynchronous` leaves the event loop free while it waits. Mixed engines move the others off the loop.
    is_async = False
    #: Whether it takes an item and hands back a result: so do the `python` steps.
    exchanges = False
    #: How many different items it has: task i uses item i * stride % distinct.
    distinct = 1
    stride = 1
    #: What a program hands to a pool for it to be run: the user's own callable, or None.
    function: Optional[Callable[..., object]] = None
    #: The coroutine function of the same, if there is one.
    async_function: Optional[Callable[..., object]] = None
    #: Whether that crosses to workers with each item or chunk, since it has no name by which they could find it.
    carries = False
    #: Whether the user's code tears down what it set up.
    tears_down = False
    #: How many items are read of an iterable whose end is not known to every agent alike; None for any other.
    items_read: Optional[int] = None
    #: Whether a call of what `items` names gave the items of the step.
    items_are_called = False
    #: The names of its module that the expression of its items uses.
    items_names: Sequence[str] = ()
    #: Whether its items are mappings that are spread over parameters by their names.
    items_are_mappings = False
    #: Whether each call gets a copy of its item.
    copies_items = False

    def item(self, index: int) -> object:
        """What task `index` hands to this step; nothing but for steps that exchange."""
        return None

    def fresh(self, index: int) -> object:
        """The same, for this task alone: where calls change their items, a copy."""
        return self.item(index)

    def sent(self, index: int) -> object:
        """The same, for a task that runs in another process or interpreter, which gets a copy by that."""
        return self.item(index)

    def carried(self, item: object) -> object:
        """What crosses to a worker of another process or interpreter for this item."""
        return item

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

    def verify(
        self,
        tasks: int,
        budget_ns: int,
        most_calls: Optional[int] = None,
        pace: Optional[Callable[[], None]] = None,
    ) -> Verified:
        """Runs the user's function for the reference: on the items of the first `tasks` tasks, and of one at least.

        `pace` is called before each call, and returns when it may be made.
        """
        return Verified([], [])

    def verified(self, index: int, item: object, result: object) -> int:
        """The digest by value of what task `index` handed back in a verify block; Failure if it is wrong."""
        return 0

    def prepare(self, index: Optional[int]) -> None:
        """Makes ahead what a user's program would have or be handed (inputs, files, what `setup` makes).

        For every variant, or just for task `index`. Called once for `index` and then once for all, or for all alone.
        """

    def enter_thread(self) -> None:
        """Makes ahead what the user's code needs of the calling thread, which is to run tasks; once is enough."""

    async def enter_loop(self) -> None:
        """The same for the running loop."""

    def leave(self) -> Optional[Failure]:
        """Has the user's code tear down what it set up in this process; why that failed."""
        return None

    def leave_thread(self) -> Optional[Failure]:
        """The same of this thread."""
        return None

    async def leave_loop(self) -> Optional[Failure]:
        """The same of the running loop."""
        return None

    def read_items(self) -> None:
        """Reads all items that tasks will use, outside every window."""

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

    #: What whoever runs task `index` is given; None if nothing is.
    given: Callable[[int], Optional[Given]]
    #: The same as it crosses to another process or interpreter: with the user's callable, where it has no name there.
    handed: Callable[[int], Optional[Given]]
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
        #: How long a teardown may take; None where whoever waits for it would take it for a part of a task.
        self.teardown_s: Optional[float] = TEARDOWN_S
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
        self._carries = any(step.carries for step in self.exchanging)
        copies = any(step.copies_items for step in self.exchanging)
        self.handed = self._handed if self._carries or copies else self.given
        self.received = _received
        #: Time that went to checks of the user's code, which are no part of a program's start-up.
        self.checks_ns = 0
        self._tolerates_errors = tolerates_errors
        if tolerates_errors:
            self.blocking, self.asynchronous = _tolerant(self.blocking), self.tolerant(self.asynchronous)
            self.received = _received_if_any

    def handed_to_segment(self, number: int, given: object, with_payload: bool) -> Optional[Given]:
        """What of `given` crosses to a worker for one segment, as `handed` has it; the payload if that does too."""
        if given is None:
            return None
        payload, items = cast(Given, given)
        segment = self.segments[number]
        needed = set(self._places[segment.first : segment.end])
        payload = payload if with_payload else None
        if payload is None and needed == {None}:
            return None
        if self._carries:
            items = self._carried(items)
        return payload, tuple(item if place in needed else None for place, item in enumerate(items))

    def handed_together(self, indices: Iterable[int]) -> List[Tuple[int, Optional[Given]]]:
        """The tasks of a chunk, as they cross to a worker."""
        handed = self.handed
        return [(index, handed(index)) for index in indices]

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

    @property
    def callables(self) -> List[Callable[..., object]]:
        """The user's own callables, as a program hands them to a pool."""
        return [step.function for step in self.exchanging if step.function is not None]

    @property
    def functions(self) -> List[Callable[..., object]]:
        """All of the user's own functions that tasks run, blocking and asynchronous ones."""
        both = [each for step in self.exchanging for each in (step.function, step.async_function)]
        return [each for each in both if each is not None]

    def reference(self, index: int) -> List[int]:
        """The checksums of task `index`: one a step, and the payload's last."""
        given = self.given(index)
        items = () if given is None else given[1]
        sums = [step.reference(index, _at(items, place)) for step, place in self._all]
        return [*sums, self.take_payload(index, given) + self.received((self.hand_back(index), ()))]

    @property
    def distinct(self) -> int:
        """After how many tasks the same items come together again; 0 if no step takes items."""
        return math.lcm(*(step.distinct for step in self.exchanging)) if self.exchanging else 0

    @property
    def stride(self) -> int:
        """How far it is from a task's item to the next task's; of several steps, 1."""
        return self.exchanging[0].stride if len(self.exchanging) == 1 else 1

    def verify(
        self,
        tasks: int,
        budget_ns: int,
        most_calls: Optional[int] = None,
        pace: Optional[Callable[[], None]] = None,
    ) -> Verified:
        """Runs the user's functions for the reference: on the items of the first `tasks` tasks, and of one at least.

        They share the time and the calls that there may be.
        """
        share = max(len(self.exchanging), 1)
        most = None if most_calls is None else most_calls // share
        each = [step.verify(tasks, budget_ns // share, most, pace) for step in self.exchanging]
        digests = [combined(digests) for digests in zip(*(verified.digests for verified in each))]
        notes = [note for verified in each for note in verified.notes]
        results = list(zip(*(verified.results for verified in each)))
        calls, first_ns, call_ns = (
            sum(figures) for figures in zip((0, 0, 0), *((one.calls, one.first_ns, one.call_ns) for one in each))
        )
        return Verified(digests, notes, calls, results, first_ns, call_ns)

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

    @property
    def items_read(self) -> List[Optional[int]]:
        """For each step, how many items are read of its iterable."""
        return [step.items_read for step in self._steps]

    @property
    def items_are_called(self) -> bool:
        """Whether a call of what `items` names gave the items of a step."""
        return any(step.items_are_called for step in self._steps)

    @property
    def items_names(self) -> List[str]:
        """The names of their modules that expressions of items use."""
        return sorted({name for step in self._steps for name in step.items_names})

    @property
    def items_are_mappings(self) -> bool:
        """Whether items of a step are mappings that are spread over parameters by their names."""
        return any(step.items_are_mappings for step in self._steps)

    def read_items(self) -> None:
        """Reads all items that tasks will use."""
        for step in self.exchanging:
            step.read_items()

    @property
    def tolerates_errors(self) -> bool:
        """Whether a task that fails hands back its Failure."""
        return self._tolerates_errors

    @property
    def has_output(self) -> bool:
        """Whether tasks hand back a payload."""
        return self._output_bytes > 0

    @property
    def hands_back(self) -> bool:
        """Whether tasks hand back anything."""
        return self._hands_back

    @property
    def tears_down(self) -> bool:
        """Whether the user's code tears down what it set up."""
        return any(step.tears_down for step in self.exchanging)

    def enter_thread(self, loop_only: bool = False) -> None:
        """Makes ahead what tasks need of this thread, or those steps alone that stay on the loop of a mixed engine."""
        for step in self.exchanging:
            if step.is_async or not loop_only:
                step.enter_thread()

    def enter_pool_thread(self) -> None:
        """The same in the initializer of a pool, which must not fail: the first task says what did."""
        with suppress(Failure):
            self.enter_thread()

    async def enter_loop(self) -> None:
        """Makes ahead what tasks need of the running loop."""
        for step in self.exchanging:
            if step.is_async:
                await step.enter_loop()

    def leave(self) -> Optional[Failure]:
        """Has the user's code tear down what it set up in this process; the first that failed."""
        with self._bounded():
            return first_failure([step.leave() for step in self.exchanging])

    def leave_thread(self) -> Optional[Failure]:
        """The same of this thread."""
        with self._bounded():
            return first_failure([step.leave_thread() for step in self.exchanging])

    async def leave_loop(self) -> Optional[Failure]:
        """The same of the running loop."""
        return first_failure([await step.leave_loop() for step in self.exchanging])

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

    def _bounded(self) -> ContextManager[None]:
        """A bound on the user's own teardown, which may wait for what never comes."""
        if not self.tears_down or self.teardown_s is None:
            return nullcontext()
        from .bounded import at_most

        return at_most(self.teardown_s)

    def _given(self, index: int) -> Optional[Given]:
        if not self._inputs and not self.exchanging:
            return None
        return self._payload(index), tuple([step.fresh(index) for step in self.exchanging])

    def _handed(self, index: int) -> Optional[Given]:
        return self._payload(index), self._carried(tuple([step.sent(index) for step in self.exchanging]))

    def _payload(self, index: int) -> Optional[bytes]:
        return self._inputs[index % VARIANTS] if self._inputs else None

    def _carried(self, items: Tuple[object, ...]) -> Tuple[object, ...]:
        return tuple([step.carried(item) for step, item in zip(self.exchanging, items)])

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

    # One call less where there is nothing to copy.
    item = step.fresh if step.copies_items else step.item

    def given(index: int) -> Given:
        return None, (item(index),)

    def blocking(index: int, given: Given) -> Done:
        checksum, result = step.blocking(index, given[1][0])
        return checksum, (None, (result,))

    async def asynchronous(index: int, given: Given) -> Done:
        checksum, result = await step.asynchronous(index, given[1][0])
        return checksum, (None, (result,))

    return given, blocking, asynchronous


def first_failure(failures: Iterable[Optional[Failure]]) -> Optional[Failure]:
    """The first of those that are one."""
    return next((failure for failure in failures if failure is not None), None)


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
