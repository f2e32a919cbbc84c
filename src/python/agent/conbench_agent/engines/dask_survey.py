"""What a Dask cluster is, told by a look at its workers and a few measurements."""

from __future__ import annotations

import os
import sys
from functools import partial
from itertools import count, islice
from linecache import getline
from statistics import median
from time import monotonic_ns
from typing import Any, Dict, Iterable, List, NamedTuple, Set, Tuple

from ..protocol import Cluster, Failure
from . import dask_client, dask_worker
from .dask_ship import run, ship, submit

#: How long a first worker is waited for.
_WORKERS_S = 2.0
#: No-ops under way while dispatch is measured: so many at least, and so many for each thread.
_LEAST_IN_FLIGHT, _PER_THREAD = 16, 4
_DISPATCH_NS, _DISPATCHES = 500_000_000, 2
#: So many payloads are on their way at once: the least at first, then so many times as large, as far as a link is fast.
_PAYLOADS, _LEAST_BYTES, _MOST_BYTES, _TIMES = 4, 16 << 10, 1 << 20, 4
#: A worker's kernel, and this interpreter's beside it, run so often and so long.
_KERNEL_NS, _TRIES = 20_000_000, 3
_ROUND_TRIPS = 30
#: A file that tells one boot of a host from all others.
_BOOT = "/proc/sys/kernel/random/boot_id"
#: What an interpreter says of its host, of that boot, and of itself.
_VERSION = "__import__('distributed').__version__"
#: The names of the scheduler's clients.
_CLIENTS = (
    "[name for each in __import__('distributed').Scheduler._instances for name in each.clients]"
    " if hasattr(__import__('distributed').Scheduler, '_instances') else None"
)
_SAYS = (
    f"(__import__('os').uname().nodename, __import__('linecache').getline({_BOOT!r}, 1), "
    f"__import__('platform').python_version(), {_VERSION})"
)


class _Worker(NamedTuple):
    """A worker: where it is, and what it runs on."""

    address: str
    host: str
    is_here: bool
    threads: int
    python: str
    distributed: str


def survey(request: Cluster, address: str) -> Dict[str, object]:
    """The body of `cluster`, but for the time that its start took; Failure says why it cannot be used."""
    begun_ns = monotonic_ns()
    client = dask_client.connect(address)
    connect_ns = monotonic_ns() - begun_ns
    try:
        return _survey(client, request, address, connect_ns)
    except Failure:
        raise
    except Exception as error:
        if dask_client.is_timeout(error):
            _look_for_silent(client, address)
        raise Failure(
            "setup",
            f"the Dask cluster at {address} cannot be measured ({type(error).__name__}: {error}): look whether its "
            "workers are well",
        ) from error
    finally:
        client.close(timeout=1)


def _look_for_silent(client: Any, address: str) -> None:
    """Failure names a worker that says nothing, or the scheduler."""
    try:
        workers = list(dask_client.within_patience(client.nthreads))
    except OSError as error:
        raise Failure(
            "setup", f"the scheduler at {address} does not answer any more: it ended, or the network failed"
        ) from error
    dask_client.of_workers(client, workers, os.getpid)


def _survey(client: Any, request: Cluster, address: str, connect_ns: int) -> Dict[str, object]:
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except Exception:  # its own TimeoutError, or asyncio's
        raise Failure(
            "setup", f"the scheduler at {address} has no worker: start one (`dask worker {address}`)"
        ) from None
    # The scheduler knows them: nothing is asked of a worker, or run there, before it is known that it may be.
    threads = client.nthreads()
    _check_addresses(threads, request)
    workers = _workers(client, threads)
    _check(workers, request)
    addresses = [worker.address for worker in workers]
    ship(client, addresses)
    living = _of_scheduler(client, _CLIENTS)
    # Old versions do not say.
    if living is not None:
        run(client, addresses, "give_up_all_but", living)
    if request.address is None:
        run(client, addresses, "bind")
    places = _places(client, workers)
    measured = _Measured(client, workers, monotonic_ns() + request.budget_ns, request.budget_ns)
    round_trip_ns = measured.round_trip_ns()
    in_flight = max(_LEAST_IN_FLIGHT, _PER_THREAD * sum(worker.threads for worker in workers))
    tasks_per_s = measured.tasks_per_s(in_flight, round_trip_ns)
    both_ways, there, back = (measured.bytes_per_s(way, round_trip_ns) for way in dask_worker.WAYS)
    speeds = measured.speeds()
    return {
        "address": address,
        "distributed": dask_client.load().__version__,
        "scheduler": _of_scheduler(client, _VERSION),
        "workers": [
            {**worker._asdict(), **place, "speed": speed} for worker, place, speed in zip(workers, places, speeds)
        ],
        "pids": _pids(client, workers),
        "dispatch": {"in_flight": in_flight, "tasks_per_s": tasks_per_s},
        "bytes_per_s": both_ways,
        "there_bytes_per_s": there,
        "back_bytes_per_s": back,
        "connect_ns": connect_ns,
        "round_trip_ns": round_trip_ns,
    }


