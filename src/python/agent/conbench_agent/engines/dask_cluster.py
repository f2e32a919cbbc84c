"""A Dask cluster: `submit` under `as_completed`, with so many tasks in flight, results released as they come."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from concurrent.futures import wait
from contextlib import suppress
from functools import partial
from itertools import islice
from time import monotonic, monotonic_ns, sleep
from typing import Any, Callable, Coroutine, Dict, Iterable, List, NamedTuple, Optional, Tuple, TypeVar, cast

from .. import meter
from ..meter import Usage
from ..protocol import Failure, Job, Joined
from ..sampler import CpuClock, Sampler
from ..task import Task, first_failure
from . import dask_client, dask_worker
from .base import Engine
from .dask_ship import call, is_missing, run, ship, submit
from .patience import LEAVE_S, end_in_time
from .processes import check_crossing, crossing_failure

#: How long the workers may take to get ready: they import the user's code.
_READY_S = 60.0
#: How often the cluster is looked at while it works, and how long its scheduler may take to answer then.
_LOOK_NS = 500_000_000
_ANSWER_NS = 5_000_000_000
#: How long the loop waits for a result before it looks around.
_WAIT_S = 0.1
#: Of so many items it is seen whether workers can unpickle them.
_SAMPLE = 4
#: What a scheduler says that cannot unpickle a task.
_REFUSED = "Error during deserialization of the task graph"


_T = TypeVar("_T")


class DaskCluster(Engine):
    """Hands tasks to the workers of a cluster."""

    crosses = True

    def __init__(self, job: Job, task: Task) -> None:
        """Connects to the scheduler; Failure if that cannot be, or if the task cannot cross."""
        check_crossing(job, task)
        self._task = task
        self._cluster = cast(Joined, job.cluster)
        if job.cluster is None:
            raise Failure("setup", "the engine dask needs a cluster: name one with --cluster")
        sizes = job.candidate.sizes
        self.chunk = self.tasks_per_message = sizes.chunk or 1
        # The calls under way at once, and in each so many tasks.
        self.slots = max((sizes.in_flight or 1) // self.chunk, 1) * self.chunk
        self._job_text = job.text()
        self.received = task.received
        # It was looked at before there was a job.
        self.client = dask_client.connect(self._cluster.address, "it did before: it ended, or the network failed")
        # Workers know by it whose it is: who was killed gives nothing up.
        self._candidate = dask_worker.name_of_candidate(self.client.id)
        #: The CPU time that each process of a worker told last.
        self._cpu_ns: Dict[Tuple[str, int], int] = {}
        #: Whether workers were told of the candidate.
        self._is_known = False
        #: Whether they tore it down, as far as they had to.
        self._is_left = True
        try:
            self._threads: Dict[str, int] = self.client.nthreads()
            self.threads = sum(self._threads.values())
            self._check_addresses()
            self._check_threads()
            # What a user's program does not do is no start-up.
            begun_ns = monotonic_ns()
            ship(self.client, self._threads)
            _upload(self.client, self._threads, self._cluster.upload or [])
            task.checks_ns += monotonic_ns() - begun_ns
        except BaseException as error:
            failure = self.failure([], error)
            self.abandon()
            raise failure from error

    def get_ready(self) -> None:
        """Makes the task on all workers."""
        self._get_ready(0)

    def warm(self) -> None:
        """Lets each thread of theirs make ahead what tasks need."""
        self._get_ready(None)

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        _Block(self, sampler).run()
        self._check_workers()

    def workers_usage(self) -> Usage:
        """What the processes of the workers used so far, and programs that tasks started in them."""
        try:
            told: List[Tuple[dask_worker.RanThere, Usage]] = self._awaited(self._used(), _READY_S)
        except Exception as error:
            raise self.failure([], error) from error
        for there, _ in told:
            # Of one that runs nothing in a block before its CPU clock is read, too: others run tasks in between.
            self.note_cpu(there)
        return Usage(*map(sum, zip(*(used for _, used in told))))

    def cpu_clock(self) -> Optional[CpuClock]:
        """The CPU time of this process, and what those of the workers told with the last of their tasks."""
        return lambda: meter.cpu_ns([]) + sum(self._cpu_ns.values())

    def leave(self) -> Optional[Failure]:
        """Tears down each thread of each worker, and then the workers."""
        if not self._task.tears_down:
            return None
        end_s = monotonic() + LEAVE_S
        try:
            failed = self._of_threads("leave_thread", LEAVE_S)
            calls = [self._submit_to(address, "leave") for address in self._threads]
            return first_failure([*failed, *self._results(calls, max(end_s - monotonic(), 0.0))])
        except BaseException as error:
            self._is_left = False
            return self.failure([], error)

    def close(self) -> None:
        """Has the workers forget the candidate, and disconnects."""
        # Who could not tear it down in time does so by itself.
        self._tell("forget" if self._is_left else "give_up")
        self._disconnect()

    def abandon(self) -> None:
        """Has the workers give the candidate up, and disconnects: something failed, and they live on."""
        if self._is_known:
            self._tell("give_up")
        self._disconnect()

    def _tell(self, function: str) -> None:
        """Tells the workers that are still there."""
        end_in_time(partial(_quietly, run, self.client, self._threads, function, self._candidate))

    def _disconnect(self) -> None:
        """The scheduler drops what is under way."""
        end_in_time(partial(_quietly, self.client.close, timeout=1))

    def as_completed(self) -> Any:
        """Where results come, with nothing under way yet."""
        return dask_client.load().as_completed(loop=self.client.loop, with_results=True, raise_errors=False)

    def submit(self, indices: List[int]) -> Any:
        """Hands over tasks together."""
        handed = self._task.handed
        return submit(self.client, "run", self._candidate, [(index, handed(index)) for index in indices])

    def note_cpu(self, there: dask_worker.RanThere) -> None:
        """A worker told its CPU time."""
        self._cpu_ns[there.pid] = there.cpu_ns

    def ask(self) -> Any:
        """Asks the scheduler for its workers; the answer's future."""
        return asyncio.run_coroutine_threadsafe(self._workers(), self.client.loop.asyncio_loop)

    async def _workers(self) -> Dict[str, int]:
        found: Dict[str, int] = await self.client.scheduler.ncores()
        return found

    def _get_ready(self, index: Optional[int]) -> None:
        # Before one task, no more items are read than it needs.
        sample = pickle.dumps([self._task.handed(each) for each in range(1 if index is not None else _SAMPLE)])
        self._is_known = True
        try:
            self._of_threads("get_ready", _READY_S, self._job_text, sample, index)
        except BaseException as error:
            raise self.failure([0], error) from error

    def _of_threads(self, function: str, patience_s: float, *given: object) -> List[Any]:
        """Calls a function in each thread of each worker, with the candidate and how many threads the worker has."""
        calls = [
            self._submit_to(address, function, threads, *given)
            for address, threads in self._threads.items()
            for _ in range(threads)
        ]
        return self._results(calls, patience_s)

    def _submit_to(self, address: str, function: str, *given: object) -> Any:
        return submit(self.client, function, self._candidate, *given, workers=[address])

    def _results(self, calls: List[Any], patience_s: float) -> List[Any]:
        """What these calls give; the first error is raised."""
        # All of it at once, and once: on a long way each fetching takes its time.
        return self._awaited(self._fetched(calls), patience_s)

    async def _fetched(self, calls: List[Any]) -> List[Any]:
        found: List[Any] = await self.client.gather(calls, asynchronous=True)
        return found

    async def _used(self) -> List[Tuple[dask_worker.RanThere, Usage]]:
        return list((await self.client.run(eval, *call("usage"), asynchronous=True)).values())

    def _awaited(self, coming: Coroutine[Any, Any, List[_T]], patience_s: float) -> List[_T]:
        """What the client's own thread gets of the cluster; Failure if that goes meanwhile, or takes too long."""
        future = asyncio.run_coroutine_threadsafe(coming, self.client.loop.asyncio_loop)
        end_ns, watch = monotonic_ns() + round(patience_s * 1e9), _Watch(self)
        while wait([future], _WAIT_S).not_done:
            watch.look()
            if monotonic_ns() > end_ns:
                raise Failure(
                    "setup",
                    f"the workers of the Dask cluster did not answer within {patience_s:g} s: they may be busy with "
                    "the tasks of another program",
                )
        return future.result()

    def _check_addresses(self) -> None:
        """Failure if a worker on another host was not there when the cluster was looked at: it may not be allowed."""
        found = self._cluster.workers
        if found is None:
            return
        for address in self._threads:
            if address not in found and not dask_client.is_ours(address):
                raise Failure(
                    "worker",
                    f"the worker {address} came to the Dask cluster after it was looked at, and is on another host: "
                    "nothing was sent there; measure a cluster that stays as it is",
                )

    def _check_threads(self) -> None:
        if self.threads != self._cluster.threads:
            raise Failure(
                "worker",
                f"the Dask cluster has {self.threads} threads, and had {self._cluster.threads} when it was looked at: "
                "workers came or went; measure one that stays as it is",
            )

    def _check_workers(self) -> None:
        """Failure if a worker came or went: what it held was done again elsewhere, which no figure tells."""
        try:
            now = self.client.sync(self.client.scheduler.ncores, callback_timeout=_ANSWER_NS / 1e9)
        except Exception as error:
            raise self.lost_scheduler() from error
        self.compare(now)

    def compare(self, now: Dict[str, int]) -> None:
        """Failure if these are not the workers that got ready."""
        gone, come = sorted(set(self._threads) - set(now)), sorted(set(now) - set(self._threads))
        if gone:
            raise Failure("worker", _went(gone, len(now)))
        if come:
            raise Failure(
                "worker", f"a worker joined the Dask cluster ({come[0]}): measure one that stays as it is", come[0]
            )

    def lost_scheduler(self) -> Failure:
        """That the scheduler is gone."""
        return Failure(
            "worker",
            f"the scheduler at {self._cluster.address} does not answer any more: it ended, or the network failed",
        )

    def failure(self, under_way: List[int], error: BaseException) -> Failure:
        """Why a call came to nothing, of what its future raises."""
        if isinstance(error, Failure):
            return error
        name = type(error).__name__
        if is_missing(error):
            return Failure("worker", "a worker came to the Dask cluster anew, in the place of one that died or left")
        if name == "KilledWorker":
            return Failure("worker", f"workers of the Dask cluster died in the midst of a task: {_line(error)}")
        if self.client.status != "running" or name in ("CancelledError", "FutureCancelledError", "CommClosedError"):
            return self.lost_scheduler()
        if _REFUSED in str(error):
            return Failure(
                "setup",
                "the Dask scheduler cannot unpickle an item, as it does with each: the module of its class is not "
                "there: send it with --cluster-upload FILE, install it there, or hand over plain data",
            )
        if isinstance(error, (TimeoutError, OSError)):
            return Failure("worker", f"the Dask cluster does not answer: {name}: {_line(error)}")
        return crossing_failure(self._task, under_way, error)


