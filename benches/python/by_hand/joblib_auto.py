"""`joblib.Parallel` on `loky`, with batches that it sizes by itself."""

from joblib import Parallel, delayed  # type: ignore[import-not-found, import-untyped, unused-ignore]
from tasks import work
from told import SIZE, serve


def run(parallel: Parallel, tasks: int) -> None:
    """Runs them."""
    for _ in parallel(delayed(work)(index) for index in range(tasks)):
        pass


if __name__ == "__main__":
    with Parallel(n_jobs=SIZE, backend="loky", return_as="generator_unordered") as parallel:
        serve(lambda tasks: run(parallel, tasks))
