"""The section `asyncio`."""

from __future__ import annotations

import asyncio
import sys
from typing import Callable, Coroutine

from .registry import Unavailable, item
from .timing import Meter

#: How many tasks are made and waited for together.
_TASKS = 100
#: What the timer is set to, in ns.
_NAP_NS = 1_000_000
#: A round of two tasks is two hand-overs.
_THERE_AND_BACK = 2


async def _nothing() -> None:
    pass


def _on_a_loop(
    meter: Meter, loop: Callable[[int], Coroutine[None, None, None]], parts: float = 1, minus_ns: float = 0
) -> float:
    async def main() -> float:
        return await meter.per_await(loop, parts, minus_ns)

    return asyncio.run(main())


@item("asyncio-run")
def asyncio_run(meter: Meter) -> float:
    """A loop from its making to its end, with nothing to do."""

    def loop(calls: int) -> None:
        for _ in range(calls):
            asyncio.run(_nothing())

    return meter.per_call(loop)


@item("await-coroutine")
def await_coroutine(meter: Meter) -> float:
    """A coroutine that does not wait: the event loop has no part in it."""

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await _nothing()

    return _on_a_loop(meter, loop)


@item("create-task")
def create_task(meter: Meter) -> float:
    """One task, made and waited for: the loop turns for it."""

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await asyncio.create_task(_nothing())

    return _on_a_loop(meter, loop)


@item("gather-task")
def gather_task(meter: Meter) -> float:
    """Many tasks at once."""

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await asyncio.gather(*[_nothing() for _ in range(_TASKS)])

    return _on_a_loop(meter, loop, parts=_TASKS)


@item("task-group-task")
def task_group_task(meter: Meter) -> float:
    """Many tasks at once, none of which can be forgotten."""
    if sys.version_info >= (3, 11):

        async def loop(calls: int) -> None:
            for _ in range(calls):
                async with asyncio.TaskGroup() as group:
                    for _ in range(_TASKS):
                        group.create_task(_nothing())

        return _on_a_loop(meter, loop, parts=_TASKS)
    raise Unavailable("asyncio.TaskGroup came with CPython 3.11")


@item("asyncio-queue-handover")
def asyncio_queue_handover(meter: Meter) -> float:
    """From `put` in one task to `get` in another one."""

    async def main() -> float:
        here: asyncio.Queue[object] = asyncio.Queue()
        there: asyncio.Queue[object] = asyncio.Queue()

        async def answer() -> None:
            while await there.get() is not None:
                await here.put(1)

        async def loop(calls: int) -> None:
            for _ in range(calls):
                await there.put(1)
                await here.get()

        answering = asyncio.create_task(answer())
        figure = await meter.per_await(loop, parts=_THERE_AND_BACK)
        await there.put(None)
        await answering
        return figure

    return asyncio.run(main())


@item("asyncio-lock")
def asyncio_lock(meter: Meter) -> float:
    """A lock that no other task wants."""

    async def main() -> float:
        lock = asyncio.Lock()

        async def loop(calls: int) -> None:
            for _ in range(calls):
                async with lock:
                    pass

        return await meter.per_await(loop)

    return asyncio.run(main())


@item("sleep-zero")
def sleep_zero(meter: Meter) -> float:
    """One turn of a loop that has nothing else to do."""

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await asyncio.sleep(0)

    return _on_a_loop(meter, loop)


@item("wait-for")
def wait_for(meter: Meter) -> float:
    """A bound in time around a coroutine that is ready."""

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await asyncio.wait_for(_nothing(), 1)

    return _on_a_loop(meter, loop)


@item("timer-lateness")
def timer_lateness(meter: Meter) -> float:
    """What a sleep lasts longer than it was asked to, on a loop that has nothing else to do."""

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await asyncio.sleep(0.001)

    return _on_a_loop(meter, loop, minus_ns=_NAP_NS)
