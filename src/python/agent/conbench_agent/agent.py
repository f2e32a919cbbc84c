"""The agent's life: `hello`, then a reply to each request until `bye`, a failure, or the end of the requests."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Dict, List, Optional

from . import engines, exits, library_threads, standing
from .protocol import PROTOCOL, Bye, Calibrate, Channel, Cluster, Failure, Go, Job, Probe, Reference, parse

if TYPE_CHECKING:
    from .engines.dask_local import LocalCluster
    from .running import Running


def main(arguments: List[str]) -> None:
    """`main.py` is an agent; `main.py hello` only prints what an agent says of itself; `main.py parent` forks them."""
    if arguments == ["hello"]:
        _compile_what_is_ours()
        sys.stdout.write(json.dumps({"hello": hello()}) + "\n")
        return
    _open_standard_streams()
    standing.tell_when_asked()
    greeting: Optional[Dict[str, object]] = None
    if arguments == ["parent"]:
        from . import parent

        # No life is to see it among its arguments, nor to hand it on to the processes that it starts.
        del sys.argv[1:]
        del getattr(sys, "orig_argv", [None])[-1]
        _flush_standard_streams()
        # Returns in a life alone, at the place where it would be if it had begun here.
        greeting = parent.serve(hello)
    try:
        channel = Channel()
    except OSError as error:
        sys.stderr.write(f"this is conbench's agent for Python, which conbench starts: {error}\n")
        sys.exit(2)
    agent = Agent()
    status, is_over = 1, False
    try:
        status = agent.serve(channel, greeting or hello())
        is_over = True
    except OSError as error:
        sys.stderr.write(f"the agent lost its controller: {error}\n")
    finally:
        agent.abandon()
        if is_over:
            exits.run(status)
        # Threads that a task left behind must not keep the process alive.
        os._exit(status)


def hello() -> Dict[str, object]:
    """What an agent says of itself. Nothing that only some candidates need is imported for it."""
    offered, absent = engines.offers()
    return {
        "protocol": PROTOCOL,
        "language": "python",
        "version": sys.version.split()[0],
        "implementation": {"cpython": "CPython"}.get(sys.implementation.name, sys.implementation.name),
        "executable": sys.executable,
        "gil": gil(),
        "free_threaded": "t" in sys.abiflags,
        "clock_resolution_ns": max(round(time.get_clock_info("monotonic").resolution * 1e9), 1),
        "clock_cost_ns": _clock_cost_ns(),
        "engines": offered,
        "absent": absent,
        "start_methods": engines.start_methods(),
        "event_loops": engines.event_loops(),
    }


def gil() -> bool:
    """Whether a global interpreter lock is in force now: an import can turn it on where it was off."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Agent:
    """Answers requests."""

    def __init__(self) -> None:
        """Holds no candidate yet, and no cluster."""
        self._candidate: Optional[Running] = None
        self._cluster: Optional[LocalCluster] = None

    def serve(self, channel: Channel, greeting: Dict[str, object]) -> int:
        """Says hello, answers until the end, and gives the exit status. OSError if the channel is gone."""
        channel.send({"hello": greeting})
        _import_what_is_ours()
        while line := channel.receive():
            received_ns = time.monotonic_ns()
            try:
                reply = self.answer(line, received_ns)
            except BaseException as error:
                reply = Failure.of(error).to_frame()
            _flush_standard_streams()
            channel.send(reply)
            if "bye" in reply or "failed" in reply:
                return int("failed" in reply)
        return 0

    def answer(self, line: bytes, received_ns: int) -> Dict[str, object]:
        """The reply to one request."""
        from .running import Running

        request = parse(line)
        if isinstance(request, (Job, Reference)):
            job = request if isinstance(request, Job) else request.job
            # Before anything of the user's is imported.
            library_threads.limit(job.candidate.library_threads)
            engines.before_imports(job)
        if isinstance(request, Job):
            self._candidate = Running(request)
            return {"ready": self._candidate.first_tasks(received_ns)}
        if isinstance(request, Go):
            if self._candidate is None:
                raise Failure("protocol", "the agent does not understand a request: `go` came before `job`")
            return {"block": self._candidate.block(request)}
        if isinstance(request, Bye):
            candidate, self._candidate = self._candidate, None
            body = {"teardown_ns": 0, "left_behind": []} if candidate is None else candidate.close(received_ns)
            self._end_cluster()
            return {"bye": body}
        if isinstance(request, Probe):
            from .engines import own_probe

            return {"probed": own_probe.probe(request)}
        if isinstance(request, Cluster):
            return {"cluster": self._find_cluster(request)}
        from . import calibrate

        if isinstance(request, Calibrate):
            return {"calibrated": calibrate.calibrate(request)}
        assert isinstance(request, Reference)
        return {"reference": calibrate.reference(request)}

    def abandon(self) -> None:
        """Ends what a candidate that was not closed still runs, and a cluster."""
        if self._candidate is not None:
            self._candidate.abandon()
        self._end_cluster()

    def _end_cluster(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.close()

    def _find_cluster(self, request: Cluster) -> Dict[str, object]:
        """The body of `cluster`; one that was started for it stays."""
        from .engines import dask_survey

        if request.address is not None:
            return dask_survey.survey(request, request.address)
        from .engines.dask_local import LocalCluster

        self._cluster = LocalCluster(request.workers, request.directory)
        body = dask_survey.survey(request, self._cluster.address)
        return {**body, "start_ns": self._cluster.start_ns}


def _import_what_is_ours() -> None:
    """Imports what no user's program has.

    Not before `hello`, which is awaited; not after `job`, whose start-up is measured.
    Nothing here may import a module of the standard library that a tool needs (multiprocessing, concurrent.futures,
    asyncio): that is a part of the tool's start-up, in the user's program as here.
    """
    from . import running, worker  # noqa: F401
    from .engines import base  # noqa: F401
    from .steps import user  # noqa: F401
    from .user import caller

    caller.warm_up()


def _compile_what_is_ours() -> None:
    """Keeps the agent's modules compiled where the environment has Python write nothing beside sources.

    Else each agent compiles them anew, and its start-up is that of conbench.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    if not sys.dont_write_bytecode or os.path.exists(importlib.util.cache_from_source(__file__)):
        return
    from compileall import compile_dir

    # Where that cannot be written, agents start slower, and run all the same.
    with suppress(OSError):
        compile_dir(folder, quiet=2)


def _clock_cost_ns() -> float:
    """What one reading of the clock costs: the best of many runs."""
    readings = 1000
    clock = time.monotonic_ns
    best = float("inf")
    for _ in range(20):
        start_ns = clock()
        for _ in range(readings):
            clock()
        best = min(best, (clock() - start_ns) / readings)
    return best


def _open_standard_streams() -> None:
    """Opens /dev/null where a standard stream is closed, so that no file or pipe gets a number below 3."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != fd:
                os.dup2(null, fd)
                os.close(null)


def _flush_standard_streams() -> None:
    """Lets out what the user's code printed: the process ends without the interpreter's own last flush."""
    for stream in (sys.stdout, sys.stderr):
        # There may be none; the user's code may have closed it, or put anything in its place.
        with suppress(Exception):
            stream.flush()
