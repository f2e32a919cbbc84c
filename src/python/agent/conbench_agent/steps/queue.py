"""`queue`: an item handed to one consumer over a bounded queue, and its result awaited: a pipeline of two stages.

The consumer is a thread behind a `queue.Queue`, a task behind an `asyncio.Queue`, or for worker processes a process
behind a `multiprocessing.Queue`.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Optional, Tuple, Union

from ..protocol import Failure, Job, StepJob
from ..task import Done, Step
from . import Place, label
from .ipc import WorkersQueue, handed
from .on_loop import OnLoop
from .stage import Stage, make_stage

if TYPE_CHECKING:
    import asyncio


class QueueStep(Step):
    """Hands over the task's index and waits for its result."""

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        where = label(number, step_job)
        self._stage = make_stage(number, step_job.step["stage"], job, step_job, where)
        self.is_async = self._stage.is_async
        capacity = max(step_job.step["capacity"], 1)
        handles = handed(job, step_job, place, where)
        self._consumer: Union[ConsumerThread, WorkersQueue]
        if handles is None:
            self._consumer = ConsumerThread(capacity, self._stage)
        else:
            assert place.slot is not None
            self._consumer = WorkersQueue(handles, number, place.slot, job, where)
        # An engine uses one form throughout: this consumer or that.
        self._loop_consumer = OnLoop(lambda: ConsumerTask(capacity, self._stage))

    def blocking(self, index: int, item: object) -> Done:
        """Hands the index to the thread or to the peer."""
        return self._consumer.ask(index), None

    async def asynchronous(self, index: int, item: object) -> Done:
        """Hands the index to the task."""
        return await self._loop_consumer.get().ask(index), None

    def reference(self, index: int, item: object) -> int:
        """Its checksum, without a wait."""
        return self._stage.reference(index)

    def prepare(self, index: Optional[int]) -> None:
        """Makes the inputs of a computation."""
        # The peer works on inputs of its own.
        if isinstance(self._consumer, ConsumerThread):
            self._stage.prepare(index)

    def close(self) -> None:
        """Ends the consumers."""
        if isinstance(self._consumer, ConsumerThread):
            self._consumer.close()
        task = self._loop_consumer.take()
        if task is not None:
            task.close()


class ConsumerThread:
    """A thread that is started by its first item, and ends after the items it was given."""

    def __init__(self, capacity: int, stage: Stage) -> None:
        self._stage = stage
        self._items: queue.Queue[Optional[Tuple[int, queue.SimpleQueue[object]]]] = queue.Queue(capacity)
        self._thread: Optional[threading.Thread] = None
        self._starting = threading.Lock()

    def ask(self, index: int) -> int:
        """Hands over item `index` and waits for its checksum."""
        if self._thread is None:
            self._start()
        reply: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._items.put((index, reply))
        answer = reply.get()
        if isinstance(answer, Failure):
            raise answer
        assert isinstance(answer, int)
        return answer

    def close(self) -> None:
        """Ends the thread."""
        if self._thread is not None:
            self._items.put(None)
            self._thread.join()
            self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._consume, name="conbench-queue-consumer", daemon=True)
                thread.start()
                self._thread = thread

    def _consume(self) -> None:
        while True:
            item = self._items.get()
            if item is None:
                return
            index, reply = item
            try:
                reply.put(self._stage.blocking(index))
            except Exception as error:
                reply.put(Failure.of(error))


class ConsumerTask:
    """A task of the running loop."""

    def __init__(self, capacity: int, stage: Stage) -> None:
        import asyncio

        self._stage = stage
        self._items: asyncio.Queue[Tuple[int, asyncio.Future[int]]] = asyncio.Queue(capacity)
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._consume())
        self._task.set_name("conbench-queue-consumer")

    async def ask(self, index: int) -> int:
        """Hands over item `index` and waits for its checksum."""
        answer: asyncio.Future[int] = self._loop.create_future()
        await self._items.put((index, answer))
        return await answer

    def close(self) -> None:
        """Ends the task, if its loop runs once more."""
        if not self._loop.is_closed():
            self._task.cancel()

    async def _consume(self) -> None:
        while True:
            index, answer = await self._items.get()
            try:
                checksum = await self._stage.asynchronous(index)
            except Exception as error:
                if not answer.done():
                    answer.set_exception(Failure.of(error))
            else:
                if not answer.done():  # It is when its task was cancelled.
                    answer.set_result(checksum)
