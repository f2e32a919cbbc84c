"""What runs in a worker process of sharded loops: an asyncio loop that keeps its share of the tasks in flight.

A shard is told once what a block is, and then takes task after task by itself: of `n` shards, number `i` has the tasks
`i`, `i + n`, `i + 2n` and so on. What tasks are given comes in lots, and what they hand back goes in lots, as where a
program hands each process its part of the items. Their times stay here until the block has ended.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import worker
from .engines.asyncio_tasks import AsyncioTasks
from .paced import Bucket, PacedSampler
from .protocol import Failure, Rate
from .sampler import Sampler, Settings
from .task import Given, Task, first_failure

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: What tasks are given, by index.
Lot = List[Tuple[int, Optional[Given]]]
#: A lot that lasts for less is too small.
_LOT_NS = 10_000_000
_MOST_IN_LOT = 4096


class Part(NamedTuple):
    """Which part of all tasks is a shard's."""

    number: int
    #: How many shards there are.
    shards: int
    #: Tasks that it has in flight at once.
    slots: int


class Order(NamedTuple):
    """What a shard is told of a block."""

    settings: Settings
    go_ns: int
    #: Under a rate, for how long after a window tasks are begun.
    tail_ns: int
    #: What the first tasks are given; None where nothing is.
    lot: Optional[Lot]
    #: Whether there is more of it than in the first lot.
    has_more: bool


class Ended(NamedTuple):
    """What a shard tells of a block."""

    #: Tasks that it took.
    taken: int
    #: When they were submitted, began and ended.
    rows: bytes
    checksum: int
    errors: int
    #: The first of them, and when its task ended.
    first_error: Optional[Tuple[int, Failure]]
    notes: List[Dict[str, object]]
    stall_ns: int
    children_ns: int
    #: What tasks handed back since the last lot.
    results: List[Tuple[int, object]]
    failure: Optional[Failure]


class SharedBucket(Bucket):
    """The bucket of all shards: a number in a pipe, which a shard takes out to put the next one in."""

    def __init__(self, rate: Rate, register: Any) -> None:
        """With the pipe, a `multiprocessing.SimpleQueue`."""
        super().__init__(rate, 0)
        self._register = register

    def take(self, now_ns: int) -> bool:
        """Takes a token, if there is one at `now_ns`; whether there was."""
        self.full_ns = self._register.get()
        try:
            return super().take(now_ns)
        finally:
            self._register.put(self.full_ns)


class _Outbox(Dict[int, object]):
    """What goes back: nothing is what tasks hand back that hand nothing back."""

    def __setitem__(self, index: int, result: object) -> None:
        if result is not None:
            super().__setitem__(index, result)


class ShardSampler(Sampler):
    """The part of a block's sampler that is in a shard; who holds the whole one opens the window, and ends it."""

    def __init__(self, order: Order, part: Part, pipe: Connection, task: Task, *arguments: Any) -> None:
        """For the block that is ordered; `arguments` are those of a sampler that is held to a rate."""
        first = order.settings.first_index
        # All that tasks hand back is kept, until it is sent.
        keep = sys.maxsize - first if task.hands_back else 0
        super().__init__(order.settings._replace(slots=part.slots, shards=1, keep=keep), order.go_ns, *arguments)
        self.kept = _Outbox()
        #: Tasks that were taken.
        self.taken = 0
        self._pipe = pipe
        self._step = part.shards
        self._next_index = first + part.number
        # Who has no task takes no token to find that out.
        self._all_begun = self._next_index > self._last_index
        self._is_dealt = order.lot is None
        self._stock: Dict[int, Optional[Given]] = dict(order.lot or ())
        self._has_more = order.has_more
        self._lot = max(len(self._stock), 2 * part.slots)
        self._asked_ns = order.go_ns
        #: Whether a lot was asked for that has not come.
        self._is_asking = False
        self._parked: List[Callable[[], None]] = []
        self._has_begun = self._has_drained = self._is_out = False

    def next(self) -> Optional[int]:
        """The index of the next task of this shard; None when no more may be begun, or none has come."""
        if self.stopped or self._is_starved:
            return None
        index = self._next_index
        if index > self._last_index:
            self._all_begun = self._ran_out = True
            if self.tasks is None and not self._is_out:
                self._is_out = True
                self._pipe.send(("out", monotonic_ns()))
            return None
        self._next_index = index + self._step
        self._all_begun = self._next_index > self._last_index
        self.taken += 1
        if self.tasks is None:
            self._exchange()
        return index

    async def next_on_loop(self) -> Optional[int]:
        """As `next`, while the loop goes on turning."""
        import asyncio

        if self._is_starved and not self.stopped:
            come = asyncio.get_running_loop().create_future()
            self._parked.append(lambda: come.set_result(None))
            await come
        return await super().next_on_loop()

    def given(self, index: int) -> Optional[Given]:
        """What task `index` is given."""
        return None if self._is_dealt else self._stock.pop(index)

    def park(self, resume: Callable[[], None]) -> bool:
        """Keeps what is to be called when the next lot comes; whether one will."""
        if self.stopped or not self._is_starved:
            return False
        self._parked.append(resume)
        return True

    def receive(self) -> None:
        """Takes what the agent sends while the loop turns."""
        try:
            kind, told = self._pipe.recv()
        except EOFError:
            # Nobody is left to run anything for.
            os._exit(1)
        if kind == "lot":
            self._is_asking = False
            lot, self._has_more = told
            self._stock.update(lot)
        elif kind == "window":
            self._window = told
            self._watch_ns = min(self._go_ns + self._settings.task_timeout_ns, told[0])
        elif kind == "stop":
            self.stopped = True
        parked, self._parked = self._parked, []
        for resume in parked:
            resume()

    def ended(self, children_ns: int) -> Ended:
        """What there is to tell when the last task has ended."""
        # Both sides would wait for ever if both of them sent.
        while self._is_asking:
            self.receive()
        log = self._logs[0]
        rows = bytes(log.rows[: log.end])
        results = list(self.kept.items())
        ended = Ended(
            self.taken,
            rows,
            log.checksum,
            log.errors,
            log.first_error,
            self._notes,
            self._longest_stall_ns,
            children_ns,
            results,
            self._failure,
        )
        self._lanes.clear()
        return ended

    @property
    def _is_starved(self) -> bool:
        return self._has_more and not self._stock

    def _exchange(self) -> None:
        """Asks for a lot before the last one is used up, and sends what has gathered since."""
        if self._is_asking:
            return
        wants = self._lot if self._has_more and len(self._stock) <= self._lot // 2 else 0
        if not wants and len(self.kept) < self._lot:
            return
        now_ns = monotonic_ns()
        if now_ns - self._asked_ns < _LOT_NS:
            self._lot = min(2 * self._lot, _MOST_IN_LOT)
        self._asked_ns = now_ns
        results = list(self.kept.items())
        self.kept.clear()
        self._is_asking = wants > 0
        try:
            self._pipe.send(("more", (results, wants)))
        except Exception as error:
            self._is_asking = False
            self.fail(cannot_hand_back(results, error))

    def _open_window(self, from_ns: int) -> None:
        if self._window is None and not self._has_begun:
            self._has_begun = True
            self._pipe.send(("begun", from_ns))

    def _all_drained(self) -> None:
        if not self._has_drained:
            self._has_drained = True
            self._pipe.send(("drained", monotonic_ns()))

    def _may_fold(self, end_ns: int) -> bool:
        return False