class _Call(NamedTuple):
    """Tasks that were handed over together."""

    place: int
    indices: List[int]
    submitted_ns: int


class _Watch:
    """Looks at the cluster from time to time, while its client's own thread waits for the answer."""

    def __init__(self, engine: DaskCluster) -> None:
        self._engine = engine
        self._asked_ns = monotonic_ns()
        self._answer: Any = None

    def look(self) -> None:
        """Failure if the scheduler or a worker is gone."""
        engine = self._engine
        if engine.client.status != "running":
            raise engine.lost_scheduler()
        now_ns = monotonic_ns()
        if self._answer is None:
            if now_ns >= self._asked_ns + _LOOK_NS:
                self._answer, self._asked_ns = engine.ask(), now_ns
        elif self._answer.done():
            answer, self._answer = self._answer, None
            if answer.exception() is None:
                engine.compare(answer.result())
        elif now_ns >= self._asked_ns + _ANSWER_NS:
            raise engine.lost_scheduler()


class _Block:
    """One block, as the thread that dispatches it sees it."""

    def __init__(self, engine: DaskCluster, sampler: Sampler) -> None:
        self._engine = engine
        self._sampler = sampler
        # None is to wait for a worker that a rate lets begin.
        self._chunk = 1 if sampler.is_paced else engine.chunk
        calls = min(engine.slots, engine.threads) if sampler.is_paced else engine.slots // self._chunk
        self._free = list(range(calls))
        self._lanes = [sampler.lane(slot, 0) for slot in range(calls * self._chunk)]
        self._under_way: Dict[str, _Call] = {}
        self._running = engine.as_completed()
        self._watch = _Watch(engine)

    def run(self) -> None:
        """Runs it."""
        while True:
            ask_ns = self._fill()
            if self._under_way:
                self._take(ask_ns)
            elif ask_ns:
                sleep(max(ask_ns - monotonic_ns(), 0) / 1e9)
            else:
                return

    def _fill(self) -> int:
        """Submits as much as there is room for; when to ask for more, or 0."""
        sampler, free = self._sampler, self._free
        while free:
            index, ask_ns = sampler.poll()
            if index is None:
                return ask_ns
            indices = [index]
            if self._chunk > 1:
                indices += islice(iter(sampler.next, None), self._chunk - 1)
            submitted_ns = monotonic_ns()
            future = self._engine.submit(indices)
            self._under_way[future.key] = _Call(free.pop(), indices, submitted_ns)
            self._running.add(future)
        return 0

    def _take(self, ask_ns: int) -> None:
        """Waits for a result, until it is time to ask for a task, and records what came."""
        running = self._running
        self._watch.look()
        if not running.has_ready():
            wait_s = min(_WAIT_S, max(ask_ns - monotonic_ns(), 0) / 1e9) if ask_ns else _WAIT_S
            with running.thread_condition:
                running.thread_condition.wait(wait_s)
            if not running.has_ready():
                return
        future, result = next(running)
        now_ns = monotonic_ns()
        call = self._under_way.pop(future.key)
        # (The future of one that came back is `lost` if its worker then dies.)
        if not isinstance(result, dask_worker.RanThere):
            raise self._engine.failure(call.indices, result[1] if isinstance(result, tuple) else result)
        future.release()
        self._record(call, result, now_ns)
        self._free.append(call.place)

    def _record(self, call: _Call, there: dask_worker.RanThere, now_ns: int) -> None:
        self._engine.note_cpu(there)
        received = self._engine.received
        slot = call.place * self._chunk
        for index, (service_ns, checksum, result) in zip(call.indices, there.ran):
            lane = self._lanes[slot]
            slot += 1
            # The worker has a clock of its own: only how long it took crosses.
            begin_ns = max(now_ns - service_ns, call.submitted_ns)
            lane.begun_at(begin_ns)
            lane.end(index, call.submitted_ns, begin_ns, now_ns, (checksum + received(result), result))