def _workers(client: Any, threads: Dict[str, int]) -> List[_Worker]:
    """These workers, by what every Python can tell without this package."""
    here = _here()
    workers = []
    for address, told in dask_client.of_workers(client, threads, eval, _SAYS).items():
        name, boot, python, version = told
        workers.append(_Worker(address, name, (name, boot) == here, threads[address], python, version))
    return workers


def _places(client: Any, workers: List[_Worker]) -> List[Dict[str, int]]:
    """Of each worker its process, the cores that it may use, and those that all workers of its host may use."""
    found: Dict[str, Tuple[int, List[int], int]] = run(client, [worker.address for worker in workers], "place")
    cores: Dict[str, Set[int]] = {}
    usable: Dict[str, int] = {}
    for worker in workers:
        _, own, count = found[worker.address]
        cores.setdefault(worker.host, set()).update(own)
        usable[worker.host] = usable.get(worker.host, 0) + count
    return [
        {"pid": pid, "cores": count, "host_cores": min(len(cores[worker.host]), usable[worker.host])}
        for worker, (pid, _, count) in ((worker, found[worker.address]) for worker in workers)
    ]


def _here() -> Tuple[str, str]:
    """This host, and its boot."""
    return os.uname().nodename, getline(_BOOT, 1)


def _pids(client: Any, workers: List[_Worker]) -> List[int]:
    """The processes of the scheduler and the workers that are on this host."""
    *there, _, _ = _of_scheduler(client, _SAYS)
    pids = dask_client.of_workers(client, [worker.address for worker in workers if worker.is_here], os.getpid)
    scheduler = [_of_scheduler(client, "__import__('os').getpid()")] if tuple(there) == _here() else []
    return sorted({*pids.values(), *scheduler})


def _of_scheduler(client: Any, expression: str) -> Any:
    return dask_client.within_patience(partial(client.run_on_scheduler, eval, expression))


def _check_addresses(addresses: Iterable[str], request: Cluster) -> None:
    for address in addresses:
        if not request.allow_remote and not dask_client.is_ours(address):
            raise Failure("setup", f"the worker {address} is on another host: to run tasks there needs --allow-remote")


def _check(workers: List[_Worker], request: Cluster) -> None:
    for worker in workers:
        if not worker.is_here and not request.allow_remote:
            raise Failure(
                "setup",
                f"the worker {worker.address} is on another host ({worker.host}): to run tasks there needs "
                "--allow-remote",
            )
        if worker.python.split(".")[:2] != [str(part) for part in sys.version_info[:2]]:
            ours = ".".join(map(str, sys.version_info[:3]))
            raise Failure(
                "setup",
                f"the worker {worker.address} runs Python {worker.python}, and {sys.executable} is {ours}: tasks cross "
                "between equal minor versions alone: choose that interpreter with --python, or start workers with this",
            )


