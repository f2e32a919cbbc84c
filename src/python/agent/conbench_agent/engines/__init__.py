"""Engines: how tasks are run. Each is one small module with the idiom that its users write, and knows no step."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from ..protocol import Failure, Job, Own

if TYPE_CHECKING:
    from ..task import Task
    from .base import Engine


class _Offer(NamedTuple):
    """An engine's model, where it is made, and how many workers its library starts by default."""

    model: str
    made_by: str
    default_workers: Optional[Callable[[], int]] = None


def _cpus() -> int:
    """The processors that the standard library counts when it sizes a pool."""
    count: Callable[[], Optional[int]] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def _pool_threads() -> int:
    """The default of a ThreadPoolExecutor, and of an InterpreterPoolExecutor, whose interpreters have a thread each."""
    return min(32, _cpus() + 4)


def _usable_cpus() -> int:
    """The processors that this process may use, as loky counts them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cpus()


_OFFERS: Dict[str, _Offer] = {
    "sequential": _Offer("sequential", "sequential:Sequential"),
    "ThreadPoolExecutor": _Offer("threads", "threads:ThreadPool", _pool_threads),
    "Thread": _Offer("threads", "thread_per_task:ThreadPerTask"),
    "threaded-asyncio": _Offer("sharded-async", "threaded:ThreadedAsyncio", _cpus),
    "sharded-asyncio": _Offer("sharded-async", "sharded:ShardedAsyncio", _cpus),
    "ProcessPoolExecutor": _Offer("processes", "process_executor:ProcessExecutor", _cpus),
    "multiprocessing.Pool": _Offer("processes", "multiprocessing_pool:MultiprocessingPool", _cpus),
    "Process": _Offer("processes", "process_per_task:ProcessPerTask"),
    "asyncio": _Offer("async", "asyncio_tasks:on_asyncio"),
    "TaskGroup": _Offer("async", "task_group:on_asyncio"),
    "uvloop": _Offer("async", "asyncio_tasks:on_uvloop"),
    "asyncio+ThreadPoolExecutor": _Offer("async+threads", "asyncio_threads:WithThreads", _pool_threads),
    "asyncio+ProcessPoolExecutor": _Offer("async+processes", "asyncio_processes:WithProcesses", _cpus),
    "InterpreterPoolExecutor": _Offer("interpreters", "interpreters:InterpreterPool", _pool_threads),
    "multiprocessing.pool.ThreadPool": _Offer("threads", "pool_of_threads:PoolOfThreads", _cpus),
    "joblib+threading": _Offer("threads", "joblib_threads:JoblibThreads", _usable_cpus),
    "trio": _Offer("async", "trio_tasks:TrioTasks"),
    "gevent": _Offer("async", "gevent_pool:GeventPool"),
    "loky": _Offer("processes", "loky_executor:LokyExecutor", _usable_cpus),
    "joblib+loky": _Offer("processes", "joblib_processes:JoblibProcesses", _usable_cpus),
    "joblib+loky+auto": _Offer("processes", "joblib_processes:JoblibProcesses", _usable_cpus),
    "anyio": _Offer("async+threads", "anyio_threads:WithAnyio", lambda: 40),
    "dask": _Offer("cluster", "dask_cluster:DaskCluster"),
}

#: Engines that are raced where the user's code imports a module, or by name, with that module.
_IMPORTS = {
    "multiprocessing.pool.ThreadPool": "multiprocessing.pool",
    "joblib+threading": "joblib",
    "trio": "trio",
    "gevent": "gevent",
    "loky": "loky",
    "joblib+loky": "joblib",
    "joblib+loky+auto": "joblib",
    "anyio": "anyio",
}

#: The least version of a package: joblib has `generator_unordered` from 1.4 on.
_LEAST = {"joblib": (1, 4)}
#: The packages that engines need. (Dask's is raced where there is a cluster, whatever the user's code imports.)
_PACKAGES = {**{name: module.partition(".")[0] for name, module in _IMPORTS.items()}, "dask": "distributed"}


def build(job: Job, task: Task) -> Engine:
    """Makes the engine of a job's candidate, its workers started; its module is imported only now."""
    name = job.candidate.engine
    if not isinstance(name, str):
        from .own_executor import build_own

        return build_own(job, task)
    reason = _why_absent(name)
    if reason is not None:
        raise Failure("setup", f"the engine {name} is not to be had: {reason}")
    module, _, maker = _OFFERS[name].made_by.partition(":")
    engine: Engine = getattr(import_module("." + module, __name__), maker)(job, task)
    return engine


