"""`asyncio.gather` over all tasks, and a semaphore that bounds how many are in flight."""

import asyncio

from tasks import work_async
from told import SIZE, serve


async def run_all(tasks: int) -> None:
    """Runs them."""
    room = asyncio.Semaphore(SIZE)

    async def bounded(index: int) -> int:
        async with room:
            return await work_async(index)

    await asyncio.gather(*[bounded(index) for index in range(tasks)])


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    serve(lambda tasks: loop.run_until_complete(run_all(tasks)))
