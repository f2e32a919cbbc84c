"""An event loop that hands its tasks to worker processes: `run_in_executor` behind a semaphore."""

import asyncio
from concurrent.futures import ProcessPoolExecutor

from tasks import work
from told import SIZE, serve

WORKERS = 2


async def run_all(executor: ProcessPoolExecutor, tasks: int) -> None:
    """Runs them."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(SIZE)

    async def bounded(index: int) -> int:
        async with room:
            return await loop.run_in_executor(executor, work, index)

    await asyncio.gather(*[bounded(index) for index in range(tasks)])


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    with ProcessPoolExecutor(WORKERS) as processes:
        serve(lambda tasks: loop.run_until_complete(run_all(processes, tasks)))
