"""What a worker process of an executor of the user's runs: the task, made when the first call comes.

No initializer can be given to a foreign executor, and its workers share nothing with the agent. So each call names the
folder in which the agent left the job, and a worker that does not know it yet takes it from there.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import threading
from array import array
from contextlib import suppress
from itertools import count
from typing import NamedTuple, Optional

from .. import worker
from ..protocol import Failure, Job
from .gathering import attend

_JOB, _SLOTS, _COUNTS, _PLACES = "job", "slots", "counts", "places"
#: So many processes count the tasks that they begin, each in its own place. What further ones begin is not counted.
_MOST = 4096


class Office(NamedTuple):
    """The folder in which workers find what they need."""

    folder: str

    def open(self, job: Job, address: str) -> None:
        """Leaves the job there, and where tasks gather; called by the agent."""
        os.makedirs(self.folder, mode=0o700)
        with open(os.path.join(self.folder, _JOB), "w", encoding="utf-8") as file:
            json.dump({"job": job.text(), "address": address}, file)
        with open(os.path.join(self.folder, _COUNTS), "wb") as counts:
            counts.truncate(_MOST * array("q").itemsize)

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
        return self._number(_SLOTS)

    def counter(self) -> memoryview:
        """Where this process counts the tasks that it begins; called by a worker."""
        place = self._number(_PLACES)
        if place >= _MOST:
            return memoryview(array("q", [0]))
        with open(os.path.join(self.folder, _COUNTS), "r+b") as file:
            return memoryview(mmap.mmap(file.fileno(), 0)).cast("q")[place : place + 1]

    def begun(self) -> int:
        """How many tasks all workers began, those too of which nothing came back; called by the agent."""
        counts = array("q")
        with open(os.path.join(self.folder, _COUNTS), "rb") as file:
            counts.frombytes(file.read())
        return sum(counts)

    def _number(self, name: str) -> int:
        # Unbuffered: a buffer would tell the place where the file ended when it was opened, before the lock.
        with open(os.path.join(self.folder, name), "ab", buffering=0) as file:
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
_numbers = count(1)
_begun = memoryview(array("q", [0]))


def run(folder: str, index: int, given: object) -> worker.RanInSlot:
    """Runs a task."""
    _join(folder)
    _begun[0] = next(_numbers)
    return worker.run(index, given)


def get_ready(folder: str, index: Optional[int]) -> None:
    """Makes ahead what task `index` needs, or all tasks; called in each worker, which wait for each other."""
    _join(folder)
    worker.get_ready(index)


def leave(folder: str) -> Optional[Failure]:
    """Tears down what the user's code set up; called in each worker, which wait for each other."""
    _join(folder)
    return worker.leave()


def _join(folder: str) -> None:
    global _joined, _numbers, _begun
    if _joined == folder:
        return
    with _joining:
        if _joined != folder:
            office = Office(folder)
            worker.start(office.hiring())
            _numbers, _begun = count(1), office.counter()
            _joined = folder
