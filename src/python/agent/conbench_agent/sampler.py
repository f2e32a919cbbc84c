"""The one sampler that serves all engines: it hands out indices, and turns times of tasks into the figures of a block.

Nothing wakes up for the edges of the window. Tasks are logged with their times; the window begins when the last slot
has begun a task (plus a task's time and a part of it, so that what began together has ended, and edges fall at any
phase of a task). After its end every slot goes on to begin tasks, which count for nothing but the block's totals, until
the last task that straddles it has ended; a slot's straddler is the first task that it ends after the window. Only then
the block drains. (Were each slot to stop at the window's end, the straddlers would run under less and less load and end
too soon, and as a straddler counts by the part of its time that lies in the window, 16 that share two cores would count
2 to 3 % too much.) Where a limit ends dispatch first, the window is cut back to where that holds. What fell into the
window is computed afterwards.

CPU time is read twice, by whoever ends the first task after the window's begin and after its end: where tasks share
cores, the parts of their time that lie in the window do not tell what was done in it.

Where a rate holds tasks back, `paced` says what is different.
"""

from __future__ import annotations

import struct
import sys
import threading
from array import array
from itertools import compress, count
from operator import itemgetter, sub
from time import monotonic_ns
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union, cast

from .histogram import Histogram
from .meter import Usage
from .protocol import Failure
from .task import MODULUS, VARIANTS, Done

if TYPE_CHECKING:
    from .shard import Ended

#: Tasks of one shard after which its log is folded into totals, so that memory does not grow with their number.
LOG_CAPACITY = 1 << 16
#: A time that never comes.
NEVER_NS = (1 << 63) - 1
#: A slot that is left without work is waited for at least so long after the last one that was not.
_LEAST_PATIENCE_NS = 50_000_000
#: All slots together are waited for as long as so many windows, or tasks.
_PATIENCE = 4

#: The longest task of a block is taken for no longer than so many times the mean.
_LONGEST_TASK = 4

#: A row of a log: when a task was submitted, began and ended.
_write_row = struct.Struct("3q").pack_into
_ROW_BYTES = 24
#: A log has room for so many tasks at first, and doubles.
_FIRST_ROWS = 256

_Window = Tuple[int, int]
#: The CPU time (ns) of all that runs the tasks, so far.
CpuClock = Callable[[], int]


class _Columns(NamedTuple):
    """The times of some tasks."""

    submitted: array[int]
    begins: array[int]
    ends: array[int]


class _Full(NamedTuple):
    """What ended while the load was full: for how long it was, how many tasks, and their service times."""

    ns: int
    tasks: int
    busy_ns: int


class Window(NamedTuple):
    """Tasks arrive at full load until a window of this length is behind."""

    window_ns: int
    #: From the begin of the last slot's first task to the window's begin.
    ramp_ns: int = 0


class Batch(NamedTuple):
    """So many tasks arrive at once."""

    tasks: int
    #: Whether they are turns of long tasks. What counts then is what ended until the last one began: until then the
    #: load was full, and all that began together may have ended together.
    are_turns: bool = False


class Settings(NamedTuple):
    """What a block runs under."""

    arrival: Union[Window, Batch]
    first_index: int
    #: Tasks that the engine has in flight at once.
    slots: int
    #: Logs; each is written by one thread at a time.
    shards: int
    #: A task that takes longer than this has failed.
    task_timeout_ns: int
    #: Whether event loops run a heartbeat.
    heartbeat: bool = False
    #: The most tasks that may be begun; None is no limit.
    most_tasks: Optional[int] = None
    #: Of so many tasks, from the first on, what they hand back is kept.
    keep: int = 0
    #: Whether a task that fails is counted, and the block goes on.
    tolerates_errors: bool = False


