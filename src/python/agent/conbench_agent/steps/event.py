"""`event`: one task signals another and waits for its answer.

Each task has a partner while it runs, taken from a pool as a connection is: a thread that waits on a
`threading.Event`, a task that waits on an `asyncio.Event`, or for worker processes a thread of a peer process
that waits on a `multiprocessing.Event`.
"""

from __future__ import annotations

import threading
from typing import List, Optional

from ..protocol import Job, StepJob
from ..task import Done, Step
from . import Place, label
from .ipc import WorkersEvent, handed
from .on_loop import OnLoop
from .stage import checksum


class EventStep(Step):
    """Signals and awaits an answer, `round_trips` times."""

    is_async = True

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        where = label(number, step_job)
        self._round_trips: int = step_job.step["round_trips"]
        self._done: Done = checksum(number), None
        handles = handed(job, step_job, place, where)
        self._peer: Optional[WorkersEvent] = None
        if handles is not None:
            assert place.slot is not None
            self._peer = WorkersEvent(handles, number, place.slot, job, where)
        # Idle partners: an engine uses one form throughout.
        self._threads: List[PartnerThread] = []
        self._tasks: OnLoop[List[PartnerTask]] = OnLoop(list)

    def blocking(self, index: int, item: object) -> Done:
        """Signals a thread or the peer."""
        if self._peer is not None:
            for _ in range(self._round_trips):
                self._peer.round_trip()
            return self._done
        try:
            partner = self._threads.pop()
        except IndexError:
            partner = PartnerThread()
        for _ in range(self._round_trips):
            partner.round_trip()
        self._threads.append(partner)
        return self._done

    async def asynchronous(self, index: int, item: object) -> Done:
        """Signals a task."""
        idle = self._tasks.get()
        partner = idle.pop() if idle else PartnerTask()
        try:
            for _ in range(self._round_trips):
                await partner.round_trip()
        except BaseException:
            # A task that is cancelled takes its partner with it, in whatever state that is.
            partner.close()
            raise
        idle.append(partner)
        return self._done

    def reference(self, index: int, item: object) -> int:
        """Its checksum, without a signal."""
        return self._done[0]

    def close(self) -> None:
        """Ends the partners."""
        while self._threads:
            self._threads.pop().close()
        for partner in self._tasks.take() or []:
            partner.close()


class PartnerThread:
    """A thread that answers signals."""

    def __init__(self) -> None:
        self._signal = threading.Event()
        self._answer = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="conbench-event-partner", daemon=True)
        self._thread.start()

    def round_trip(self) -> None:
        """Signals the thread and waits for its answer."""
        self._signal.set()
        self._answer.wait()
        self._answer.clear()

    def close(self) -> None:
        """Ends the thread, which waits for a signal."""
        self._closed = True
        self._signal.set()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            self._signal.wait()
            if self._closed:
                return
            self._signal.clear()
            self._answer.set()


class PartnerTask:
    """A task of the running loop that answers signals."""

    def __init__(self) -> None:
        import asyncio

        self._signal = asyncio.Event()
        self._answer = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._serve())
        self._task.set_name("conbench-event-partner")

    async def round_trip(self) -> None:
        """Signals the task and waits for its answer."""
        self._signal.set()
        await self._answer.wait()
        self._answer.clear()

    def close(self) -> None:
        """Ends the task, if its loop runs once more."""
        if not self._loop.is_closed():
            self._task.cancel()

    async def _serve(self) -> None:
        while True:
            await self._signal.wait()
            self._signal.clear()
            self._answer.set()
