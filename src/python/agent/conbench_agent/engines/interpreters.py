"""`InterpreterPoolExecutor` (from CPython 3.14 on): threads that each have an interpreter, and a GIL, of their own."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Callable, Iterable, Optional

from .. import steps, worker
from ..protocol import Failure, Job
from ..steps.ipc import is_shared
from ..task import Task
from .executors import ExecutorEngine, leave_workers
from .patience import end_in_time
from .processes import LOOK_S, check_crossing, crossing_failure

_REFUSAL = re.compile(r"module (\S+) does not support loading in subinterpreters")


class InterpreterPool(ExecutorEngine):
    """A pool of interpreters."""

    def __init__(self, job: Job, task: Task) -> None:
        """Makes the pool, which starts its interpreters as they are wanted; Failure if the task cannot cross."""
        # There from CPython 3.14 on.
        from concurrent import futures, interpreters  # type: ignore[attr-defined]

        check_crossing(job, task)
        for number, step_job in enumerate(job.steps, 1):
            if is_shared(job, step_job):
                message = "interpreters share no lock, queue or event of the standard library: use threads or processes"
                raise Failure("setup", message, steps.label(number, step_job))
        workers = job.candidate.sizes.workers or 1
        self._meeting = Meeting(interpreters.create_queue)
        hiring = worker.Hiring(job, Slots(interpreters.create_queue(), workers), self._meeting, None)
        make: Any = futures.InterpreterPoolExecutor  # type: ignore[attr-defined]
        executor = make(workers, initializer=worker.start, initargs=(hiring,))
        super().__init__(executor, task, workers)
        # Each interpreter's thread records what it ran.
        self.shards = workers

    def get_ready(self) -> None:
        """Starts the interpreters, and sets them up."""
        self._get_ready(0)

    def warm(self) -> None:
        """Lets each interpreter make ahead what its tasks need."""
        self._get_ready(None)

    def _get_ready(self, index: Optional[int]) -> None:
        calls = [self._executor.submit(worker.get_ready, index) for _ in range(self.slots)]

        def look() -> None:
            for call in calls:
                if call.done():
                    call.result()

        try:
            self._meeting.hold(self.slots, look)
            for call in calls:
                call.result()
        except BaseException as error:
            raise self._failure([0], error) from error

    def leave(self) -> Optional[Failure]:
        """Tears down each interpreter."""
        return leave_workers(self._executor, self._task, self.slots, self._meeting.hold)

    def close(self) -> None:
        """Ends the interpreters, but for one that is still in a call of the user's."""
        end_in_time(partial(self._executor.shutdown, cancel_futures=True))

    def _failure(self, under_way: Iterable[int], error: BaseException) -> Failure:
        failure = crossing_failure(self._task, under_way, error)
        refusal = _REFUSAL.search(failure.message)
        if refusal is None:
            return failure
        message = (
            f"the extension module {refusal[1]} does not support loading in subinterpreters, and this engine makes one "
            "for each worker: use threads or processes, or a version of the module that supports them"
        )
        return Failure("setup", message, failure.where)


class Slots:
    """Gives each interpreter its slot."""

    def __init__(self, numbers: Any, workers: int) -> None:
        """Over a queue between interpreters."""
        self._numbers = numbers
        for number in range(workers):
            numbers.put(number)

    def claim(self) -> int:
        """A slot that no other interpreter has."""
        slot: int = self._numbers.get()
        return slot


class Meeting:
    """Where the interpreters of a pool wait for each other, so that each of them takes one task."""

    def __init__(self, make_queue: Callable[[], Any]) -> None:
        """Over two queues between interpreters."""
        self._arrived = make_queue()
        self._opened = make_queue()

    def wait(self) -> None:
        """Called in each interpreter: returns when all have come."""
        self._arrived.put(None)
        self._opened.get()

    def hold(self, workers: int, look: Callable[[], None]) -> None:
        """Called by the agent: lets the interpreters go on when all have come; `look` raises if they never will."""
        # The queue looks every 10 ms whether something came, which is soon enough; it is not used in blocks.
        import queue

        for _ in range(workers):
            while True:
                try:
                    self._arrived.get(timeout=LOOK_S)
                except queue.Empty:
                    look()
                else:
                    break
        for _ in range(workers):
            self._opened.put(None)
