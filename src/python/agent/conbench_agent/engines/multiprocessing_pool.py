"""`multiprocessing.Pool`: `imap_unordered` over a generator that bounds what is outstanding; `map` over a batch."""

from __future__ import annotations

import os
import threading
from multiprocessing import connection
from queue import SimpleQueue
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from .. import meter, worker
from ..meter import Tally, Usage
from ..protocol import Failure, Job
from ..sampler import Sampler
from ..task import Task, first_failure
from .base import Engine
from .executors import recorder
from .patience import Patience, farewell
from .processes import Crew, crossing_failure

if TYPE_CHECKING:
    from multiprocessing.pool import ApplyResult

#: Chunks handed to the pool and not back, for each worker.
OUTSTANDING_PER_WORKER = 3
#: How long after its end a worker's status may be unknown.
_LATE_S = 5.0


class MultiprocessingPool(Engine):
    """A pool of worker processes, to which tasks go in chunks.

    The pool replaces a worker that dies, and waits for ever for what it was to hand back. So its results are taken in
    a thread of their own, while the main thread watches the workers.
    """

    crosses = True

    def __init__(self, job: Job, task: Task) -> None:
        """Starts the workers, before any thread of this process."""
        self.slots = job.candidate.sizes.workers or 1
        self._chunk = self.tasks_per_message = job.candidate.sizes.chunk or 1
        self._task = task
        self._children = Tally()
        self._crew = Crew(job, task, self.slots)
        try:
            self._pool = self._crew.context.Pool(self.slots, initializer=worker.start, initargs=(self._crew.hiring,))
        except BaseException:
            self._crew.close()
            raise

    def get_ready(self) -> None:
        """Sets the workers up."""
        self._get_ready(0)

    def warm(self) -> None:
        """Lets each worker make ahead what its tasks need."""
        self._get_ready(None)

    def _get_ready(self, index: Optional[int]) -> None:
        calls = [self._pool.apply_async(worker.get_ready, (index,)) for _ in range(self.slots)]
        self._crew.meeting.hold(self.slots, lambda: self._look(calls))
        self._watched(lambda: [call.get() for call in calls])

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        if sampler.tasks is not None and not sampler.is_paced:
            self._watched(lambda: self._map(sampler))
            return
        room: SimpleQueue[None] = SimpleQueue()
        outstanding = self.slots if sampler.is_paced else OUTSTANDING_PER_WORKER * self.slots
        for _ in range(outstanding):
            room.put(None)
        try:
            self._watched(lambda: self._imap(sampler, room))
        except BaseException:
            # The pool's own thread may still wait for room.
            sampler.stopped = True
            room.put(None)
            raise

    def pids(self) -> List[int]:
        """The workers and the processes that help them."""
        return self._crew.pids()

    def workers_usage(self) -> Usage:
        """What these processes used so far."""
        return self._crew.usage().plus(meter.of_children(self._children.ns))

    def leave(self) -> Optional[Failure]:
        """Tears down each worker."""
        if not self._task.tears_down:
            return None
        try:
            calls = [self._pool.apply_async(worker.leave) for _ in range(self.slots)]
            patience = Patience(lambda: self._look(calls))
            self._crew.meeting.hold(self.slots, patience)
            return first_failure([call.get(patience.left_s()) for call in calls])
        except BaseException as error:
            return Failure.of(error)

    def close(self) -> None:
        """Ends the workers."""
        # A worker that died may have held the lock of the tasks' pipe, for which `terminate` would wait for ever.
        farewell(self._pool.terminate)
        self._crew.close()

    def abandon(self) -> None:
        """Ends the workers without a word."""
        self._crew.kill()
        self.close()

    def _look(self, calls: Iterable[ApplyResult[Any]]) -> None:
        """Raises if a worker died, or one of these calls did."""
        died = self._crew.find_death()
        if died is not None:
            raise died
        for call in calls:
            if call.ready():
                call.get()

    def _imap(self, sampler: Sampler, room: SimpleQueue[None]) -> None:
        """Hands out a chunk for each that comes back."""
        take, handed, chunk = sampler.next, self._task.handed, self._chunk
        submitted: Dict[int, int] = {}

        def items() -> Iterator[Tuple[int, object]]:
            while True:
                room.get()
                for _ in range(chunk):
                    index = take()
                    if index is None:
                        return
                    submitted[index] = monotonic_ns()
                    yield index, handed(index)

        record = self._recorder(sampler)
        try:
            for number, (index, ran) in enumerate(self._pool.imap_unordered(worker.run_item, items(), chunk), 1):
                record(index, submitted.pop(index), ran)
                if number % chunk == 0:
                    room.put(None)
        except Exception as error:
            raise crossing_failure(self._task, submitted, error) from error

    def _map(self, sampler: Sampler) -> None:
        """Maps over all tasks of a batch."""
        indices = list(iter(sampler.next, None))
        items = [(index, self._task.handed(index)) for index in indices]
        submitted_ns = monotonic_ns()
        try:
            results = self._pool.map(worker.run_item, items, self._chunk)
        except Exception as error:
            raise crossing_failure(self._task, indices, error) from error
        record = self._recorder(sampler)
        for index, ran in results:
            record(index, submitted_ns, ran)

    def _recorder(self, sampler: Sampler) -> Callable[[int, int, worker.RanInSlot], None]:
        lanes = [sampler.lane(slot, 0) for slot in range(self.slots)]
        return recorder(lanes, self._task, self._children)

    def _watched(self, work: Callable[[], object]) -> None:
        """Does something with the pool in a thread of its own; Failure if a worker dies meanwhile."""
        ended, ending = os.pipe()
        errors: List[BaseException] = []

        def do() -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)
            finally:
                os.close(ending)

        threading.Thread(target=do, name="conbench-results", daemon=True).start()
        try:
            if ended not in connection.wait([*self._crew.sentinels(), ended]):
                raise self._crew.find_death(_LATE_S) or Failure("worker", "a worker process died")
        finally:
            os.close(ended)
        if errors:
            raise errors[0]