def model(engine: Union[str, Own]) -> str:
    """The concurrency model of an engine."""
    return _OFFERS[engine].model if isinstance(engine, str) else engine.own.model


def offers() -> Tuple[List[Dict[str, object]], List[Dict[str, object]]]:
    """For `hello`: the engines that this interpreter offers, and those it does not, with the reason."""
    offered: List[Dict[str, object]] = []
    absent: List[Dict[str, object]] = []
    for name, offer in _OFFERS.items():
        reason = _why_absent(name) or _why_pointless(name)
        if reason is not None:
            absent.append({"engine": name, "reason": reason})
        elif offer.default_workers is None:
            offered.append({"engine": name})
        else:
            offered.append({"engine": name, "default_workers": offer.default_workers()})
    return offered, absent


def imported() -> List[str]:
    """The engines of which the user's code, which was imported, imports what they need."""
    return [name for name, module in _IMPORTS.items() if module in sys.modules]


def before_imports(job: Job) -> None:
    """What an engine must do before anything of the user's is imported."""
    if job.candidate.engine == "gevent" and _why_absent("gevent") is None:
        from .gevent_pool import patch

        patch()


def start_methods() -> List[str]:
    """How worker processes can be started, the default of this platform and version first."""
    if sys.platform != "linux":
        return ["spawn", "fork", "forkserver"]
    return ["forkserver", "fork", "spawn"] if sys.version_info >= (3, 14) else ["fork", "spawn", "forkserver"]


def start_method_of_imports() -> Optional[str]:
    """The start method that the user's code set when it was imported, where that is not the default."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return None
    method: Optional[str] = multiprocessing.get_start_method(allow_none=True)
    return None if method == start_methods()[0] else method


def event_loops() -> List[str]:
    """The event loops at hand: asyncio's own, and uvloop with its version where it can be imported."""
    version = _uvloop()
    return ["asyncio"] if version is None else ["asyncio", "uvloop " + version]


def _why_absent(name: str) -> Optional[str]:
    if name not in _OFFERS:
        return "conbench knows no such engine of Python"
    if name == "TaskGroup":
        return _needs(3, 11)
    if name == "InterpreterPoolExecutor":
        return _needs(3, 14)
    if name == "uvloop" and _uvloop() is None:
        return "the package uvloop cannot be imported here"
    package = _PACKAGES.get(name, "")
    spec = find_spec(package) if package else None
    if package and spec is None:
        return f"the package {package} cannot be imported here"
    least = _LEAST.get(package)
    found = _version(spec.origin) if least and spec else None
    if least and found and found < least:
        return "it needs {} {}.{}, and this is {}.{}".format(package, *least, *found)
    forks = "process" in _OFFERS[name].model or name == "sharded-asyncio" or package in ("multiprocessing", "joblib")
    if forks and find_spec("_multiprocessing") is None:
        return "this interpreter was built without multiprocessing"
    return None


def _version(origin: Optional[str]) -> Optional[Tuple[int, int]]:
    """The version that a package states in its first file, without importing it; None where it states none."""
    try:
        with open(origin or "", encoding="utf-8") as file:
            line = next((line for line in file if line.startswith("__version__")), "")
        major, minor = line.split("=")[1].strip().strip("\"'").split(".")[:2]
        return int(major), int(minor)
    except (OSError, ValueError, IndexError):
        return None


def _why_pointless(name: str) -> Optional[str]:
    """Why an engine could run here, and nobody would use it."""
    if name != "threaded-asyncio" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    return "it needs a free-threaded CPython that runs without a GIL, and here one is in force"


def _needs(major: int, minor: int) -> Optional[str]:
    if sys.version_info >= (major, minor):
        return None
    return "it needs CPython {}.{}, and this is {}.{}".format(major, minor, *sys.version_info[:2])


@cache
def _uvloop() -> Optional[str]:
    """The version of uvloop, or None.

    It is imported in a child process: here it would bring asyncio along, which is part of the start-up of those
    candidates alone that use it.
    """
    if find_spec("uvloop") is None:
        return None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(import_module("uvloop").__version__).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        version = answer.read().decode()
    os.waitpid(child, 0)
    return version or None
