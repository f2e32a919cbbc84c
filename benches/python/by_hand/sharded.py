"""Worker processes with an event loop each: every loop has its share of the tasks, and of what is in flight."""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import List, Sequence

from tasks import work_async
from told import SIZE, serve

SHARDS = 2
#: That of a worker, which keeps it for as long as the script lives.
loop: List[asyncio.AbstractEventLoop] = []


async def run_all(indices: Sequence[int]) -> List[int]:
    """Runs a shard."""
    room = asyncio.Semaphore(SIZE // SHARDS)

    async def bounded(index: int) -> int:
        async with room:
            return await work_async(index)

    return await asyncio.gather(*(bounded(index) for index in indices))


def run_shard(indices: Sequence[int]) -> List[int]:
    """Runs a shard on the loop of this process."""
    if not loop:
        loop.append(asyncio.new_event_loop())
    return loop[0].run_until_complete(run_all(indices))


if __name__ == "__main__":
    with multiprocessing.Pool(SHARDS) as pool:

        def run_shards(tasks: int) -> None:
            """Deals them out."""
            pool.map(run_shard, [range(shard, tasks, SHARDS) for shard in range(SHARDS)], chunksize=1)

        serve(run_shards)
