"""One task after another."""

from tasks import work
from told import serve


def run(tasks: int) -> None:
    """Runs them."""
    for index in range(tasks):
        work(index)


if __name__ == "__main__":
    serve(run)
