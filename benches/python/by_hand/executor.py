"""What the scripts with executors share: `map` over a batch, else `submit` behind a semaphore."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from threading import Semaphore
from typing import List

from tasks import work
from told import IS_BATCH, SIZE


def run(executor: Executor, tasks: int) -> None:
    """Runs them."""
    if IS_BATCH:
        for _ in executor.map(work, range(tasks)):
            pass
        return
    # Twice as many as there are workers, so that none waits for its next task.
    room = Semaphore(2 * SIZE)
    futures: List[Future[int]] = []
    for index in range(tasks):
        room.acquire()
        future = executor.submit(work, index)
        future.add_done_callback(lambda _: room.release())
        futures.append(future)
    for future in futures:
        future.result()
