"""What the worker processes of one candidate share: the lock, the queue's consumer, the event's partner.

The agent makes a `Shared` before its workers start and hands each of them the `handles`, as an argument of the
process; there the steps take their parts out. What threads and tasks of an event loop have in the agent (a consumer,
partners), processes have in a peer: a process beside the workers, one for each such step.
"""

from __future__ import annotations

import copy
import queue
import select
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from ..protocol import Failure, Job, StepJob
from . import Place, label, peer

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import Queue, SimpleQueue
    from multiprocessing.synchronize import Event, Lock

#: A semaphore counts no further, and neither does a queue of processes.
_MOST_ITEMS = 2**31 - 1
#: How often who waits for a partner looks whether that still lives.
_LOOK_S = 1.0


def is_shared(job: Job, step_job: StepJob) -> bool:
    """Whether the workers share something for this step: they do not where it stays on the event loop of the agent."""
    step = step_job.step
    kind = step["kind"]
    if kind not in ("lock", "queue", "event"):
        return False
    if kind == "event" and job.candidate.engine == "sharded-asyncio":
        # A task and its partner are on one loop.
        return False
    work = step.get("hold") or step.get("stage")
    stays_on_loop = work is None or work["kind"] == "wait"
    return not (stays_on_loop and job.candidate.engine == "asyncio+ProcessPoolExecutor")


def handed(job: Job, step_job: StepJob, place: Place, where: str) -> Optional[Handles]:
    """What a worker was handed for this step; None where it shares nothing with other processes."""
    # A step that never runs in the workers of this engine is made as for the agent, which needs nothing.
    if not place.is_worker or not is_shared(job, step_job):
        return None
    if not isinstance(place.shared, Handles):
        raise Failure("setup", "the worker was not handed what this step shares with the others", where)
    return place.shared


class QueueEnds(NamedTuple):
    """The workers' ends of one queue: it, and for each slot the end of a pipe for the results."""

    requests: Queue[Tuple[int, int]]
    replies: Dict[int, Connection]


class EventEnds(NamedTuple):
    """The workers' ends of one event: for each slot a signal and an answer, and a pipe that ends with the partner."""

    pairs: Dict[int, Tuple[Event, Event]]
    life: Connection


class Handles:
    """What workers inherit or are sent at their start, by the number of the step."""

    def __init__(self, context: BaseContext, slots: int) -> None:
        self._slots = slots
        # It holds one number, which a worker takes out to put the next one in: a shared integer would need ctypes.
        self._next: Optional[SimpleQueue[int]] = context.SimpleQueue()
        self._next.put(0)
        self.locks: Dict[int, Lock] = {}
        self.queues: Dict[int, QueueEnds] = {}
        self.events: Dict[int, EventEnds] = {}

    def claim(self) -> int:
        """A slot for a worker of a pool, which gives all its workers the same arguments."""
        assert self._next is not None
        slot = self._next.get()
        self._next.put(slot + 1)
        return slot % self._slots

    def release(self) -> None:
        """Lets go of it all, for a pool may hold these handles for longer.

        Semaphores that an agent still holds at its end are leaks to the helper of multiprocessing that counts them.
        """
        self._next = None
        for held in (self.locks, self.queues, self.events):
            held.clear()

    def only(self, slot: int) -> Handles:
        """The part of one slot, for a worker that is told its slot: to send it the others' ends costs time."""
        part = copy.copy(self)
        part.queues = {
            number: ends._replace(replies={slot: ends.replies[slot]}) for number, ends in self.queues.items()
        }
        part.events = {number: ends._replace(pairs={slot: ends.pairs[slot]}) for number, ends in self.events.items()}
        return part


