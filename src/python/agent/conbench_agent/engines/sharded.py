"""Sharded loops: worker processes with an asyncio loop each, as servers are deployed.

Every loop has its share of the tasks in flight, and takes its next task itself when one has ended: no process hands out
tasks one by one. This process opens the window when all loops are busy, and closes it; a thread for each shard listens.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple, Union

from .. import meter, shard
from ..meter import Tally, Usage
from ..paced import PacedSampler
from ..protocol import Failure, Job
from ..sampler import Sampler, Settings, Window
from ..shard import Ended, Lot, Order, Part
from ..task import VARIANTS, Task, first_failure
from .base import Engine
from .patience import Patience, end_in_time
from .processes import LOOK_S, Crew, crossing_failure

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_WindowNs = Tuple[int, int]
#: What a thread tells the main one: a window was opened, a shard has ended its block, or something failed.
_Event = Union[None, _WindowNs, Failure]
#: How long after its end a worker's status may be unknown.
_LATE_S = 5.0


class ShardedAsyncio(Engine):
    """Worker processes with a loop each."""

    crosses = True

    def __init__(self, job: Job, task: Task) -> None:
        """Starts the workers, before any thread of this process."""
        sizes = job.candidate.sizes
        self.slots = sizes.concurrency
        # A loop without a task in flight would do nothing.
        self.shards = min(sizes.workers or 1, self.slots)
        self.tasks_per_message = 2 * -(-self.slots // self.shards)
        self._task = task
        self._children = Tally()
        self._left: List[Dict[str, object]] = []
        self._crew = Crew(job, task, self.shards)
        context: Any = self._crew.context
        #: The bucket of all shards, where a rate is stated.
        self._register = None if job.rate is None else context.SimpleQueue()
        self._pipes: List[Connection] = []
        each, rest = divmod(self.slots, self.shards)
        try:
            for number in range(self.shards):
                ours, theirs = context.Pipe()
                part = Part(number, self.shards, each + (number < rest))
                arguments = self._crew.hiring, part, theirs, self._register
                context.Process(target=shard.main, args=arguments).start()
                theirs.close()
                self._pipes.append(ours)
        except BaseException:
            self._crew.close()
            raise

    def get_ready(self) -> None:
        """Sets the workers and their loops up."""
        self._ask_all("ready", 0)

    def warm(self) -> None:
        """Lets each worker make ahead what its tasks need."""
        self._ask_all("ready", None)

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        if self._register is not None and isinstance(sampler, PacedSampler):
            if not self._register.empty():
                self._register.get()
            self._register.put(sampler.full_ns)
        block = _Block(sampler, self._task, self._pipes, self._children, self._crew)
        block.run()

    def pids(self) -> List[int]:
        """The workers and the processes that help them."""
        return self._crew.pids()

    def workers_usage(self) -> Usage:
        """What these processes used so far, and the programs that tasks started in them."""
        return self._crew.usage().plus(meter.of_children(self._children.ns))

    def leave(self) -> Optional[Failure]:
        """Tears down each loop, and its process."""
        try:
            answers = self._ask_all("leave", None, Patience(self._look))
        except BaseException as error:
            return Failure.of(error)
        self._left = [left for _, all_left in answers for left in all_left]
        return first_failure([failed for failed, _ in answers])

    def left_behind(self) -> List[Dict[str, object]]:
        """What tasks left on the loops."""
        return self._left

    def close(self) -> None:
        """Ends the workers."""
        for pipe in self._pipes:
            with suppress(OSError):
                end_in_time(partial(pipe.send, ("end", None)))
        self._crew.close()
        for pipe in self._pipes:
            pipe.close()

    def abandon(self) -> None:
        """Ends the workers without a word."""
        self._crew.kill()
        self._crew.close()

    def _look(self) -> None:
        died = self._crew.find_death()
        if died is not None:
            raise died

    def _ask_all(self, kind: str, told: object, look: Optional[Patience] = None) -> List[Any]:
        """Asks all shards something that each answers; raises what failed first."""
        answers = []
        try:
            for pipe in self._pipes:
                pipe.send((kind, told))
            for pipe in self._pipes:
                while not pipe.poll(LOOK_S):
                    (look or self._look)()
                answers.append(pipe.recv()[1])
        except (EOFError, OSError) as error:
            raise self._crew.find_death(_LATE_S) or Failure("worker", f"a worker process is gone: {error}") from error
        for answer in answers:
            if isinstance(answer, Failure):
                raise answer
        return answers


class _Block:
    """One block, as the agent sees it."""

    def __init__(self, sampler: Sampler, task: Task, pipes: List[Connection], children: Tally, crew: Crew) -> None:
        self._sampler = sampler
        self._settings: Settings = sampler.settings
        self._task = task
        self._pipes = pipes
        self._children = children
        self._crew = crew
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._lock = threading.Lock()
        self._sending = [threading.Lock() for _ in pipes]
        #: The next index that is given to each shard.
        self._next = [self._settings.first_index + number for number in range(len(pipes))]
        self._given = task.given(self._settings.first_index) is not None
        self._begun = 0
        #: The shards that no task straddles the window's end in, or that have no task left.
        self._done: Set[int] = set()
        self._last_begun_ns = 0
        self._is_stopped = self._is_open = False

    def run(self) -> None:
        """Returns when every shard has ended it; raises what failed first."""
        sampler = self._sampler
        tail_ns = sampler.tail_ns if isinstance(sampler, PacedSampler) else 0
        for number in range(len(self._pipes)):
            lot = self._lot(number, 4 * max(self._settings.slots // len(self._pipes), 1)) if self._given else None
            order = Order(self._settings._replace(keep=0), sampler.go_ns, tail_ns, lot, self._has_more(number))
            self._send(number, "run", order)
        # What is told to all is told after that.
        for number, pipe in enumerate(self._pipes):
            threading.Thread(target=self._listen, args=(number, pipe), name="conbench-shard", daemon=True).start()
        outstanding = len(self._pipes)
        edges: List[int] = []
        while outstanding:
            left_s = max(edges[0] - monotonic_ns(), 0) / 1e9 if edges else None
            try:
                event = self._events.get(timeout=left_s)
            except Empty:
                sampler.read_cpu_clock()
                del edges[0]
                continue
            if isinstance(event, Failure):
                sampler.fail(event)
                raise event
            if event is None:
                outstanding -= 1
                edges.clear()
            elif not self._is_stopped:
                edges = list(event)

    def _listen(self, number: int, pipe: Connection) -> None:
        """Hears what one shard tells, until it has ended the block."""
        try:
            while True:
                kind, told = pipe.recv()
                if kind == "more":
                    results, wants = told
                    self._take(results)
                    if wants:
                        self._send(number, "lot", (self._lot(number, wants), self._has_more(number)))
                elif kind == "ended":
                    self._end(number, told)
                    return
                else:
                    self._hear(number, kind, told)
        except (EOFError, OSError) as error:
            died = self._crew.find_death(_LATE_S)
            self._events.put(died or Failure("worker", f"a worker process is gone: {error}", f"worker {number}"))
        except Failure as failure:
            self._events.put(failure)
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            self._events.put(Failure("worker", f"what a worker process handed back cannot be read: {reason}"))

    def _hear(self, number: int, kind: str, at_ns: int) -> None:
        arrival = self._settings.arrival
        with self._lock:
            if kind == "begun" and isinstance(arrival, Window) and not self._is_open:
                self._begun += 1
                self._last_begun_ns = max(self._last_begun_ns, at_ns)
                if self._sampler.is_paced or self._begun == len(self._pipes):
                    self._is_open = True
                    window = self._sampler.open_window(self._last_begun_ns)
                    self._broadcast("window", window)
                    self._events.put(window)
            if kind == "out":
                self._sampler.ran_out(at_ns)
            if kind in ("drained", "out"):
                self._done.add(number)
            if len(self._done) == len(self._pipes) and not self._is_stopped:
                self._is_stopped = True
                self._broadcast("stop", None)

    def _broadcast(self, kind: str, told: object) -> None:
        for number in range(len(self._pipes)):
            # Who is dead is found dead by the thread that listens.
            with suppress(OSError):
                self._send(number, kind, told)

    def _send(self, number: int, kind: str, told: object) -> None:
        with self._sending[number]:
            try:
                self._pipes[number].send((kind, told))
            except OSError:
                raise
            except Exception as error:
                lot = told.lot if isinstance(told, Order) else told[0] if isinstance(told, tuple) else []
                raise crossing_failure(self._task, [index for index, _ in lot or []], error) from error

    def _last_index(self) -> Optional[int]:
        limits = [limit for limit in (self._settings.most_tasks, self._sampler.tasks) if limit is not None]
        return self._settings.first_index + min(limits) - 1 if limits else None

    def _has_more(self, number: int) -> bool:
        last = self._last_index()
        return self._given and (last is None or self._next[number] <= last)

    def _lot(self, number: int, most: int) -> Lot:
        """What the next tasks of a shard are given: of a batch, all of them."""
        handed, step, last = self._task.handed, len(self._pipes), self._last_index()
        first = self._next[number]
        end = first + most * step
        if last is not None:
            end = last + 1 if self._sampler.tasks is not None else min(end, last + 1)
        indices = range(first, max(end, first), step)
        self._next[number] = first + len(indices) * step
        return [(index, handed(index)) for index in indices]

    def _take(self, results: List[Tuple[int, object]]) -> None:
        """Reads what tasks handed back."""
        received, settings = self._task.received, self._settings
        checksum = sum([received(result) for _, result in results])
        with self._lock:
            self._sampler.add_checksum(checksum)
            for index, result in results:
                if index < settings.first_index + settings.keep:
                    self._sampler.kept[index] = result

    def _end(self, number: int, ended: Ended) -> None:
        if ended.failure is not None:
            self._events.put(ended.failure)
            return
        self._take(ended.results)
        shards, first = len(self._pipes), self._settings.first_index
        variants = [0] * VARIANTS
        for place in range(min(ended.taken, VARIANTS)):
            variants[(first + number + place * shards) % VARIANTS] += -(-(ended.taken - place) // VARIANTS)
        with self._lock:
            self._children.ns += ended.children_ns
            self._sampler.take_over(number, ended, variants)
        self._events.put(None)
