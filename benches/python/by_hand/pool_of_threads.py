"""`multiprocessing.pool.ThreadPool`: `map`, or `apply_async` for each task that ends."""

from multiprocessing.pool import ThreadPool
from threading import Semaphore

from tasks import work
from told import IS_BATCH, SIZE, serve


def run(pool: ThreadPool, tasks: int) -> None:
    """Runs them."""
    if IS_BATCH:
        pool.map(work, range(tasks), chunksize=1)
        return
    room = Semaphore(3 * SIZE)
    calls = []
    for index in range(tasks):
        room.acquire()
        calls.append(pool.apply_async(work, (index,), callback=lambda _: room.release()))
    for call in calls:
        call.get()


if __name__ == "__main__":
    with ThreadPool(SIZE) as pool:
        serve(lambda tasks: run(pool, tasks))