class Sampler:
    """Samples one block."""

    #: Whether a rate holds tasks back. Then none is to be submitted ahead of a free worker: what queues for workers
    #: begins when they are free, and several at once, whatever the bucket said when it was submitted.
    is_paced = False

    def __init__(self, settings: Settings, go_ns: int, cpu_clock: Optional[CpuClock] = None) -> None:
        """For a block whose `go` came at `go_ns`; `cpu_clock` is read at the window's edges."""
        arrival = settings.arrival
        self._cpu_clock = cpu_clock
        #: When the CPU clock was read after the window's begin and after its end, and what it showed.
        self._edges: List[Tuple[int, int]] = []
        self._settings = settings
        self._go_ns = go_ns
        #: The number of tasks of a batch, else None.
        self.tasks = arrival.tasks if isinstance(arrival, Batch) else None
        #: Whether dispatch is over.
        self.stopped = False
        #: What the first tasks handed back, by index: see `Settings.keep`.
        self.kept: Dict[int, object] = {}
        #: The mean service time of the tasks that count, for the next block's ramp; known when finished.
        self.mean_service_ns = 0
        #: The longest of them, for the next block under a rate; known when finished.
        self.longest_service_ns = 0

        limits = [limit for limit in (settings.most_tasks, self.tasks) if limit is not None]
        self._last_index = settings.first_index + min(limits) - 1 if limits else sys.maxsize
        self._take = _counter(settings.first_index)
        #: Whether the last task was handed out; whether one was wanted beyond.
        self._all_begun = False
        self._ran_out = False

        self._lock = threading.Lock()
        self._failure: Optional[Failure] = None
        self._longest_stall_ns = 0
        #: What was found of the errors of tasks, each thing once.
        self._notes: List[Dict[str, object]] = []
        self._lanes: Dict[int, Lane] = {}
        self._logs = [_Log() for _ in range(max(settings.shards, 1))]
        self._full_until_ns = NEVER_NS
        #: Of each variant so many tasks, where those of a block are not successive ones.
        self._variants = [0] * VARIANTS
        self._all_begun_ns = 0
        self._not_begun = self._not_drained = max(settings.slots, 1)
        self._window: Optional[_Window] = (0, NEVER_NS) if isinstance(arrival, Batch) else None
        #: Ends of tasks from this time on are watched: one may be late, the window may open late, or close.
        self._watch_ns = go_ns + settings.task_timeout_ns
        self._patience_ns = 0
        #: The longest task that ended after the window.
        self._longest_late_ns = 0
        #: When a slot was last heard of: it began its first task, or drained.
        self._news_ns = go_ns
        if isinstance(arrival, Window):
            self._patience_ns = max(arrival.window_ns, _LEAST_PATIENCE_NS)
            self._watch_ns = min(self._watch_ns, go_ns + self._patience_ns)

    def next(self) -> Optional[int]:
        """The index of the next task to begin; None when no more may be begun.

        Each index is given once, to whatever thread asks, and whoever takes it runs it.
        """
        if self.stopped:
            return None
        index = self._take()
        if index < self._last_index:
            return index
        if index == self._last_index:
            self._all_begun = True
            return index
        self._all_begun = self._ran_out = True
        return None

    def poll(self) -> Tuple[Optional[int], int]:
        """As `next`, for who must not wait: the index, if one may begin now; else when to ask again, or 0 for never."""
        return self.next(), 0

    async def next_on_loop(self) -> Optional[int]:
        """As `next`, on an event loop."""
        return self.next()

    def park(self, resume: Callable[[], None]) -> bool:
        """Whether `resume` will be called when there is a next task: there was none, and there may be one yet."""
        return False

    def lane(self, slot: int, shard: Optional[int] = None) -> Lane:
        """Where the tasks of one slot are recorded: one lane a slot, whoever asks; by default with a log of its own."""
        lane = self._lanes.get(slot)
        if lane is None:
            log = self._logs[(slot if shard is None else shard) % len(self._logs)]
            kind = KeepingLane if self._settings.keep else Lane
            if self._settings.tolerates_errors:
                kind = TolerantLane
            lane = self._lanes.setdefault(slot, kind(self, log))
        return lane

    def fail(self, error: BaseException) -> None:
        """Something failed: dispatch stops, and the block's answer is the first failure."""
        with self._lock:
            if self._failure is None:
                self._failure = Failure.of(error)
        self.stopped = True

    def note(self, note: Dict[str, object]) -> None:
        """Something was found of the error of a task."""
        with self._lock:
            if note not in self._notes:
                self._notes.append(note)

    @property
    def failure(self) -> Optional[Failure]:
        """The first failure, if something failed."""
        return self._failure

    @property
    def settings(self) -> Settings:
        """What the block runs under."""
        return self._settings

    @property
    def go_ns(self) -> int:
        """When the block began."""
        return self._go_ns

    def open_window(self, from_ns: int) -> Tuple[int, int]:
        """Opens the window of a closed load, whose last slot began its first task at `from_ns`; its begin and end."""
        with self._lock:
            self._open_window(from_ns)
        assert self._window is not None
        return self._window

    def read_cpu_clock(self) -> None:
        """Reads the CPU clock, after the window's begin or after its end."""
        with self._lock:
            if self._edges:
                self._read_cpu_clock_again()
            else:
                self._read_cpu_clock()

    def ran_out(self, at_ns: int) -> None:
        """A task was wanted at this time, and there was none: from then on the load is not full."""
        self._ran_out = True
        self._full_until_ns = min(self._full_until_ns, at_ns)

    def add_checksum(self, checksum: int) -> None:
        """Adds to the checksum of the block, for who receives what tasks hand back."""
        self._logs[0].checksum += checksum

    def take_over(self, shard: int, ended: Ended, variants: List[int]) -> None:
        """Takes the log of a shard that another process has kept, and how many tasks of each variant it ran."""
        log = self._logs[shard]
        log.rows, log.end = bytearray(ended.rows), len(ended.rows)
        log.checksum += ended.checksum
        if ended.first_error is not None:
            log.note_error(ended.first_error[0], ended.first_error[0], ended.first_error[1])
            log.tasks += ended.errors - 1
            log.errors = ended.errors
        self._variants = [sum(both) for both in zip(self._variants, variants)]
        for note in ended.notes:
            self.note(note)
        self.stalled(ended.stall_ns)

    @property
    def wants_heartbeat(self) -> bool:
        """Whether event loops run a heartbeat in this block."""
        return self._settings.heartbeat

    def stalled(self, late_ns: int) -> None:
        """An event loop was late for its heartbeat."""
        with self._lock:
            self._longest_stall_ns = max(self._longest_stall_ns, late_ns)

    def finish(self, block: int, kind: str, usage: Usage) -> Dict[str, object]:
        """The figures of the block, with what the processes used in it; every task must have ended.

        Raises the first failure.
        """
        if self._failure is not None:
            raise self._failure
        for log in self._logs:
            log.note_span()
        first_begin_ns = min(log.first_begin_ns for log in self._logs)
        last_begin_ns = max(log.last_begin_ns for log in self._logs)
        window, is_batch = self._final_window(min(last_begin_ns, self._full_until_ns))
        full = self._full_turns(first_begin_ns, last_begin_ns)
        totals = _Totals()
        for log in self._logs:
            log.fold(window)
            totals.add(log.totals)
            log.release()
        # A sampler and its lanes know each other: left so, they would stay until the garbage collector finds them.
        self._lanes.clear()
        self.mean_service_ns = totals.mean_service_ns()
        self.longest_service_ns = totals.longest_service_ns()
        elapsed_ns = max(max(log.last_end_ns for log in self._logs), self._go_ns) - self._go_ns
        arrival = self._settings.arrival
        if is_batch or isinstance(arrival, Batch):
            window_ns = elapsed_ns if full is None else full.ns
        else:
            window_ns = arrival.window_ns if window is None else window[1] - window[0]
        figures: Dict[str, object] = {
            "block": block,
            "kind": kind,
            "first_index": self._settings.first_index,
            "tasks": sum(log.tasks for log in self._logs),
            "checksum": sum(log.checksum for log in self._logs) % MODULUS,
            "window_ns": window_ns,
            "elapsed_ns": elapsed_ns,
            "resume_ns": min(max(first_begin_ns - self._go_ns, 0), elapsed_ns),
            "tasks_in_window": totals.tasks_in_window if full is None else full.tasks,
            "service": totals.service.encode(),
            "queueing": totals.queueing.encode(),
            "busy_ns": totals.busy_ns if full is None else full.busy_ns,
            "usage": usage._asdict(),
        }
        if self._are_dealt(cast(int, figures["tasks"])):
            figures["variants"] = self._variants
        window_cores = self._window_cores()
        if window_cores is not None and not is_batch:
            figures["window_cores"] = window_cores
        errors = [error for log in self._logs if (error := log.first_error) is not None]
        if errors:
            figures["errors"] = sum(log.errors for log in self._logs)
            figures["first_error"] = min(errors, key=itemgetter(0))[1].to_frame()["failed"]
        if self._notes:
            figures["notes"] = self._notes
        if self._settings.heartbeat and self._longest_stall_ns > 0:
            figures["longest_stall_ns"] = self._longest_stall_ns
        return figures

    def _full_turns(self, first_begin_ns: int, last_begin_ns: int) -> Optional[_Full]:
        """What ended of the turns of long tasks until the last one began; None of one turn, of which nothing did."""
        arrival = self._settings.arrival
        # Within one turn the load is full for no more than an instant.
        if not isinstance(arrival, Batch) or not arrival.are_turns or arrival.tasks <= self._settings.slots:
            return None
        services = [
            end - begin
            for columns in (log.columns() for log in self._logs)
            for begin, end in zip(columns.begins, columns.ends)
            if end <= last_begin_ns
        ]
        ns = last_begin_ns - first_begin_ns
        return _Full(ns, len(services), sum(services)) if ns > 0 and services else None

    def _are_dealt(self, tasks: int) -> bool:
        """Whether the variants of the tasks are known, and are not those of so many successive tasks."""
        first = self._settings.first_index
        successive = [0] * VARIANTS
        for place in range(VARIANTS):
            successive[(first + place) % VARIANTS] = -(-max(tasks - place, 0) // VARIANTS)
        return any(self._variants) and self._variants != successive

    def _note_begin(self, begin_ns: int) -> None:
        """A slot began its first task."""
        with self._lock:
            self._not_begun -= 1
            # Worker processes are heard of in the order in which their first tasks end.
            self._all_begun_ns = max(self._all_begun_ns, begin_ns)
            self._news_ns = max(self._news_ns, begin_ns)
            if self._not_begun == 0:
                self._open_window(self._all_begun_ns)

    def _open_window(self, from_ns: int) -> None:
        """The window is now known, unless it was. A task that ended before this moment ended before the window."""
        arrival = self._settings.arrival
        if self._window is None and isinstance(arrival, Window):
            start_ns = from_ns + arrival.ramp_ns
            self._window = start_ns, start_ns + arrival.window_ns
            self._watch_ns = min(self._go_ns + self._settings.task_timeout_ns, start_ns)

    def _note_end(self, lane: Lane, begin_ns: int, end_ns: int) -> None:
        """A task ended at a time that is watched.

        Neither the window's begin nor its end waits forever for a slot that is left without work, as a pool that
        prefers busy workers may leave one.
        """
        self._note_lateness(begin_ns, end_ns)
        with self._lock:
            if self._window is None:
                if self._waits_no_more(end_ns, self._go_ns):
                    self._open_window(end_ns)
                return
            if end_ns >= self._window[0] and not self._edges:
                self._read_cpu_clock()
                self._watch_ns = min(self._go_ns + self._settings.task_timeout_ns, self._window[1])
            if end_ns >= self._window[1]:
                self._read_cpu_clock_again()
                # Tasks may be much longer than the window, and a straddler of theirs is no slot without work.
                self._longest_late_ns = max(self._longest_late_ns, end_ns - begin_ns)
                waits_no_more = self._waits_no_more(end_ns, self._window[1])
                if not lane.drained:
                    lane.drained = True
                    self._not_drained -= 1
                    self._news_ns = max(self._news_ns, end_ns)
                if self._not_drained == 0 or waits_no_more:
                    self._all_drained()

    def _all_drained(self) -> None:
        self.stopped = True

    def _read_cpu_clock(self) -> None:
        """Reads the CPU clock at the next edge."""
        before_ns = monotonic_ns()
        cpu_ns = 0 if self._cpu_clock is None else self._cpu_clock()
        self._edges.append(((before_ns + monotonic_ns()) // 2, cpu_ns))

    def _read_cpu_clock_again(self) -> None:
        """Reads the CPU clock a second time, at least half a window after the first, and while the load is full.

        (Who feeds many processes may hear of their ends late. Under full load any such part says the same.)
        """
        arrival = self._settings.arrival
        if not isinstance(arrival, Window) or len(self._edges) != 1 or self.stopped:
            return
        if monotonic_ns() >= self._edges[0][0] + arrival.window_ns // 2:
            self._read_cpu_clock()

    def _window_cores(self) -> Optional[float]:
        """Cores in use between the two readings."""
        if self._cpu_clock is None or len(self._edges) < 2 or self._ran_out:
            return None
        (begin_ns, cpu_before_ns), (end_ns, cpu_after_ns) = self._edges
        span_ns = end_ns - begin_ns
        return max(cpu_after_ns - cpu_before_ns, 0) / span_ns if span_ns > 0 else None

    def _note_lateness(self, begin_ns: int, end_ns: int) -> None:
        if end_ns - begin_ns > self._settings.task_timeout_ns:
            self.fail(_late(end_ns - begin_ns, self._settings.task_timeout_ns))

    def _waits_no_more(self, now_ns: int, from_ns: int) -> bool:
        """Whether slots that were not heard of since `from_ns` are waited for no more.

        A window, or some of its longest tasks, after the last one that was heard of, and some windows in all.
        """
        for_tasks_ns = self._longest_late_ns * _PATIENCE
        one_ns = max(self._news_ns, from_ns) + max(self._patience_ns, for_tasks_ns)
        all_ns = from_ns + max(self._patience_ns * _PATIENCE, for_tasks_ns)
        return now_ns > min(one_ns, all_ns)

    def _may_fold(self, end_ns: int) -> bool:
        """Whether tasks that ended by now may be counted already.

        Under a limit, the window may yet be moved to before `end_ns`, unless it began and a task will still begin.
        """
        if self._settings.most_tasks is None or self.tasks is not None:
            return True
        return self._window is not None and self._window[0] <= end_ns and not self._all_begun

    def _final_window(self, last_begin_ns: int) -> Tuple[Optional[_Window], bool]:
        """The window of the whole block, and whether all its tasks count as a batch.

        When tasks run out, the load is full until the last one begins. The window ends where no task straddles its end
        that ended later; where that leaves nothing of it, when the last task begins. Without a window before that, the
        time of all tasks is all there is to go by.
        """
        if self.tasks is not None:
            return self._window, True
        if not self._ran_out:
            return self._window, False
        if self._window is not None:
            start_ns, end_ns = self._window
            for full_ns in self._last_full_ns(last_begin_ns), last_begin_ns:
                if start_ns < full_ns:
                    return (start_ns, min(end_ns, full_ns)), False
        return (0, NEVER_NS), True

    def _last_full_ns(self, last_begin_ns: int) -> int:
        """The last moment that no task straddles which ended under less than full load.

        `last_begin_ns` is when the last task began. What is folded was counted, and is inside.
        """
        late = [log.first_begin_of_those_beyond(last_begin_ns) for log in self._logs]
        first_ns = min([last_begin_ns, *late])
        folded_ns = max(log.folded_ns for log in self._logs)
        return min(max(first_ns, folded_ns), last_begin_ns)


class Lane:
    """Where the tasks of one slot are recorded, one at a time.

    This is the hot part: `begin` and `end` together take less than a microsecond and make no garbage. Lanes that share
    a log are used by one thread.
    """

    __slots__ = ("_begun", "_log", "_sampler", "drained")

    def __init__(self, sampler: Sampler, log: _Log) -> None:
        """Use `Sampler.lane`."""
        self._sampler = sampler
        self._log = log
        self._begun = False
        #: Whether it ended a task after the window.
        self.drained = False

    def begin(self) -> int:
        """A task begins, now: the time."""
        now = monotonic_ns()
        if not self._begun:
            self.begun_at(now)
        return now

    def begun_at(self, begin_ns: int) -> None:
        """A task began at `begin_ns`, or was handed to a worker process then."""
        if not self._begun:
            self._begun = True
            self._sampler._note_begin(begin_ns)

    def end(self, index: int, submitted_ns: int, begin_ns: int, end_ns: int, done: Done) -> None:
        """A task ended at `end_ns`."""
        log = self._log
        try:
            _write_row(log.rows, log.end, submitted_ns, begin_ns, end_ns)
        except struct.error:  # The log is full.
            self._make_room(end_ns)
            _write_row(log.rows, log.end, submitted_ns, begin_ns, end_ns)
        log.end += _ROW_BYTES
        log.checksum += done[0]
        if end_ns >= self._sampler._watch_ns:
            self._sampler._note_end(self, begin_ns, end_ns)

    def end_chunk(
        self,
        indices: Sequence[int],
        submitted_ns: int,
        times: array[int],
        checksum: int,
        results: Optional[List[object]],
    ) -> None:
        """Tasks ended that ran one after another; `times` has when each began and ended, by turns."""
        log, sampler = self._log, self._sampler
        rows = array("q", bytes(_ROW_BYTES * len(indices)))
        rows[0::3] = array("q", [submitted_ns]) * len(indices)
        rows[1::3], rows[2::3] = times[0::2], times[1::2]
        written = rows.tobytes()
        if log.end + len(written) > LOG_CAPACITY * _ROW_BYTES and sampler._may_fold(times[-1]):
            log.fold(sampler._window)
        while log.end + len(written) > len(log.rows):
            log.grow()
        log.rows[log.end : log.end + len(written)] = written
        log.end += len(written)
        log.checksum += checksum
        if times[-1] >= sampler._watch_ns:
            for begin_ns, end_ns in zip(times[0::2], times[1::2]):
                if end_ns >= sampler._watch_ns:
                    sampler._note_end(self, begin_ns, end_ns)

    def _make_room(self, end_ns: int) -> None:
        log, sampler = self._log, self._sampler
        if log.end >= LOG_CAPACITY * _ROW_BYTES and sampler._may_fold(end_ns):
            log.fold(sampler._window)
        else:
            log.grow()


class KeepingLane(Lane):
    """A lane that keeps what the first tasks handed back."""

    __slots__ = ()

    def end(self, index: int, submitted_ns: int, begin_ns: int, end_ns: int, done: Done) -> None:
        """A task ended at `end_ns`."""
        settings = self._sampler._settings
        if index < settings.first_index + settings.keep:
            self._sampler.kept[index] = done[1]
        super().end(index, submitted_ns, begin_ns, end_ns, done)

    def end_chunk(
        self,
        indices: Sequence[int],
        submitted_ns: int,
        times: array[int],
        checksum: int,
        results: Optional[List[object]],
    ) -> None:
        """Tasks ended that ran one after another."""
        settings = self._sampler._settings
        for place, index in enumerate(indices):
            if index < settings.first_index + settings.keep:
                self._sampler.kept[index] = None if results is None else results[place]
        super().end_chunk(indices, submitted_ns, times, checksum, results)


class TolerantLane(KeepingLane):
    """A lane that counts tasks that failed, and those that took too long."""

    __slots__ = ()

    def end(self, index: int, submitted_ns: int, begin_ns: int, end_ns: int, done: Done) -> None:
        """A task ended at `end_ns`, or failed then."""
        sampler, failure = self._sampler, done[1]
        if end_ns - begin_ns > sampler._settings.task_timeout_ns and not isinstance(failure, Failure):
            failure = _late(end_ns - begin_ns, sampler._settings.task_timeout_ns)
        if not isinstance(failure, Failure):
            super().end(index, submitted_ns, begin_ns, end_ns, done)
            return
        self._log.note_error(begin_ns, end_ns, failure)
        if failure.note is not None:
            sampler.note(failure.note)
        if end_ns >= sampler._watch_ns:
            # Too late or not, it is counted already.
            sampler._note_end(self, end_ns, end_ns)


class _Log:
    """The tasks of one shard: their times, and totals of those that are folded."""

    __slots__ = (
        "checksum",
        "end",
        "errors",
        "first_begin_ns",
        "first_error",
        "folded_ns",
        "last_begin_ns",
        "last_end_ns",
        "rows",
        "tasks",
        "totals",
    )

    def __init__(self) -> None:
        #: For each task, when it was submitted, began and ended; to the garbage collector, all of it is nothing.
        self.rows = bytearray(_ROW_BYTES * _FIRST_ROWS)
        #: Where the next row begins.
        self.end = 0
        self.checksum = 0
        #: Of the tasks that are folded, and of those that failed.
        self.tasks = 0
        self.errors = 0
        #: The first failure, and when its task ended.
        self.first_error: Optional[Tuple[int, Failure]] = None
        self.first_begin_ns = NEVER_NS
        self.last_begin_ns = self.last_end_ns = 0
        #: The last end of the tasks that are folded.
        self.folded_ns = 0
        self.totals = _Totals()

    def note_error(self, begin_ns: int, end_ns: int, failure: Failure) -> None:
        """A task failed: it is one more task, without times that count."""
        self.tasks += 1
        self.errors += 1
        if self.first_error is None:
            self.first_error = end_ns, failure
        self.first_begin_ns = min(self.first_begin_ns, begin_ns)
        self.last_begin_ns = max(self.last_begin_ns, begin_ns)
        self.last_end_ns = max(self.last_end_ns, end_ns)

    def grow(self) -> None:
        """Makes room for twice as many rows."""
        self.rows.extend(bytes(max(len(self.rows), _ROW_BYTES * _FIRST_ROWS)))

    def release(self) -> None:
        """Gives back what it holds: an engine's closures may keep the log for several blocks to come."""
        self.rows, self.totals = bytearray(), _Totals()

    def columns(self) -> _Columns:
        """When tasks that are not folded were submitted, began and ended."""
        times = array("q", self.rows[: self.end])
        return _Columns(times[0::3], times[1::3], times[2::3])

    def note_span(self) -> None:
        """Extends the span from the first begin to the last end by the tasks that are not folded."""
        _, begins, ends = self.columns()
        if begins:
            self.first_begin_ns = min(self.first_begin_ns, min(begins))
            self.last_begin_ns = max(self.last_begin_ns, max(begins))
            self.last_end_ns = max(self.last_end_ns, max(ends))

    def first_begin_of_those_beyond(self, time_ns: int) -> int:
        """The first begin of the tasks that are not folded and ended after this time."""
        _, begins, ends = self.columns()
        return min((begin for begin, end in zip(begins, ends) if end > time_ns), default=NEVER_NS)

    def fold(self, window: Optional[_Window]) -> None:
        """Moves the tasks into the totals. Without a window yet, they ended before it and count for nothing."""
        self.note_span()
        self.tasks += self.end // _ROW_BYTES
        if window is not None and self.end > 0:
            self.totals.count(self.columns(), window)
            self.folded_ns = self.last_end_ns
        self.end = 0


class _Totals:
    """What fell into the window."""

    def __init__(self) -> None:
        self.tasks_in_window = 0.0
        self.busy_ns = 0
        self.service_ns = 0
        self.service = Histogram()
        self.queueing = Histogram()

    def count(self, columns: _Columns, window: _Window) -> None:
        """Counts tasks: throughput by their overlap with the window, their times if they began in the window.

        (A task is then as likely to be seen when it is long as when it is short.)
        """
        start_ns, end_ns = window
        submitted, begins, ends = columns
        services = list(map(sub, ends, begins))
        queueings: Iterable[int] = map(sub, begins, submitted)
        if start_ns <= min(begins) and max(ends) < end_ns:
            self.tasks_in_window += len(services)
            self.busy_ns += sum(services)
        else:
            inside = [start_ns <= begin < end_ns for begin in begins]
            services = list(compress(services, inside))
            queueings = compress(queueings, inside)
            self._count_overlaps(begins, ends, window)
        self.service_ns += sum(services)
        self.service.record_all(services)
        if submitted == begins:
            self.queueing.record(0, len(services))
        else:
            self.queueing.record_all(list(queueings))

    def _count_overlaps(self, begins: array[int], ends: array[int], window: _Window) -> None:
        start_ns, end_ns = window
        whole = busy_ns = 0
        for begin, end in zip(begins, ends):
            if start_ns <= begin and end <= end_ns:
                # A task that took no time counts where it began.
                whole += begin < end_ns
                busy_ns += end - begin
            else:
                overlap_ns = max(min(end, end_ns) - max(begin, start_ns), 0)
                if overlap_ns:
                    self.tasks_in_window += overlap_ns / (end - begin)
                    busy_ns += overlap_ns
        self.tasks_in_window += whole
        self.busy_ns += busy_ns

    def add(self, other: _Totals) -> None:
        """Adds what another log counted."""
        self.tasks_in_window += other.tasks_in_window
        self.busy_ns += other.busy_ns
        self.service_ns += other.service_ns
        self.service.add(other.service)
        self.queueing.add(other.queueing)

    def mean_service_ns(self) -> int:
        """The mean service time of the tasks that began in the window."""
        return self.service_ns // max(len(self.service), 1)

    def longest_service_ns(self) -> int:
        """The longest of them, or a few times the mean if that is less: one hiccup is not what tasks take."""
        buckets = self.service.buckets()
        return min(buckets[-1][0], _LONGEST_TASK * self.mean_service_ns()) if buckets else 0


def _counter(first: int) -> Callable[[], int]:
    """Counts from `first` on; safe from any thread."""
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        return count(first).__next__  # One step of the interpreter, which the GIL does not interrupt.
    return _counter_with_lock(first)


def _counter_with_lock(first: int) -> Callable[[], int]:
    """Counts from `first` on; safe from any thread even without a GIL."""
    take = count(first).__next__
    lock = threading.Lock()

    def take_locked() -> int:
        with lock:
            return take()

    return take_locked


def _late(took_ns: int, timeout_ns: int) -> Failure:
    message = "a task took {:.1f} ms, longer than task_timeout ({:.1f} ms)"
    return Failure("task", message.format(took_ns / 1e6, timeout_ns / 1e6))
