"""Threads with an event loop each: every loop has its share of the tasks, and of what is in flight."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import List, Sequence

from tasks import work_async
from told import SIZE, serve

LOOPS = 2
#: The loop of each thread, which keeps it for as long as the script lives.
own = threading.local()


async def run_all(indices: Sequence[int]) -> List[int]:
    """Runs a shard."""
    room = asyncio.Semaphore(SIZE // LOOPS)

    async def bounded(index: int) -> int:
        async with room:
            return await work_async(index)

    return await asyncio.gather(*(bounded(index) for index in indices))


def run_shard(indices: Sequence[int]) -> List[int]:
    """Runs a shard on the loop of this thread."""
    if not hasattr(own, "loop"):
        own.loop = asyncio.new_event_loop()
    results: List[int] = own.loop.run_until_complete(run_all(indices))
    return results


with ThreadPoolExecutor(LOOPS) as pool:

    def run_shards(tasks: int) -> None:
        """Deals them out."""
        list(pool.map(run_shard, [range(shard, tasks, LOOPS) for shard in range(LOOPS)]))

    serve(run_shards)
