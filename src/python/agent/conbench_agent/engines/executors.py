"""Executors to whose workers tasks cross, by pickling: what the pools of processes and of interpreters have in common.

The workers take the times, and what they ran comes back with its future.
"""

from __future__ import annotations

import threading
from array import array
from collections import deque
from concurrent.futures import Executor, Future
from functools import partial
from itertools import islice
from queue import SimpleQueue
from time import monotonic_ns
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .. import worker
from ..meter import Tally
from ..protocol import Failure
from ..sampler import Lane, Sampler
from ..task import Task, first_failure
from .base import Engine, maps_lazily
from .patience import Patience


def leave_workers(
    executor: Executor, task: Task, workers: int, hold: Callable[[int, Callable[[], None]], None]
) -> Optional[Failure]:
    """Has the user's code tear down each worker of an executor; the first that failed. `hold` is of their meeting."""
    if not task.tears_down:
        return None

    def look() -> None:
        for call in calls:
            if call.done():
                call.result()

    patience = Patience(look)
    try:
        calls = [executor.submit(worker.leave) for _ in range(workers)]
        hold(workers, patience)
        return first_failure([call.result(patience.left_s()) for call in calls])
    except BaseException as error:
        return Failure.of(error)


def recorder(lanes: List[Lane], task: Task, children: Tally) -> Callable[[int, int, worker.RanInSlot], None]:
    """Records what a worker ran when it came back; `lanes` holds one for each slot.

    `children` takes the CPU time of programs that tasks started in the workers.
    """
    received = task.received

    def record(index: int, submitted_ns: int, ran: worker.RanInSlot) -> None:
        slot, begin_ns, end_ns, checksum, result, children_ns = ran
        if children_ns:
            children.ns += children_ns
        lane = lanes[slot]
        lane.begun_at(begin_ns)
        lane.end(index, submitted_ns, begin_ns, end_ns, (checksum + received(result), result))

    return record


def chunk_recorder(
    lanes: List[Lane], task: Task, children: Tally
) -> Callable[[List[int], int, worker.RanTogether], None]:
    """The same of a chunk."""
    record_one, received, has_output = recorder(lanes, task, children), task.received, task.has_output

    def record(indices: List[int], submitted_ns: int, ran: worker.RanTogether) -> None:
        if isinstance(ran, list):
            for index, of_task in ran:
                record_one(index, submitted_ns, of_task)
            return
        slot, times, checksum, results, children_ns = ran
        children.ns += children_ns
        if has_output and results is not None:
            checksum += sum(map(received, results))
        lane, both = lanes[slot], array("q", times)
        lane.begun_at(both[0])
        lane.end_chunk(indices, submitted_ns, both, checksum, results)

    return record


class _Submitted(NamedTuple):
    """A task that has ended."""

    task: int
    submitted_ns: int
    future: Future[Any]


def _tell(ended: SimpleQueue[Optional[_Submitted]], index: int, submitted_ns: int, future: Future[Any]) -> None:
    ended.put(_Submitted(index, submitted_ns, future))


