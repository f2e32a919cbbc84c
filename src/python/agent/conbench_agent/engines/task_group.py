"""asyncio.TaskGroup: the tasks of a block in one group, which ends with the last of them, or with one that fails."""

from __future__ import annotations

import asyncio
from typing import Any, Optional

from ..protocol import Failure, Job
from ..sampler import Sampler
from ..task import Task
from .asyncio_tasks import AsyncioTasks


class TaskGroup(AsyncioTasks):
    """Spawns a task of the block's group for each task."""

    async def _closed(self, sampler: Sampler) -> None:
        async with _group() as group:
            if sampler.is_paced:
                await self._feed(sampler, group.create_task)
                return
            self._keep_in_flight(sampler, group.create_task, _end)

    async def _batch(self, sampler: Sampler) -> None:
        async with _group() as group:
            if sampler.is_paced:
                await self._feed(sampler, group.create_task)
                return
            for work in self._bounded(sampler):
                group.create_task(work)


def on_asyncio(job: Job, task: Task) -> TaskGroup:
    """On asyncio's own loop."""
    return TaskGroup(task, job.candidate.sizes.concurrency)


def _group() -> Any:
    # It came with CPython 3.11: on an older one this engine is not offered.
    group: Any = getattr(asyncio, "TaskGroup")  # noqa: B009
    return group()


def _end(failure: Optional[Failure]) -> None:
    """The group sees by itself that no task is left, and learns of a failure from the task that raises it."""
    if failure is not None:
        raise failure
