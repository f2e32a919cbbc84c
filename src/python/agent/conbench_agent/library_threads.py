"""Threads that a task's libraries compute with, and the variables by which their number is set.

Libraries read these variables when they are loaded, so `limit` must come before the user's module is imported. Workers
inherit the environment, however they begin.
"""

from __future__ import annotations

import os
import re
import threading
import time
from importlib import import_module
from typing import Any, Dict, List, NamedTuple, Optional, Set

#: The variables that libraries which compute with threads heed.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)

#: The variable of each library, by the name that `threadpoolctl` gives it or the path of its mapped file.
_VARIABLE_OF = {
    "openblas": "OPENBLAS_NUM_THREADS",
    "mkl": "MKL_NUM_THREADS",
    "blis": "BLIS_NUM_THREADS",
    "openmp": "OMP_NUM_THREADS",
    "numexpr": "NUMEXPR_NUM_THREADS",
    "polars": "POLARS_MAX_THREADS",
}
_MAPPED = re.compile(
    r"/(?:"
    r"lib[^/]*?(?P<openblas>openblas)[^/]*"
    r"|lib(?P<mkl>mkl)_[^/]*"
    r"|lib(?P<blis>blis)[^/]*"
    r"|lib(?P<openmp>gomp|omp|iomp5)\b[^/]*"
    r"|(?P<numexpr>numexpr)/interpreter[^/]*"
    r"|(?P<polars>polars)[^/]*/[^/]*polars[^/]*"
    r")$"
)


class _Pools(NamedTuple):
    """Libraries that compute with threads, by name, and with how many at most; None where that is not known."""

    libraries: List[str]
    threads: Optional[int]


def limit(threads: Optional[int]) -> None:
    """Has libraries that are loaded from now on, here and in workers, compute with so many; None leaves it to them."""
    if threads is not None:
        for name in VARIABLES:
            os.environ[name] = str(threads)


def started() -> int:
    """How many threads of this process Python does not know: libraries that compute with several start them."""
    try:
        all_threads = len(os.listdir("/proc/self/task"))
    except OSError:
        return 0
    return max(all_threads - threading.active_count(), 0)


class Watch:
    """Finds out what threads libraries compute with while this thread runs tasks."""

    def __init__(self) -> None:
        """Keeps what the environment sets: the user's module may set variables too."""
        self._set = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
        self.begin()

    def begin(self) -> None:
        """What computes from now on counts."""
        self._process_ns, self._own_ns = time.process_time_ns(), time.thread_time_ns()

    def found(self) -> Optional[Dict[str, object]]:
        """The `library_threads` of the frame `reference`; None where libraries have started no thread."""
        process_ns = time.process_time_ns() - self._process_ns
        own_ns = time.thread_time_ns() - self._own_ns
        native = started()
        if native == 0:
            return None
        pools = _asked() or _Pools(_mapped(), None)
        return {
            "threads": native + 1 if pools.threads is None else pools.threads,
            "cpu_share": max(process_ns - own_ns, 0) / max(process_ns, 1),
            "libraries": pools.libraries,
            "variables": [_VARIABLE_OF[library] for library in pools.libraries] or [VARIABLES[0]],
            "set": self._set,
        }


def _asked() -> Optional[_Pools]:
    """What `threadpoolctl` says of those that have several; None where the environment has it not, or it knows none."""
    try:
        asked: Any = import_module("threadpoolctl").threadpool_info()
        pools = [(str(pool["internal_api"]), int(pool["num_threads"])) for pool in asked]
    except Exception:
        # It is the user's, of any version.
        return None
    several = {name: threads for name, threads in pools if threads > 1 and name in _VARIABLE_OF}
    # Of a library that it does not know, the threads were counted all the same.
    return _Pools(sorted(several), max(several.values())) if several else None


def _mapped() -> List[str]:
    """The libraries that are loaded into this process, of those that are known to compute with threads."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            paths: Set[str] = {line.rstrip("\n").partition("/")[2] for line in file}
    except OSError:
        return []
    matches = (_MAPPED.search("/" + path) for path in paths)
    return sorted({str(match.lastgroup) for match in matches if match is not None})
