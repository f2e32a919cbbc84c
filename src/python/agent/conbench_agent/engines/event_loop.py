"""The life of an event loop: what all engines that have one share.

One loop serves all blocks of an engine. It turns only while a block runs: between blocks nothing runs in this thread,
while connections and pools stay open.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import suppress
from typing import Any, Callable, Coroutine, Dict, List, Optional, Set

from ..clock import now_ns, timer
from ..protocol import Failure
from ..sampler import Sampler
from ..task import Done, Task, first_failure
from .base import HEARTBEAT_NS, Engine
from .patience import LEAVE_S

#: Turns of the loop in which tasks end that were cancelled, or have nothing left to wait for.
_LAST_TURNS = 3
#: How long a loop that closes waits for the tasks that it cancels.
_END_S = 0.5

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


class EventLoopEngine(Engine):
    """Runs tasks on one event loop, in the main thread; how they are spawned and bounded is left to subclasses."""

    #: Whether steps without an async form run elsewhere.
    moves_blocking = False

    def __init__(
        self, task: Task, in_flight: int, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    ) -> None:
        """Makes the loop."""
        self.slots = in_flight
        self._task = task
        #: Does a task, whole. (Not a coroutine of the engine's own around the task's: each one costs.)
        self._perform: Callable[[int, object], Coroutine[Any, Any, Done]] = task.asynchronous
        #: What a task is given, and what of its checksum is in what it hands back.
        self.given: Callable[[int], Any] = task.given
        self.received: Callable[[object], int] = task.received
        self._sampler: Optional[Sampler] = None
        self._loop = new_loop()
        # What the environment may ask for with PYTHONASYNCIODEBUG would be measured instead of the tasks.
        self._loop.set_debug(False)
        self._loop.set_exception_handler(self._on_exception)
        # Before CPython 3.10, what a user's `setup` makes belongs to the loop that is set here.
        asyncio.set_event_loop(self._loop)

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._loop

    def run(self, sampler: Sampler) -> None:
        """Runs one block: the loop turns until its last task has ended, or its first one has failed.

        What is still in flight then never goes on: nothing is worth waiting for after a failure.
        """
        self._sampler = sampler
        self._task.enter_thread(loop_only=self.moves_blocking)
        try:
            self._loop.run_until_complete(self._block(sampler))
        finally:
            self._sampler = None

    def leave(self) -> Optional[Failure]:
        """Tears down the loop, and the main thread after it."""
        try:
            left = self._loop.run_until_complete(asyncio.wait_for(self._task.leave_loop(), LEAVE_S))
        except asyncio.TimeoutError:
            left = Failure("setup", f"`async_teardown` did not end within {LEAVE_S:g} s")
        return first_failure([left, self._task.leave_thread()])

    def left_behind(self) -> List[Dict[str, object]]:
        """The user's tasks that outlived those that made them, counted by the names of their coroutines."""
        for _ in range(_LAST_TURNS):
            self._loop.run_until_complete(asyncio.sleep(0))
        names = Counter(_name(task) for task in self._tasks() if not _is_ours(task))
        return [{"kind": "task", "name": name, "count": count} for name, count in sorted(names.items())]

    def close(self) -> None:
        """Ends what is left on the loop, and the loop; once is enough."""
        if self._loop.is_closed():
            return
        self._loop.run_until_complete(self._end_tasks())
        self._loop.close()
        asyncio.set_event_loop(None)

    async def _closed(self, sampler: Sampler) -> None:
        """Keeps `slots` tasks in flight until the sampler has no more, and returns when each has ended."""
        raise NotImplementedError

    async def _batch(self, sampler: Sampler) -> None:
        """Spawns all tasks of a batch, lets `slots` be in flight, and returns when each has ended."""
        raise NotImplementedError

    async def _block(self, sampler: Sampler) -> None:
        heart = self._loop.create_task(_beat(sampler)) if sampler.wants_heartbeat else None
        try:
            await self._task.enter_loop()
            await (self._closed(sampler) if sampler.tasks is None else self._batch(sampler))
        except Exception as error:
            sampler.fail(failure_of(error))
        finally:
            if heart is not None:
                heart.cancel()
                with suppress(asyncio.CancelledError):
                    await heart

    def _on_exception(self, _: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
        """A callback raised, or a task that nobody awaits: what a program would log and never look at."""
        if self._sampler is not None:
            error = context.get("exception")
            reason = "" if error is None else f": {type(error).__name__}: {error}"
            self._sampler.fail(Failure("task", f"the event loop reports: {context['message']}{reason}"))

    async def _end_tasks(self) -> None:
        left = self._tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_END_S)
        await self._loop.shutdown_asyncgens()

    def _tasks(self) -> Set[Any]:
        """The tasks on the loop that have not ended."""
        return set(asyncio.all_tasks(self._loop))


def failure_of(error: BaseException) -> Failure:
    """Why a task failed, or the first one of a group of them."""
    if isinstance(error, asyncio.CancelledError):
        return Failure("task", "CancelledError: a task was cancelled, though the engine cancelled none")
    while getattr(error, "exceptions", None):  # An ExceptionGroup, which came with CPython 3.11.
        error = error.exceptions[0]  # type: ignore[attr-defined]
    return Failure.of(error)


async def _beat(sampler: Sampler) -> None:
    """Watches how late the loop is, by a precise timer, until it is cancelled."""
    beats = timer()
    while True:
        deadline_ns = now_ns() + HEARTBEAT_NS
        try:
            await beats.wait_until(deadline_ns)
        finally:
            # Cancelled at the end of the block, it may yet have been kept from a beat.
            late_ns = now_ns() - deadline_ns
            if late_ns > 0:
                sampler.stalled(late_ns)


def _name(task: Any) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", type(coroutine).__qualname__))


def _is_ours(task: Any) -> bool:
    """Whether a task runs a coroutine of this package: an engine's, or one that a step keeps."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(_PACKAGE)
