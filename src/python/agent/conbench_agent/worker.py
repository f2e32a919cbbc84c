"""What runs in a worker process, or in an interpreter beside the agent's: the task, made once, then called by index.

Everything is at the level of the module, so that workers find it by name under every start method. A worker whose task
cannot be made does not die of it (a pool would call itself broken, or replace it for ever): it answers each task with
the reason.
"""

from __future__ import annotations

from array import array
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Sequence, Tuple, Union, cast

from . import standing, steps
from .meter import Reaped, Usage, usage
from .protocol import Failure, Job
from .task import Result, Task, first_failure

if TYPE_CHECKING:
    from .steps.ipc import Handles

#: What comes back of a task or segment: begin, end, checksum (without that of the output), what it hands back, and the
#: CPU time of programs that tasks started in this worker and that ended since it last told.
Ran = Tuple[int, int, int, object, int]
#: The same of a whole task, with the worker's slot before it.
RanInSlot = Tuple[int, int, int, int, object, int]
#: The same, with the task's index before that.
RanItem = Tuple[int, RanInSlot]


class RanChunk(NamedTuple):
    """What comes back of a chunk of tasks: in few objects, so that its way back takes little more than a program's."""

    slot: int
    #: When each task began and ended, by turns, as machine integers of 64 bits.
    times: bytes
    #: The sum of what the tasks' checksums are, without those of outputs.
    checksum: int
    #: What each task hands back; None if none hands back anything.
    results: Optional[List[object]]
    #: The CPU time of programs, as `Ran` has it.
    children_ns: int


#: Where tasks may fail, each is told by itself.
RanTogether = Union[RanChunk, List[RanItem]]

#: No program is started, run and ended in less: what reading the children's CPU time costs, shorter tasks are spared.
_LEAST_PROGRAM_NS = 500_000


class Hiring(NamedTuple):
    """What the workers of a pool are told at their start, all of them the same."""

    job: Job
    #: Its `claim()` gives each worker a slot of its own.
    slots: Any
    #: Its `wait()` returns when the agent has seen all workers there.
    meeting: Any
    #: What the steps share with other workers, where they can share anything.
    shared: Optional[Handles]
    #: Whether it is a process of an executor of the user's, whose steps share nothing.
    is_foreign: bool = False


class Told(NamedTuple):
    """What the process of one task puts on its queue."""

    slot: int
    #: What it ran, or why it could not.
    ran: Union[Ran, Failure]
    used: Usage
    #: Why its teardown failed.
    left: Optional[Failure] = None


class _Worker:
    """The task of this process or interpreter."""

    def __init__(
        self,
        task: Union[Task, Failure],
        slot: int = 0,
        meeting: Any = None,
        reaped: Optional[Reaped] = None,
        is_first_late: bool = False,
    ) -> None:
        self.slot = slot
        #: Whether it runs nothing before it and the others are ready for all tasks.
        self._is_first_late = is_first_late
        self._reaped = reaped
        self._made = task
        self._meeting = meeting
        #: Whether it has run nothing yet: what a first task hands back is looked at closely.
        self.is_new = True

    def run(self, index: int, given: object) -> Ran:
        """Runs a whole task. Of a first one, what it hands back is looked at closely."""
        if self.is_new:
            task = self.prepare(index)
            self.is_new = False
            ran = self.run(index, given)
            if task.exchanging and not isinstance(ran[3], Failure):
                _check_results(index, cast(Result, ran[3])[1])
            return ran
        task = cast(Task, self._made)
        begin_ns = monotonic_ns()
        checksum, result = task.blocking(index, given)
        end_ns = monotonic_ns()
        return begin_ns, end_ns, checksum, result, self._children_ns(begin_ns, end_ns)

    def run_chunk(self, items: Sequence[Tuple[int, object]]) -> RanChunk:
        """Runs whole tasks, one after another. Of a first one, what it hands back is looked at closely."""
        rest = iter(items)
        times: List[int] = []
        results: List[object] = []
        checksum = children_ns = 0
        if self.is_new:
            begin_ns, end_ns, checksum, result, children_ns = self.run(*next(rest))
            times += begin_ns, end_ns
            results.append(result)
        blocking, note_time, note_result = cast(Task, self._made).blocking, times.append, results.append
        for index, given in rest:
            begin_ns = monotonic_ns()
            added, result = blocking(index, given)
            end_ns = monotonic_ns()
            note_time(begin_ns)
            note_time(end_ns)
            checksum += added
            note_result(result)
        children_ns += self._children_ns(times[0], times[-1])
        is_nothing = results.count(None) == len(results)
        return RanChunk(self.slot, array("q", times).tobytes(), checksum, None if is_nothing else results, children_ns)

    def run_segment(self, number: int, index: int, given: object, with_payload: bool) -> Ran:
        """Runs the steps of one segment. Of a first one, what they hand back is looked at closely."""
        if self.is_new:
            self.prepare(index)
            self.is_new = False
            ran = self.run_segment(number, index, given, with_payload)
            _check_results(index, cast(Result, ran[3])[1])
            return ran
        task = cast(Task, self._made)
        begin_ns = monotonic_ns()
        checksum, results = task.segment_blocking(number, index, given)
        end_ns = monotonic_ns()
        output = None
        if with_payload:
            checksum += task.take_payload(index, given)
            output = task.hand_back(index)
        return begin_ns, monotonic_ns(), checksum, (output, results), self._children_ns(begin_ns, end_ns)

    def _children_ns(self, begin_ns: int, end_ns: int) -> int:
        if self._reaped is None or end_ns - begin_ns < _LEAST_PROGRAM_NS:
            return 0
        return self._reaped.since_last()

    def get_ready(self, index: Optional[int]) -> None:
        """Makes ahead what task `index` needs, or all tasks, and waits for the others, so that each gets ready once."""
        self.prepare(index)
        if index is None and not self._is_first_late:
            self.is_new = False
        self._meeting.wait()

    def prepare(self, index: Optional[int]) -> Task:
        """Makes ahead what task `index` needs, or all tasks; Failure if the task could not be made."""
        # What the first task needs is there before its time begins, as its user would read it or hand it over; the rest
        # is made when the workers meet, so that the start-up does not wait for it.
        if isinstance(self._made, Failure):
            raise self._made
        self._made.prepare(index)
        self._made.enter_thread()
        if self._reaped is not None:
            # What it took to get ready is no task's.
            self._reaped.since_last()
        return self._made

    @property
    def task(self) -> Task:
        """The task; Failure if it could not be made."""
        if isinstance(self._made, Failure):
            raise self._made
        return self._made

    def children_ns(self) -> int:
        """The CPU time of programs that tasks started here and that ended since this was last asked."""
        return 0 if self._reaped is None else self._reaped.since_last()

    def leave(self) -> Optional[Failure]:
        """Waits for the other workers, so that each leaves once, and tears down what the user's code set up here."""
        self._meeting.wait()
        return None if isinstance(self._made, Failure) else self.tear_down()

    def tear_down(self) -> Optional[Failure]:
        """Tears down this thread, and this process or interpreter after it; the first that failed."""
        task = cast(Task, self._made)
        return first_failure([task.leave_thread(), task.leave()])