class Shared:
    """Made by the agent for `slots` workers that run one task at a time each; ended by `close`."""

    def __init__(self, job: Job, context: BaseContext, slots: int) -> None:
        """Makes what the workers share, and starts the peers that this needs; Failure if it cannot.

        Under `fork`, call it before the workers start: what they inherit must not hold a peer's pipes open.
        """
        self.handles = Handles(context, slots)
        self._peers: List[BaseProcess] = []
        for number, step_job in enumerate(job.steps, 1):
            if is_shared(job, step_job):
                try:
                    self._share(number, job, step_job, context, slots)
                except OSError as error:
                    self.close()
                    message = f"cannot make what {slots} workers share: {error}; use fewer, or raise `ulimit -n`"
                    raise Failure("setup", message, label(number, step_job)) from error

    def pids(self) -> List[int]:
        """The processes behind it, for meters and for the kill list."""
        return [process.pid for process in self._peers if process.pid is not None]

    def close(self) -> None:
        """Ends the peers; workers must have ended before."""
        for process in self._peers:
            process.kill()
        for process in self._peers:
            process.join()
        self._peers.clear()
        self.handles.release()

    def _share(self, number: int, job: Job, step_job: StepJob, context: BaseContext, slots: int) -> None:
        kind = step_job.step["kind"]
        if kind == "lock":
            self.handles.locks[number] = context.Lock()
        elif kind == "queue":
            capacity = min(max(step_job.step["capacity"], 1), _MOST_ITEMS)
            requests: Queue[Tuple[int, int]] = context.Queue(capacity)
            replies, answering = zip(*[context.Pipe(duplex=False) for _ in range(slots)])
            self.handles.queues[number] = QueueEnds(requests, dict(enumerate(replies)))
            self._start(context, peer.consume, (job.text(), number, requests, answering), answering)
        else:
            pairs = [(context.Event(), context.Event()) for _ in range(slots)]
            life, living = context.Pipe(duplex=False)
            self.handles.events[number] = EventEnds(dict(enumerate(pairs)), life)
            self._start(context, peer.answer, (pairs, living), (living,))

    def _start(
        self, context: BaseContext, target: Any, arguments: Tuple[Any, ...], theirs: Tuple[Connection, ...]
    ) -> None:
        # Every context has a Process, but its type is not BaseContext's.
        process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=target, args=arguments, name=f"conbench-{target.__name__}", daemon=True
        )
        process.start()
        self._peers.append(process)
        # The peer's ends are its own from here on: when it ends, its pipes do.
        for end in theirs:
            end.close()


class WorkersLock:
    """The lock of all workers, as a context manager that does not wait for ever."""

    def __init__(self, handles: Handles, number: int, job: Job, where: str) -> None:
        self._lock = handles.locks[number]
        self._timeout_s = job.task_timeout_ns / 1e9
        self._where = where

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._timeout_s):
            raise Failure(
                "hang",
                f"the shared lock was not free within the task's timeout of {self._timeout_s:g} s; "
                "a worker that held it has died, or `task_timeout` is too short for so many workers",
                self._where,
            )

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class WorkersQueue:
    """A worker's end of a queue: to the peer, shared by all workers, and one back."""

    def __init__(self, handles: Handles, number: int, slot: int, job: Job, where: str) -> None:
        ends = handles.queues[number]
        self._requests = ends.requests
        self._reply = ends.replies[slot]
        self._slot = slot
        self._timeout_s = job.task_timeout_ns / 1e9
        self._where = where
        # A worker that ends waits for its feeder thread, as the queue does by itself: an answer may come before that
        # thread has let go of the lock that all writers share, and who ended with it would stop them all.

    def ask(self, index: int) -> int:
        """Hands over item `index` and waits for its checksum."""
        try:
            self._requests.put((self._slot, index), timeout=self._timeout_s)
            answered = None
            while answered != index:
                # A process that died in this slot may have left a reply behind.
                answered, answer = self._reply.recv()
        except queue.Full:
            message = f"the queue had no room within the task's timeout of {self._timeout_s:g} s"
            raise Failure("hang", f"{message}; its consumer is too slow, or has died", self._where) from None
        except (EOFError, OSError) as error:
            message = "the queue's consumer process ended before its item was done"
            raise Failure("worker", message, self._where) from error
        if isinstance(answer, Failure):
            raise answer
        checksum: int = answer
        return checksum


class WorkersEvent:
    """A worker's end of an event: a signal to its partner, and one back."""

    def __init__(self, handles: Handles, number: int, slot: int, job: Job, where: str) -> None:
        ends = handles.events[number]
        self._signal, self._answer = ends.pairs[slot]
        # Nothing is ever sent through this pipe: what can be read is its end. Connection.poll() costs far more.
        self._life = ends.life
        self._end = select.poll()
        self._end.register(self._life.fileno(), select.POLLIN)
        self._timeout_s = job.task_timeout_ns / 1e9
        self._where = where

    def round_trip(self) -> None:
        """Signals the partner and waits for its answer."""
        # To signal a process that died while it waited blocks for ever.
        self._check_partner()
        self._signal.set()
        waited_s = 0.0
        while not self._answer.wait(_LOOK_S):
            self._check_partner()
            waited_s += _LOOK_S
            if waited_s >= self._timeout_s:
                message = f"no answer to a signal within the task's timeout of {self._timeout_s:g} s"
                raise Failure("hang", message, self._where)
        self._answer.clear()

    def _check_partner(self) -> None:
        if self._end.poll(0):
            raise Failure("worker", "the event's partner process ended before its answer", self._where)
