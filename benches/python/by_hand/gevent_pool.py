"""Greenlets of a `gevent.pool.Pool`."""

from gevent import monkey  # type: ignore[import-not-found, import-untyped, unused-ignore]

monkey.patch_all()

from gevent.pool import Pool  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: E402
from tasks import work  # noqa: E402
from told import SIZE, serve  # noqa: E402


def run(pool: Pool, tasks: int) -> None:
    """Runs them."""
    for index in range(tasks):
        pool.spawn(work, index)
    pool.join()


if __name__ == "__main__":
    pool = Pool(SIZE)
    serve(lambda tasks: run(pool, tasks))