def _quietly(call: Callable[..., object], *given: object, **named: object) -> None:
    """Calls what a cluster that is gone lets fail."""
    with suppress(Exception):
        call(*given, **named)


def _went(gone: List[str], left: int) -> str:
    which = f"the worker {gone[0]}" if len(gone) == 1 else f"{len(gone)} workers ({gone[0]}, ..)"
    end = "" if left else ", and none is left"
    return f"{which} died, or left the Dask cluster, in the midst of the work{end}"


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _upload(client: Any, workers: Iterable[str], files: List[str]) -> None:
    """Sends the workers those of these files that they lack; Failure if one cannot be read."""
    if not files:
        return
    digests = {}
    for path in files:
        try:
            with open(path, "rb") as file:
                digests[path] = hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            raise Failure(
                "setup", f"cannot read {path}, which is to be sent to the workers: {error.strerror}"
            ) from error
    missing = {name for lacking in run(client, workers, "lacks", digests).values() for name in lacking}
    for path in files:
        if path in missing:
            _send(client, path)
    run(client, workers, "note_uploaded", digests)


def _send(client: Any, path: str) -> None:
    try:
        client.upload_file(path)
    except Exception as error:
        # A module is imported where it comes, by the workers and the scheduler.
        raise Failure(
            "setup", f"cannot send {path} to the Dask cluster: it raised {type(error).__name__} there: {_line(error)}"
        ) from error
