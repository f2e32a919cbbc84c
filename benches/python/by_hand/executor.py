"""What the scripts with executors share: `map` over a batch; else `map(buffersize=)`, or `submit` behind a semaphore."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Semaphore
from typing import Any, List

from tasks import work
from told import IS_BATCH, SIZE


def run(executor: Executor, tasks: int) -> None:
    """Runs them."""
    if IS_BATCH:
        for _ in executor.map(work, range(tasks)):
            pass
        return
    if "buffersize" in (type(executor).map.__kwdefaults__ or {}):
        # CPython 3.14 and later; some calls queued for each worker, so that none waits for its next task.
        lazily: Any = {"buffersize": (3 if isinstance(executor, ThreadPoolExecutor) else 2) * SIZE}
        for _ in executor.map(work, range(tasks), **lazily):
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