_worker = _Worker(Failure("worker", "the worker was not told its task"))


def start(hiring: Hiring) -> None:
    """The initializer of pools."""
    # (Under InterpreterPoolExecutor, a function that named nothing of this module would run outside of it.)
    global _worker
    standing.tell_when_asked()
    try:
        slot = hiring.slots.claim()
        task = steps.build(hiring.job, steps.Place.worker(slot, hiring.shared))
        # Interpreters beside the agent's are no processes: what they reap, the agent itself sees.
        reaped = None if hiring.shared is None and not hiring.is_foreign else Reaped()
        _worker = _Worker(task, slot, hiring.meeting, reaped, hiring.job.runs_nothing_first)
    except BaseException as error:
        _worker = _Worker(Failure.of(error))


def current() -> _Worker:
    """That of this process."""
    return _worker


def check_result(index: int, result: object) -> None:
    """Failure says which part of what a task handed back cannot be, if one cannot."""
    if result is not None and not isinstance(result, Failure):
        _check_results(index, cast(Result, result)[1])


def run(index: int, given: object) -> RanInSlot:
    """Runs a task."""
    worker = _worker
    return (worker.slot, *worker.run(index, given))


def run_item(item: Tuple[int, object]) -> RanItem:
    """Runs a task, for whoever maps over (index, given)."""
    index, given = item
    return index, run(index, given)


def run_chunk(items: Sequence[Tuple[int, object]]) -> RanTogether:
    """Runs a chunk of tasks, as a pool's `map` lets a worker run one: what it hands back crosses in one message."""
    worker = _worker
    if worker.task.tolerates_errors:
        return [run_item(item) for item in items]
    return worker.run_chunk(items)


def took_ns(ran: RanTogether) -> int:
    """How long the tasks of a chunk took, all together."""
    if isinstance(ran, list):
        return sum(end_ns - begin_ns for _, (_, begin_ns, end_ns, *_) in ran)
    times = array("q", ran.times)
    return sum(times[1::2]) - sum(times[0::2])


def run_segment(number: int, index: int, given: object, with_payload: bool) -> Ran:
    """Runs the steps of one segment of a task, and takes and hands back the payload if it crosses with this one."""
    return _worker.run_segment(number, index, given, with_payload)


def get_ready(index: Optional[int]) -> None:
    """Makes ahead what task `index` needs, or all tasks; called in each worker of a pool, which wait for each other."""
    _worker.get_ready(index)


def leave() -> Optional[Failure]:
    """Tears down what the user's code set up; called once in each worker of a pool, which wait for each other."""
    return _worker.leave()


def run_only(
    work: Union[Task, Job], slot: int, shared: Handles, index: int, given: object, told: Any, is_first: bool
) -> None:
    """The life of a process that is made for one task. `work` is the task, or the job that describes it."""
    ran: Union[Ran, Failure]
    standing.tell_when_asked()
    left: Optional[Failure] = None
    try:
        if isinstance(work, Job):
            work = steps.build(work, steps.Place.worker(slot, shared))
        only = _Worker(work)
        if not is_first:
            only.prepare(index)
            only.is_new = False
        ran = only.run(index, given)
        if work.tears_down:
            # One that does not end keeps the user's own process from its end, too: it hangs.
            work.teardown_s = None
            left = only.tear_down()
    except BaseException as error:
        ran = Failure.of(error)
    told.put(Told(slot, ran, usage(), left))


def _check_results(index: int, results: Sequence[object]) -> None:
    """Whether results can be handed back; Failure says which part cannot. They are pickled once more for it."""
    if not results:
        return
    from .user.pickling import can_return

    failure = can_return(results, index)
    if failure is not None:
        raise failure
