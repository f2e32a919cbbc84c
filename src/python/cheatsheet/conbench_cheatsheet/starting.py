"""The start of processes, measured in a process of its own.

A fork copies what the process has, so it costs more the more that is. This process has imported all that the cheat
sheet needs, and the items before have used it; a user's program that starts processes has imported less. So these
items are measured in a new interpreter: `python3 <this folder> start NAME`.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import Any, Callable, Dict

from .children import FORK, tether
from .timing import Meter
from .work import nothing

#: The workers of a pool that is started.
_WORKERS = 4


def in_a_lean_process(name: str) -> float:
    """The ns of one start, and of what the item has after it."""
    folder = os.path.dirname(os.path.abspath(__file__))
    # The flags that this interpreter was started with, `-I` for one, as `spawn` passes them on.
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    command = [sys.executable, *flags, folder, "start", name]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=tether, check=True)
    return float(result.stdout)


def main(name: str) -> int:
    """Measures in this process, writes the ns on standard output, and returns the exit code."""
    sys.stdout.write(f"{_LOOPS[name](Meter())!r}\n")
    return 0


def _process(meter: Meter, start_method: str) -> float:
    context: Any = multiprocessing.get_context(start_method)

    def loop(calls: int) -> None:
        for _ in range(calls):
            process = context.Process(target=nothing)
            process.start()
            process.join()

    return meter.per_call(loop)


def _pool(meter: Meter) -> float:
    def loop(calls: int) -> None:
        for _ in range(calls):
            with FORK.Pool(_WORKERS) as pool:
                pool.map(nothing, range(_WORKERS), chunksize=1)

    return meter.per_call(loop)


_LOOPS: Dict[str, Callable[[Meter], float]] = {
    "process-fork": lambda meter: _process(meter, "fork"),
    "process-forkserver": lambda meter: _process(meter, "forkserver"),
    "process-spawn": lambda meter: _process(meter, "spawn"),
    "pool-start-4": _pool,
}
