"""What a worker process of an executor of the user's runs: the task, made when the first call comes.

No initializer can be given to a foreign executor, and its workers share nothing with the agent. So each call names the
folder in which the agent left the job, and a worker that does not know it yet takes it from there.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from contextlib import suppress
from itertools import count
from typing import NamedTuple, Optional, Tuple

from .. import worker
from ..protocol import Failure, Job
from .gathering import attend

#: What comes back of a task: the process that ran it, how many it has run so far, and what its worker tells of it.
Ran = Tuple[int, int, worker.RanInSlot]

_JOB, _SLOTS = "job", "slots"


class Office(NamedTuple):
    """The folder in which workers find what they need."""

    folder: str

    def open(self, job: Job, address: str) -> None:
        """Leaves the job there, and where tasks gather; called by the agent."""
        os.makedirs(self.folder, mode=0o700)
        with open(os.path.join(self.folder, _JOB), "w", encoding="utf-8") as file:
            json.dump({"job": job.text(), "address": address}, file)

    def close(self) -> None:
        """Removes it; called by the agent."""
        with suppress(OSError):
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
            os.rmdir(self.folder)

    def hiring(self) -> worker.Hiring:
        """What a worker is told at its start; called by it."""
        with open(os.path.join(self.folder, _JOB), encoding="utf-8") as file:
            told = json.load(file)
        return worker.Hiring(Job.parse(told["job"]), self, Attending(told["address"]), None, is_foreign=True)

    def claim(self) -> int:
        """A number that no other worker has."""
        with open(os.path.join(self.folder, _SLOTS), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b".")
            return file.tell() - 1


class Attending(NamedTuple):
    """Where workers wait for each other."""

    address: str

    def wait(self) -> None:
        """Returns when the agent has seen all of them."""
        attend(self.address)


_joined: Optional[str] = None
_joining = threading.Lock()
_ran = count(1)


def run(folder: str, index: int, given: object) -> Ran:
    """Runs a task."""
    _join(folder)
    ran = worker.run(index, given)
    return os.getpid(), next(_ran), ran


def get_ready(folder: str, index: Optional[int]) -> None:
    """Makes ahead what task `index` needs, or all tasks; called in each worker, which wait for each other."""
    _join(folder)
    worker.get_ready(index)


def leave(folder: str) -> Optional[Failure]:
    """Tears down what the user's code set up; called in each worker, which wait for each other."""
    _join(folder)
    return worker.leave()


def _join(folder: str) -> None:
    global _joined
    if _joined == folder:
        return
    with _joining:
        if _joined != folder:
            worker.start(Office(folder).hiring())
            _joined = folder
