"""A Dask cluster on this host, in a process of its own that keeps it until it is told to end, or its agent is gone.

The scheduler is not in the agent, whose client would share an interpreter's lock with it: the clients of candidates do
not either.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from inspect import signature
from time import monotonic_ns
from typing import Any, Dict

from .. import leftovers, meter
from ..protocol import Failure
from . import dask_client

#: How long a cluster may take to start, and to end.
_START_S, _END_S = 60.0, 5.0
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from {module} import keep; keep(int(sys.argv[2]), sys.argv[3])"


class LocalCluster:
    """The agent's end."""

    def __init__(self, workers: int, directory: str) -> None:
        """Starts it with so many workers, of a thread each; Failure says why it cannot be."""
        # What is missing is told here, in the words of the agent.
        dask_client.load()
        begun_ns = monotonic_ns()
        self._folder = os.path.join(directory, f"dask-{os.getpid()}")
        self._control, keepers = socket.socketpair()
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        asked = json.dumps({"workers": workers, "folder": self._folder})
        with keepers:
            self._keeper = subprocess.Popen(
                [sys.executable, "-c", _CODE.format(module=__name__), top, str(keepers.fileno()), asked],
                pass_fds=[keepers.fileno()],
                stdin=subprocess.DEVNULL,
            )
        try:
            told = self._told()
        except BaseException:
            self.close()
            raise
        #: Where its scheduler listens.
        self.address: str = told["address"]
        #: How long it took to start (ns).
        self.start_ns = monotonic_ns() - begun_ns

    def close(self) -> None:
        """Ends it, with all that it left."""
        # It may have ended by itself.
        with suppress(OSError):
            self._control.sendall(b"bye")
        try:
            self._keeper.wait(_END_S)
        except subprocess.TimeoutExpired:
            for pid in meter.below(self._keeper.pid):
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._keeper.kill()
            self._keeper.wait()
        self._control.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _told(self) -> Dict[str, Any]:
        self._control.settimeout(_START_S)
        try:
            with self._control.makefile("r", encoding="utf-8") as lines:
                line = lines.readline()
        except OSError:
            raise Failure("setup", f"the local Dask cluster did not start within {_START_S:g} s") from None
        told: Dict[str, Any] = json.loads(line) if line else {"failed": "its process ended"}
        if "failed" in told:
            raise Failure("setup", f"the local Dask cluster cannot be started: {told['failed']}")
        return told


def keep(descriptor: int, asked: str) -> None:
    """The life of the process that keeps the cluster. `descriptor` is its end of the agent's line."""
    line = socket.socket(fileno=descriptor)
    # A worker that held it, too, would hide that the agent is gone.
    line.set_inheritable(False)
    workers, folder = json.loads(asked)["workers"], json.loads(asked)["folder"]
    threading.Thread(target=_watch, args=(line, folder), name="conbench-watch", daemon=True).start()
    try:
        cluster = _start(workers, folder)
        _tell(line, {"address": cluster.scheduler_address})
    except BaseException as error:
        _tell(line, {"failed": f"{type(error).__name__}: {error}"})
        _end(1, folder)
    _asked_to_end.wait()
    closing = threading.Thread(target=_close, args=(cluster,), daemon=True)
    closing.start()
    closing.join(_END_S / 2)
    _end(0, folder)


def _start(workers: int, folder: str) -> Any:
    package = dask_client.load()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # Where the scheduler keeps files that it is sent; by default, beside those of whoever started it.
    import_module("dask").config.set({"temporary-directory": folder})
    # Its HTTP server would take the port of a dashboard that the user has. Old versions cannot be told.
    options = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    knows = "scheduler_kwargs" in signature(package.LocalCluster).parameters
    return package.LocalCluster(
        **({"scheduler_kwargs": options} if knows else {}),
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        worker_dashboard_address=None,
        host="127.0.0.1",
        scheduler_port=0,
        local_directory=folder,
        silence_logs=logging.CRITICAL,
        memory_limit=0,
    )


def _close(cluster: Any) -> None:
    # A worker may be gone.
    with suppress(Exception):
        cluster.close(timeout=_END_S / 2)


_asked_to_end = threading.Event()


def _watch(line: socket.socket, folder: str) -> None:
    """Waits for the agent's word, or its end: then nothing is waited for any more."""
    if line.recv(16):
        _asked_to_end.set()
        return
    _end(1, folder)


def _end(status: int, folder: str) -> None:
    """Ends this process and what it started, but for what gives back names in the system when it sees them gone."""
    for pid in meter.below(os.getpid(), leftovers.helpers()):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    # An agent that was killed does not do it.
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(status)


def _tell(line: socket.socket, told: Dict[str, object]) -> None:
    with suppress(OSError):
        line.sendall(json.dumps(told).encode() + b"\n")