class ExecutorEngine(Engine):
    """Submits tasks to an executor whose workers were started by `worker.start`."""

    crosses = True
    #: Calls kept submitted under a closed load, for each worker: tasks, or chunks of them.
    outstanding_per_worker = 2
    #: Whether the code for it has `map`: then that is measured, where it need not take all tasks at once.
    shows_map = True

    def __init__(self, executor: Executor, task: Task, workers: int, chunk: int = 1) -> None:
        """For an executor of so many workers, which are handed so many tasks at once."""
        self.slots = workers
        self._executor = executor
        self._task = task
        self._chunk = self.tasks_per_message = chunk
        #: CPU time of programs that tasks started in worker processes, as these tell it.
        self._children = Tally()

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        if sampler.is_paced:
            self._feed(sampler)
        elif sampler.tasks is not None:
            self._map(sampler)
        elif self.shows_map and maps_lazily(type(self._executor)):
            self._map(sampler, buffersize=self.outstanding_per_worker * self.slots)
        else:
            self._keep_submitted(sampler)

    def _failure(self, under_way: Iterable[int], error: BaseException) -> Failure:
        """Why one of the tasks that were handed over together came to nothing, of what their future raises."""
        raise NotImplementedError

    def _submit(self, indices: List[int]) -> Future[Any]:
        """Hands a worker a task, or a chunk of tasks in one call, as the executor's `map` does it."""
        if self._chunk == 1:
            return self._executor.submit(worker.run, indices[0], self._task.handed(indices[0]))
        return self._executor.submit(worker.run_chunk, self._task.handed_together(indices))

    def _keep_submitted(self, sampler: Sampler) -> None:
        """Submits a task for each that ends, or a chunk for each, in the callback of its future.

        So no other thread need be woken for it: `wait` and a loop in the main thread cost the workers 3 to 10 %.
        """
        submit, take, chunk = self._submit, sampler.next, self._chunk
        record = self._recorder(sampler)
        record_chunk = chunk_recorder(self._lanes(sampler), self._task, self._children)
        #: A call that ends at once calls back here, beside the executor's own thread: they share a log.
        recording = threading.Lock()
        ended: SimpleQueue[None] = SimpleQueue()

        def submit_next() -> None:
            index = take()
            if index is None:
                ended.put(None)
                return
            indices = [index]
            if chunk > 1:
                indices += islice(iter(take, None), chunk - 1)
            submitted_ns = monotonic_ns()
            try:
                future = submit(indices)
            except BaseException as error:
                fail(indices, error)
            else:
                future.add_done_callback(partial(note, indices, submitted_ns))

        def note(indices: List[int], submitted_ns: int, future: Future[Any]) -> None:
            try:
                ran = future.result()
                with recording:
                    if chunk == 1:
                        record(indices[0], submitted_ns, ran)
                    else:
                        record_chunk(indices, submitted_ns, ran)
            except BaseException as error:
                # (Nothing is submitted here: an executor that breaks calls back while it holds its own lock.)
                fail(indices, error)
            else:
                submit_next()

        def fail(indices: List[int], error: BaseException) -> None:
            failures.append((indices, error))
            sampler.stopped = True
            ended.put(None)

        failures: List[Tuple[List[int], BaseException]] = []
        outstanding = self.outstanding_per_worker * self.slots
        for _ in range(outstanding):
            submit_next()
        for _ in range(outstanding):
            self._await(ended)
            if failures:
                raise self._failure(*failures[0])

    def _await(self, ended: SimpleQueue[Any]) -> Any:
        """Waits for the next of what ends."""
        return ended.get()

    def _feed(self, sampler: Sampler) -> None:
        """Submits a task whenever a worker is free for it and the rate allows one, from this thread, which may wait."""
        record = self._recorder(sampler)
        ended: SimpleQueue[Optional[_Submitted]] = SimpleQueue()
        under_way = 0
        for _ in range(self.slots):
            ended.put(None)
        while True:
            one = self._await(ended)
            if one is not None:
                under_way -= 1
                try:
                    record(one.task, one.submitted_ns, one.future.result())
                except BaseException as error:
                    sampler.stopped = True
                    raise self._failure([one.task], error) from error
            index = sampler.next()
            if index is None:
                if under_way == 0:
                    return
                continue
            submitted_ns = monotonic_ns()
            try:
                future = self._submit([index])
            except BaseException as error:
                raise self._failure([index], error) from error
            under_way += 1
            future.add_done_callback(partial(_tell, ended, index, submitted_ns))

    def _map(self, sampler: Sampler, **lazily: Any) -> None:
        """Maps over all tasks of a batch; or, with a `buffersize`, over tasks without an end."""
        if self._chunk == 1:
            self._map_tasks(sampler, lazily)
        else:
            self._map_chunks(sampler, lazily)

    def _map_chunks(self, sampler: Sampler, lazily: Dict[str, Any]) -> None:
        """Maps over chunks, which is what `map(chunksize=)` does."""
        #: What came back of none yet.
        submitted: Deque[Tuple[List[int], int]] = deque()

        def chunks() -> Iterator[Sequence[Tuple[int, object]]]:
            tasks = iter(sampler.next, None)
            while True:
                indices = list(islice(tasks, self._chunk))
                if not indices:
                    return
                submitted.append((indices, monotonic_ns()))
                yield self._task.handed_together(indices)

        record = chunk_recorder(self._lanes(sampler), self._task, self._children)
        try:
            for ran in self._executor.map(worker.run_chunk, chunks(), **lazily):
                record(*submitted[0], ran)
                submitted.popleft()
        except BaseException as error:
            sampler.stopped = True
            # Results come in order.
            raise self._failure(submitted[0][0] if submitted else [], error) from error

    def _map_tasks(self, sampler: Sampler, lazily: Dict[str, Any]) -> None:
        #: What came back of none yet.
        submitted: Deque[Tuple[int, int]] = deque()

        def items() -> Iterator[Tuple[int, object]]:
            for index in iter(sampler.next, None):
                submitted.append((index, monotonic_ns()))
                yield index, self._task.handed(index)

        record = self._recorder(sampler)
        try:
            for index, ran in self._executor.map(worker.run_item, items(), **lazily):
                record(index, submitted[0][1], ran)
                submitted.popleft()
        except BaseException as error:
            sampler.stopped = True
            # Results come in order.
            raise self._failure([index for index, _ in islice(submitted, 1)], error) from error

    def _recorder(self, sampler: Sampler) -> Callable[[int, int, Any], None]:
        """What records a task that came back."""
        return recorder(self._lanes(sampler), self._task, self._children)

    def _lanes(self, sampler: Sampler) -> List[Lane]:
        return [sampler.lane(slot, slot % self.shards) for slot in range(self.slots)]
