"""How the benchmark speaks with a script, which is started as `script.py WORK AMOUNT SIZE LOAD`.

Each line that comes says how many tasks to run; each that goes says how many nanoseconds they took. The pool lives as
long as the script does.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import Callable

#: Threads, processes, or tasks in flight.
SIZE = int(sys.argv[3])
#: `batch`: all tasks are there at once; `closed`: they come one by one, as there is room.
IS_BATCH = sys.argv[4] == "batch"


def serve(run: Callable[[int], None]) -> None:
    """Runs as many tasks as each line says."""
    for line in sys.stdin:
        start_ns = perf_counter_ns()
        run(int(line))
        sys.stdout.write(f"{perf_counter_ns() - start_ns}\n")
        sys.stdout.flush()
