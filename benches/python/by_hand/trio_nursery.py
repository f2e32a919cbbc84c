"""trio: a nursery for each run, and a semaphore that bounds what is in flight."""

import trio  # type: ignore[import-not-found, import-untyped, unused-ignore]
from tasks import AMOUNT, WORK, work
from told import SIZE, serve


async def run_all(tasks: int) -> None:
    """Runs them."""
    room = trio.Semaphore(SIZE)

    async def bounded(index: int) -> None:
        async with room:
            if WORK == "sleep":
                await trio.sleep(AMOUNT / 1e9)
            else:
                work(index)

    async with trio.open_nursery() as nursery:
        for index in range(tasks):
            nursery.start_soon(bounded, index)


if __name__ == "__main__":
    serve(lambda tasks: trio.run(run_all, tasks))
