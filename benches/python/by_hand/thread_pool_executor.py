"""`ThreadPoolExecutor`."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import executor
from told import SIZE, serve

if __name__ == "__main__":
    with ThreadPoolExecutor(SIZE) as pool:
        serve(partial(executor.run, pool))
