"""`ProcessPoolExecutor`."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import executor
from told import SIZE, serve

if __name__ == "__main__":
    with ProcessPoolExecutor(SIZE) as pool:
        serve(partial(executor.run, pool))
