"""Executors to whose workers tasks cross, by pickling: what the pools of processes and of interpreters have in common.

The workers take the times, and what they ran comes back with its future.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from time import monotonic_ns
from typing import Callable, Iterator, List, Tuple

from .. import worker
from ..protocol import Failure
from ..sampler import Lane, Sampler
from ..task import Task
from .base import Engine


def recorder(lanes: List[Lane], task: Task) -> Callable[[int, int, worker.RanInSlot], None]:
    """Records what a worker ran when it came back; `lanes` holds one for each slot."""
    received = task.received

    def record(index: int, submitted_ns: int, ran: worker.RanInSlot) -> None:
        slot, begin_ns, end_ns, checksum, result = ran
        lane = lanes[slot]
        lane.begun_at(begin_ns)
        lane.end(index, submitted_ns, begin_ns, end_ns, (checksum + received(result), result))

    return record


class ExecutorEngine(Engine):
    """Submits tasks to an executor whose workers were started by `worker.start`."""

    crosses = True
    #: Tasks kept submitted under a closed load, for each worker.
    outstanding_per_worker = 2

    def __init__(self, executor: Executor, task: Task, workers: int) -> None:
        """For an executor of so many workers."""
        self.slots = workers
        self._executor = executor
        self._task = task

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        if sampler.tasks is None:
            self._keep_submitted(sampler)
        else:
            self._map(sampler)

    def _failure(self, index: int, error: BaseException) -> Failure:
        """Why task `index` came to nothing, of what its future raises."""
        raise NotImplementedError

    def _keep_submitted(self, sampler: Sampler) -> None:
        """Submits a task for each that ends, in the callback of its future.

        So no other thread need be woken for it: `wait` and a loop in the main thread cost the workers 3 to 10 %.
        """
        submit, given, take = self._executor.submit, self._task.given, sampler.next
        record = recorder(self._lanes(sampler), self._task)
        ended: SimpleQueue[None] = SimpleQueue()

        def submit_next() -> None:
            index = take()
            if index is None:
                ended.put(None)
                return
            submitted_ns = monotonic_ns()
            try:
                future = submit(worker.run, index, given(index))
            except BaseException as error:
                fail(index, error)
            else:
                future.add_done_callback(partial(note, index, submitted_ns))

        def note(index: int, submitted_ns: int, future: Future[worker.RanInSlot]) -> None:
            try:
                record(index, submitted_ns, future.result())
            except BaseException as error:
                # (Nothing is submitted here: an executor that breaks calls back while it holds its own lock.)
                fail(index, error)
            else:
                submit_next()

        def fail(index: int, error: BaseException) -> None:
            failures.append((index, error))
            sampler.stopped = True
            ended.put(None)

        failures: List[Tuple[int, BaseException]] = []
        outstanding = self.outstanding_per_worker * self.slots
        for _ in range(outstanding):
            submit_next()
        for _ in range(outstanding):
            ended.get()
            if failures:
                raise self._failure(*failures[0])

    def _map(self, sampler: Sampler) -> None:
        """Maps over all tasks of a batch."""
        submitted: List[Tuple[int, int]] = []

        def items() -> Iterator[Tuple[int, object]]:
            for index in iter(sampler.next, None):
                submitted.append((index, monotonic_ns()))
                yield index, self._task.given(index)

        record = recorder(self._lanes(sampler), self._task)
        index = 0
        try:
            results = self._executor.map(worker.run_item, items(), chunksize=1)
            for index, submitted_ns in submitted:
                record(index, submitted_ns, next(results)[1])
        except BaseException as error:
            raise self._failure(index, error) from error

    def _lanes(self, sampler: Sampler) -> List[Lane]:
        return [sampler.lane(slot, slot % self.shards) for slot in range(self.slots)]
