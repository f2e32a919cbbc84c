"""`loky.get_reusable_executor`."""

from functools import partial

import executor
from loky import get_reusable_executor  # type: ignore[import-not-found, import-untyped, unused-ignore]
from told import SIZE, serve

if __name__ == "__main__":
    serve(partial(executor.run, get_reusable_executor(max_workers=SIZE)))
