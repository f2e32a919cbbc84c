"""`multiprocessing.Pool`: `map` over a batch, else `imap_unordered`."""

from functools import partial
from multiprocessing import Pool
from multiprocessing.pool import Pool as PoolType

from tasks import work
from told import IS_BATCH, SIZE, serve


def run(pool: PoolType, tasks: int) -> None:
    """Runs them."""
    if IS_BATCH:
        pool.map(work, range(tasks), chunksize=1)
        return
    for _ in pool.imap_unordered(work, range(tasks)):
        pass


if __name__ == "__main__":
    with Pool(SIZE) as pool:
        serve(partial(run, pool))
