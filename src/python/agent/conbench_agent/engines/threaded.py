"""Sharded loops in one process: threads with an asyncio loop each, on a build of CPython that runs them at once.

Every loop has its share of the tasks in flight, and takes its next task itself when one has ended: no thread hands out
tasks. Of a batch each has its part from the start, as where a program deals its items out.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from time import monotonic
from typing import Any, Callable, Dict, Iterator, List, Optional

from ..clock import timer
from ..protocol import Failure, Job
from ..sampler import Lane, Sampler
from ..task import Task, first_failure
from .asyncio_tasks import AsyncioTasks
from .base import Engine
from .patience import LEAVE_S, end_in_time
from .threads import not_left

#: How much longer than its own teardown a loop may take to tell of it.
_LAST_WORD_S = 0.5


class ThreadedAsyncio(Engine):
    """Threads with a loop each."""

    def __init__(self, job: Job, task: Task) -> None:
        """Starts nothing."""
        sizes = job.candidate.sizes
        self.slots = sizes.concurrency
        # A loop without a task in flight would do nothing.
        self.shards = min(sizes.workers or 1, self.slots)
        turn = threading.Lock()
        self._threads = [ThreadPoolExecutor(1, "conbench-loop") for _ in range(self.shards)]
        self._make = [partial(_Loop, task, number, self.shards, self.slots, turn) for number in range(self.shards)]
        self._loops: List[_Loop] = []
        self._left: List[Dict[str, object]] = []

    def get_ready(self) -> None:
        """Starts the threads, each of which makes its loop."""
        made = [thread.submit(make) for thread, make in zip(self._threads, self._make)]
        self._loops = [each.result() for each in made]

    def run(self, sampler: Sampler) -> None:
        """Runs one block; raises what failed first, whatever is in flight on other loops then."""
        for ended in as_completed(self._on_each(lambda loop: loop.run(sampler))):
            ended.result()
            if sampler.failure is not None:
                raise sampler.failure

    def leave(self) -> Optional[Failure]:
        """Tears down each loop, and its thread."""
        calls = self._on_each(lambda loop: (loop.leave(), loop.left_behind()))
        deadline = monotonic() + LEAVE_S + _LAST_WORD_S
        try:
            told = [call.result(max(deadline - monotonic(), 0)) for call in calls]
        except Exception:
            return not_left()
        self._left = [left for _, all_left in told for left in all_left]
        return first_failure([failed for failed, _ in told])

    def left_behind(self) -> List[Dict[str, object]]:
        """What tasks left on the loops."""
        return self._left

    def close(self) -> None:
        """Ends the loops and their threads, but for one that is still in a call of the user's."""
        self._on_each(lambda loop: loop.close())
        for thread in self._threads:
            thread.shutdown(wait=False)
        end_in_time(self._wait_for_threads)

    def _wait_for_threads(self) -> None:
        for thread in self._threads:
            thread.shutdown()

    def _on_each(self, call: Callable[[_Loop], Any]) -> List[Future[Any]]:
        """Has each loop's own thread call this with it."""
        return [thread.submit(call, loop) for thread, loop in zip(self._threads, self._loops)]


class _Loop(AsyncioTasks):
    """One of the loops; its thread makes it, and calls it."""

    def __init__(self, task: Task, number: int, loops: int, in_flight: int, turn: threading.Lock) -> None:
        each, rest = divmod(in_flight, loops)
        super().__init__(task, each + (number < rest))
        self._number = number
        self._loops = loops
        self._first_slot = number * each + min(number, rest)
        #: Whose turn it is to ask whether a rate allows a task.
        self._turn = turn

    def _lanes(self, sampler: Sampler) -> List[Lane]:
        slots = range(self._first_slot, self._first_slot + self.slots)
        return [sampler.lane(slot, self._number) for slot in slots]

    def _dealt(self, sampler: Sampler) -> Iterator[int]:
        settings = sampler.settings
        limits = [limit for limit in (settings.most_tasks, sampler.tasks) if limit is not None]
        return iter(range(settings.first_index + self._number, settings.first_index + min(limits), self._loops))

    async def _next(self, sampler: Sampler) -> Optional[int]:
        while True:
            with self._turn:
                index, at_ns = sampler.poll()
            if index is not None or not at_ns:
                return index
            await timer().wait_until(at_ns)