class _Measured:
    """Measurements, which together take about their budget."""

    def __init__(self, client: Any, workers: List[_Worker], end_ns: int, budget_ns: int) -> None:
        self._client = client
        self._workers = workers
        self._end_ns = end_ns
        self._budget_ns = budget_ns

    def round_trip_ns(self) -> int:
        """The median time of a no-op alone."""
        # The first ones open connections, and wake what sleeps.
        submit(self._client, "nothing").result(dask_client.PATIENCE_S)
        end_ns = monotonic_ns() + self._budget_ns // 10
        took: List[int] = []
        while len(took) < _ROUND_TRIPS and (not took or monotonic_ns() < end_ns):
            begun_ns = monotonic_ns()
            submit(self._client, "nothing").result(dask_client.PATIENCE_S)
            took.append(monotonic_ns() - begun_ns)
        return round(median(took))

    def tasks_per_s(self, in_flight: int, round_trip_ns: int) -> float:
        """The rate of no-ops with so many under way, by the loop that users write."""
        # (Where the way is long, the first of them come back late.)
        run_ns = max(min(_DISPATCH_NS, self._budget_ns // 6), 2 * round_trip_ns)
        return max(self._dispatch(in_flight, run_ns) for _ in range(_DISPATCHES))

    def _dispatch(self, in_flight: int, run_ns: int) -> float:
        client, items = self._client, count()
        begun_ns = monotonic_ns()
        done, last_ns = 0, begun_ns
        first = [submit(client, "nothing", item) for item in islice(items, in_flight)]
        running = self._as_completed(first, run_ns)
        for future, _ in running:
            future.release()
            now_ns = monotonic_ns()
            # (Those that end when no more are submitted ran under less and less load.)
            if now_ns < begun_ns + run_ns:
                running.add(submit(client, "nothing", next(items)))
            elif done:
                continue
            done, last_ns = done + 1, now_ns
        return done / (last_ns - begun_ns) * 1e9

    def bytes_per_s(self, way: str, round_trip_ns: int) -> float:
        """The rate at which payloads go one way, or go and come back, both counted then; the best of a few.

        Several are under way at once, as in the loop that users write: one goes while another comes back.
        """
        most_ns = self._budget_ns // 8
        end_ns = monotonic_ns() + most_ns
        size = _LEAST_BYTES
        best: Dict[int, float] = {}
        for _ in range(_ROUND_TRIPS):
            took_ns = self._carry(way, size)
            crossings = 2 if way == dask_worker.BOTH_WAYS else 1
            best[size] = max(best.get(size, 0.0), crossings * _PAYLOADS * size / took_ns * 1e9)
            if size < _MOST_BYTES and _TIMES * (took_ns - round_trip_ns) <= most_ns:
                size *= _TIMES
            elif monotonic_ns() + took_ns > end_ns:
                break
        # Of less a link may let through more than it keeps up.
        return best[max(best)]

    def _carry(self, way: str, size: int) -> int:
        """How long payloads of so many bytes take that are handed over at once."""
        # What is compressed on its way would tell of no link.
        data = b"" if way == dask_worker.BACK else os.urandom(size)
        begun_ns = monotonic_ns()
        calls = [submit(self._client, "carry", way, data, size) for _ in range(_PAYLOADS)]
        for future, _ in self._as_completed(calls, 0):
            future.release()
        return monotonic_ns() - begun_ns

    def _as_completed(self, calls: List[Any], run_ns: int) -> Any:
        """Where these calls, and those that are added for so long, come back; TimeoutError if they do not."""
        patience_s = run_ns / 1e9 + dask_client.TASKS_S
        return dask_client.load().as_completed(calls, loop=self._client.loop, with_results=True, timeout=patience_s)

    def speeds(self) -> List[float]:
        """Of each worker, how fast one thread computes beside this interpreter."""
        best = {worker.address: float("inf") for worker in self._workers}
        ours = float("inf")
        for number in range(_TRIES):
            ours = min(ours, dask_worker.kernel_ns(_KERNEL_NS))
            for at_once in self._turns():
                if number and monotonic_ns() >= self._end_ns:
                    break
                calls = [submit(self._client, "kernel_ns", _KERNEL_NS, workers=[worker.address]) for worker in at_once]
                for worker, call in zip(at_once, calls):
                    best[worker.address] = min(best[worker.address], call.result(dask_client.TASKS_S))
        return [ours / best[worker.address] for worker in self._workers]

    def _turns(self) -> List[List[_Worker]]:
        """One worker of each host at once: those of one host would share its cores."""
        hosts: Dict[str, List[_Worker]] = {}
        for worker in self._workers:
            hosts.setdefault(worker.host, []).append(worker)
        longest = max(map(len, hosts.values()))
        return [[each[turn] for each in hosts.values() if turn < len(each)] for turn in range(longest)]
