"""`multiprocessing.Pool`: `map`, over lots of tasks that bound what is outstanding, or over a whole batch.

At a rate, `imap_unordered` over a generator that waits for each task's turn.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from itertools import islice
from multiprocessing import connection
from queue import SimpleQueue
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from .. import meter, worker
from ..meter import Tally, Usage
from ..protocol import Failure, Job
from ..sampler import Lane, Sampler
from ..task import Task, first_failure
from .base import Engine
from .executors import chunk_recorder, recorder
from .patience import Patience, end_in_time
from .processes import Crew, crossing_failure

if TYPE_CHECKING:
    from multiprocessing.pool import ApplyResult

#: Chunks handed to the pool and not back, for each worker: at least so many, or two lots in all.
OUTSTANDING_PER_WORKER = 3
#: How long the workers are busy with one lot. Who hands over each chunk when another comes back wakes two threads for
#: it, which a program that maps over all its tasks does not: that took 12 % of the rate of tasks of 0.24 ms.
_LOT_NS = 10_000_000
#: How much longer than its tasks' own time a lot may take, where moving them takes longer than running them: sized by
#: their own time alone, one lot of tiny tasks with a callable of 100 kB took a second.
_MOST_MOVED = 4
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
        #: How long a task took in the lot that came back last; 0 before there is one.
        self._task_ns = 0
        #: The shortest time of a worker for a task with all that moves for it, over a block up to the end of a lot.
        self._moved_ns = 0
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
        if sampler.is_paced:
            self._pace(sampler)
        elif sampler.tasks is None:
            self._watched(lambda: self._map_lots(sampler))
        else:
            self._watched(lambda: self._map(sampler))

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
        end_in_time(self._pool.terminate)
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

    def _pace(self, sampler: Sampler) -> None:
        """Hands out a task for each that comes back, when it is its turn."""
        room: SimpleQueue[None] = SimpleQueue()
        for _ in range(self.slots):
            room.put(None)
        try:
            self._watched(lambda: self._imap(sampler, room))
        except BaseException:
            # The pool's own thread may still wait for room.
            sampler.stopped = True
            room.put(None)
            raise

    def _imap(self, sampler: Sampler, room: SimpleQueue[None]) -> None:
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

        record = recorder(self._lanes(sampler), self._task, self._children)
        try:
            for number, (index, ran) in enumerate(self._pool.imap_unordered(worker.run_item, items(), chunk), 1):
                record(index, submitted.pop(index), ran)
                if number % chunk == 0:
                    room.put(None)
        except Exception as error:
            raise crossing_failure(self._task, submitted, error) from error

    def _map_lots(self, sampler: Sampler) -> None:
        """Maps over a lot of tasks for each that comes back, in the thread that the pool takes results in."""
        lots = _Lots(self, sampler)
        lots.fill()
        lots.wait()

    def map_lot(
        self,
        sampler: Sampler,
        tasks: int,
        done: Callable[[List[List[int]], List[worker.RanTogether]], None],
        failed: Callable[[Failure], None],
    ) -> int:
        """Maps over the next so many tasks, or as many as there still are; returns how many chunks those are."""
        indices = list(islice(iter(sampler.next, None), tasks))
        if not indices:
            return 0
        chunks = self._chunks(indices)
        self._pool.map_async(
            worker.run_chunk,
            list(map(self._task.handed_together, chunks)),
            1,
            callback=partial(done, chunks),
            error_callback=lambda error: failed(crossing_failure(self._task, indices, error)),
        )
        return len(chunks)

    def _chunks(self, indices: List[int]) -> List[List[int]]:
        """What `map(chunksize=)` makes of tasks."""
        return [indices[at : at + self._chunk] for at in range(0, len(indices), self._chunk)]

    def chunks_of_lot(self) -> int:
        """How many chunks keep all workers busy for the time of a lot."""
        if self._task_ns == 0:
            return 1
        task_ns = max(self._task_ns, self._moved_ns // _MOST_MOVED)
        return max(1, self.slots * _LOT_NS // (self._chunk * task_ns))

    def _map(self, sampler: Sampler) -> None:
        """Maps over all tasks of a batch."""
        indices = list(iter(sampler.next, None))
        chunks = self._chunks(indices)
        handed = list(map(self._task.handed_together, chunks))
        submitted_ns = monotonic_ns()
        try:
            ran = self._pool.map(worker.run_chunk, handed, 1)
        except Exception as error:
            raise crossing_failure(self._task, indices, error) from error
        record = self.chunk_recorder(sampler)
        for chunk, ran_together in zip(chunks, ran):
            record(chunk, submitted_ns, ran_together)

    def saw(self, took_ns: int, tasks: int, worker_ns: int) -> None:
        """Notes how long the tasks of a lot took, and a worker so far for each with all that moves for it."""
        self._task_ns = max(1, took_ns // tasks)
        self._moved_ns = min(self._moved_ns or worker_ns, worker_ns)

    def chunk_recorder(self, sampler: Sampler) -> Callable[[List[int], int, worker.RanTogether], None]:
        """Records the tasks of a block when they come back, a chunk at a time."""
        return chunk_recorder(self._lanes(sampler), self._task, self._children)

    def _lanes(self, sampler: Sampler) -> List[Lane]:
        return [sampler.lane(slot, 0) for slot in range(self.slots)]

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


class _Lots:
    """The lots of tasks of one block that a pool maps over.

    After `fill`, which fills up what is outstanding, this is used by the pool's thread of results alone.
    """

    def __init__(self, pool: MultiprocessingPool, sampler: Sampler) -> None:
        self._pool = pool
        self._sampler = sampler
        self._record = pool.chunk_recorder(sampler)
        self._begun_ns = monotonic_ns()
        self._came_back = 0
        self._outstanding = 0
        self._is_filling = threading.Lock()
        self._ended: SimpleQueue[Optional[BaseException]] = SimpleQueue()

    def fill(self) -> None:
        """Hands over lots until enough is outstanding; the block has ended when there are none left."""
        # The first call is another thread's than all the later ones, which may begin before that has ended.
        with self._is_filling:
            self._fill()

    def _fill(self) -> None:
        pool = self._pool
        lot = pool.chunks_of_lot()
        enough = max(OUTSTANDING_PER_WORKER * pool.slots, 2 * lot)
        while self._outstanding < enough:
            submitted_ns = monotonic_ns()
            chunks = pool.map_lot(self._sampler, lot * pool.tasks_per_message, self._taker(submitted_ns), self._fail)
            if chunks == 0:
                break
            self._outstanding += chunks
        if self._outstanding == 0:
            self._ended.put(None)

    def wait(self) -> None:
        """Returns when all has come back; raises what failed first."""
        error = self._ended.get()
        if error is not None:
            raise error

    def _taker(self, submitted_ns: int) -> Callable[[List[List[int]], List[worker.RanTogether]], None]:
        def take(chunks: List[List[int]], ran: List[worker.RanTogether]) -> None:
            # What is raised here would end the pool's thread without a word.
            try:
                for chunk, ran_together in zip(chunks, ran):
                    self._record(chunk, submitted_ns, ran_together)
                tasks = sum(map(len, chunks))
                self._came_back += tasks
                since_begin_ns = monotonic_ns() - self._begun_ns
                took_ns = sum(map(worker.took_ns, ran))
                self._pool.saw(took_ns, tasks, self._pool.slots * since_begin_ns // self._came_back)
                with self._is_filling:
                    self._outstanding -= len(chunks)
                    self._fill()
            except BaseException as error:
                self._fail(error)

        return take

    def _fail(self, error: BaseException) -> None:
        self._sampler.stopped = True
        self._ended.put(error)
