"""An event loop that hands its tasks to threads: `anyio.to_thread.run_sync` behind a semaphore."""

import asyncio
import sys
from time import perf_counter_ns

from anyio import CapacityLimiter, to_thread  # type: ignore[import-not-found, import-untyped, unused-ignore]
from tasks import work
from told import SIZE

WORKERS = 2


async def run_all(limiter: CapacityLimiter, tasks: int) -> None:
    """Runs them."""
    room = asyncio.Semaphore(SIZE)

    async def bounded(index: int) -> int:
        async with room:
            answer: int = await to_thread.run_sync(work, index, limiter=limiter)
            return answer

    await asyncio.gather(*[bounded(index) for index in range(tasks)])


async def main() -> None:
    """As `told.serve`, within one run of the loop: anyio's threads end with it."""
    limiter = CapacityLimiter(WORKERS)
    for line in sys.stdin:
        start_ns = perf_counter_ns()
        await run_all(limiter, int(line))
        sys.stdout.write(f"{perf_counter_ns() - start_ns}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
