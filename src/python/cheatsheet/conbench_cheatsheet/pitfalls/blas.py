"""The pitfall of libraries that compute with threads of their own: numpy and its BLAS."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import IO, Dict, List

from .. import host
from ..registry import Both, Unavailable, pitfall

#: The variables by which BLAS libraries are told their threads.
_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS")
#: No more programs at once.
_MOST_PROGRAMS = 4

#: Multiplies matrices when it is told to, and says how long that took in ms, and how many threads it has.
_MULTIPLYING = """
import os, sys, time
import numpy
matrix = numpy.ones((400, 400))
matrix @ matrix
print(len(os.listdir("/proc/self/task")), flush=True)
sys.stdin.readline()
start = time.perf_counter()
for _ in range(8):
    matrix @ matrix
print((time.perf_counter() - start) * 1e3, flush=True)
"""


@pitfall("blas-threads")
def blas_threads() -> Both:
    """As many processes as cores, each with as many BLAS threads as cores."""
    if importlib.util.find_spec("numpy") is None:
        raise Unavailable("numpy cannot be imported here")
    if host.cores() == 1:
        raise Unavailable("this process may use one core only: BLAS starts no threads")
    programs = min(host.cores(), _MOST_PROGRAMS)
    wrong = multiply(programs, host.cores())
    if wrong.threads == 1:
        raise Unavailable("the BLAS of this numpy computes in one thread")
    mended = multiply(programs, 1)
    shown = f"{programs} processes with {wrong.threads} threads each, mended {mended.threads}, on {host.cores()} cores"
    return Both(wrong.elapsed_ms, mended.elapsed_ms, shown)


class Multiplied:
    """What the slowest program took in ms, and the threads of each."""

    def __init__(self, elapsed_ms: float, threads: int) -> None:
        self.elapsed_ms = elapsed_ms
        self.threads = threads


def multiply(programs: int, threads: int) -> Multiplied:
    """Runs so many programs at once that multiply matrices, with so many threads each."""
    environment: Dict[str, str] = {**os.environ, **{name: str(threads) for name in _VARIABLES}}
    with ExitStack() as stack:
        started: List[subprocess.Popen[str]] = []
        for _ in range(programs):
            program = subprocess.Popen(
                [sys.executable, "-c", _MULTIPLYING],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(program)
            stack.callback(program.kill)
            started.append(program)
        found = [int(_output(program).readline()) for program in started]
        for program in started:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        elapsed_ms = [float(_output(program).readline()) for program in started]
    return Multiplied(max(elapsed_ms), max(found))


def _output(program: subprocess.Popen[str]) -> IO[str]:
    assert program.stdout is not None
    return program.stdout
