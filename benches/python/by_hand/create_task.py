"""`asyncio.create_task` for each task as it comes, and a semaphore that bounds how many are in flight."""

from __future__ import annotations

import asyncio
from typing import Set

from tasks import work_async
from told import SIZE, serve


async def run_all(tasks: int) -> None:
    """Runs them."""
    room = asyncio.Semaphore(SIZE)
    alive: Set[asyncio.Task[None]] = set()

    async def work_and_leave(index: int) -> None:
        try:
            await work_async(index)
        finally:
            room.release()

    for index in range(tasks):
        await room.acquire()
        task = asyncio.create_task(work_and_leave(index))
        alive.add(task)
        task.add_done_callback(alive.discard)
    if alive:
        await asyncio.wait(alive)


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    serve(lambda tasks: loop.run_until_complete(run_all(tasks)))