class PacedShardSampler(ShardSampler, PacedSampler):
    """The same, where a rate holds all shards together back."""

    def _take_next(self) -> Optional[int]:
        return ShardSampler.next(self)


def cannot_hand_back(results: List[Tuple[int, object]], error: BaseException) -> Failure:
    """Why what tasks handed back cannot be sent."""
    try:
        for index, result in results:
            worker.check_result(index, result)
    except Failure as failure:
        return failure
    return Failure("task", f"a worker cannot hand back what a task made: {type(error).__name__}: {error}")


class _Shard:
    """A process with a loop, at the agent's service."""

    def __init__(self, part: Part, pipe: Connection, rate: Optional[Rate], register: Any) -> None:
        self._part = part
        self._pipe = pipe
        self._bucket = None if rate is None else SharedBucket(rate, register)
        self._loop: Optional[AsyncioTasks] = None

    def get_ready(self, index: Optional[int]) -> None:
        """Makes ahead what task `index` needs, or all tasks; Failure if that cannot be."""
        task = worker.current().prepare(index)
        if self._loop is None:
            self._loop = AsyncioTasks(task, self._part.slots)
            # Whoever receives a result reads it: the agent.
            self._loop.received = lambda _: 0

    def run(self, order: Order) -> None:
        """Runs a block, and tells of it."""
        loop, here = self._loop, worker.current()
        assert loop is not None
        task = here.task
        arguments: Tuple[Any, ...] = () if self._bucket is None else (self._bucket, order.tail_ns)
        kind = ShardSampler if self._bucket is None else PacedShardSampler
        sampler = kind(order, self._part, self._pipe, task, *arguments)
        loop.given = sampler.given
        descriptor = self._pipe.fileno()
        loop.event_loop.add_reader(descriptor, sampler.receive)
        try:
            loop.run(sampler)
        except BaseException as error:
            sampler.fail(Failure.of(error))
        finally:
            loop.event_loop.remove_reader(descriptor)
        task.settle()
        ended = sampler.ended(here.children_ns())
        try:
            self._pipe.send(("ended", ended))
        except Exception as error:
            failure = cannot_hand_back(ended.results, error)
            self._pipe.send(("ended", ended._replace(results=[], failure=failure)))

    def leave(self) -> Tuple[Optional[Failure], List[Dict[str, object]]]:
        """Tears down what the user's code set up here, and tells what it left on the loop."""
        if self._loop is None:
            return None, []
        failed = first_failure([self._loop.leave(), worker.current().task.leave()])
        left = self._loop.left_behind()
        self._loop.close()
        return failed, left


def main(hiring: worker.Hiring, part: Part, pipe: Connection, register: Any) -> None:
    """The life of a shard."""
    worker.start(hiring)
    shard = _Shard(part, pipe, hiring.job.rate, register)
    while True:
        try:
            kind, told = pipe.recv()
        except EOFError:
            return
        if kind == "end":
            return
        if kind == "run":
            shard.run(told)
            continue
        answer: object = None
        try:
            if kind == "ready":
                shard.get_ready(told)
            elif kind == "leave":
                answer = shard.leave()
            else:
                # What ended a block comes late where the block had ended by itself.
                continue
        except BaseException as error:
            answer = Failure.of(error)
        pipe.send(("answer", answer))
