"""`Client.submit` under `as_completed`, with so many tasks in flight, on a cluster whose address is in `DASK_ADDRESS`.

Its work is `sleep`, of 0 ns for a task that does nothing.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from itertools import islice
from typing import Any, List

import dask_tasks
from distributed import Client, as_completed  # type: ignore[import-not-found, import-untyped, unused-ignore]
from told import SIZE, serve

AMOUNT = int(sys.argv[2])


def run(client: Any, tasks: int) -> None:
    """Runs them."""
    results: List[int] = []
    items = ((AMOUNT, index) for index in range(tasks))
    running = as_completed(
        [client.submit(dask_tasks.sleep, item, pure=False) for item in islice(items, SIZE)], with_results=True
    )
    for future, result in running:
        results.append(result)
        future.release()
        for item in islice(items, 1):
            running.add(client.submit(dask_tasks.sleep, item, pure=False))


if __name__ == "__main__":
    with Client(os.environ["DASK_ADDRESS"]) as client:
        # Workers, and the scheduler, find what they are to call by its module.
        client.upload_file(dask_tasks.__file__)
        serve(partial(run, client))
