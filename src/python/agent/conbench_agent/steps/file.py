"""`file`: one file operation in the session's own directory.

Its async form is the blocking form on the loop: Python has no asynchronous file I/O, only threads that do it,
and those are engines of their own here.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Callable, Dict, List, Optional

from ..protocol import Failure, Job, StepJob
from ..task import VARIANTS, Done, Step, digest, pattern
from . import Place, label
from .kernels import input_seed

#: Written files never exceed this together, unless that many are in flight at once.
WRITTEN_BYTES = 256 << 20
#: Nor are there more of them, unless that many tasks are in flight at once.
WRITTEN_FILES = 4096


class FileStep(Step):
    """Reads one of 16 files whole, writes a file whole, or appends to a log that all tasks share.

    After each block, what was written is removed and the log is emptied, so that every block of every candidate
    begins with the same directory.
    """

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        del place  # Files are shared by all who know their names.
        self._where = label(number, step_job)
        self._size_bytes: int = step_job.step["size_bytes"]
        self._fsync: bool = step_job.step["fsync"]
        self._operation: str = step_job.step["operation"]
        operations: Dict[str, Callable[[int], int]] = {
            "read": self._read,
            "write": self._write,
            "append": self._append,
        }
        self._operate = operations[self._operation]
        self._seeds = [input_seed(job.seed, number, variant) for variant in range(VARIANTS)]
        self._contents: List[Optional[bytes]] = [None] * VARIANTS
        # How many files are written in turn: as many as are in flight at least, so that none is shared.
        bounded = min(max(WRITTEN_BYTES // max(self._size_bytes, 1), 1), WRITTEN_FILES)
        self._files = max(bounded, job.load.max_in_flight)
        if job.directory is None:
            raise Failure("setup", "the job names no directory for files", self._where)
        self._directory = os.path.join(job.directory, f"step-{number}")
        try:
            os.makedirs(self._directory, exist_ok=True)
        except OSError as error:
            raise self._failed("make the directory", self._directory, error, kind="setup") from error
        self._read_paths = [f"{self._directory}/read-{seed:016x}-{self._size_bytes}" for seed in self._seeds]
        self._log_path = f"{self._directory}/log"
        self._log: Optional[int] = None
        self._opening = threading.Lock()

    def blocking(self, index: int, item: object) -> Done:
        """Reads, writes or appends."""
        return self._operate(index), None

    def reference(self, index: int, item: object) -> int:
        """Its checksum, without a file."""
        variant = index % VARIANTS
        return digest(self._pattern(variant)) if self._operation == "read" else self._seeds[variant]

    def prepare(self, index: Optional[int]) -> None:
        """Makes the files to read, or what is written."""
        for variant in range(VARIANTS) if index is None else [index % VARIANTS]:
            if self._operation != "read":
                self._content(variant)
            elif not os.path.exists(self._read_paths[variant]):
                # The task that reads it tries again, and fails with the reason.
                with contextlib.suppress(OSError):
                    self._make(variant)

    def settle(self) -> None:
        """Removes what was written, and lets the writeback end."""
        # A directory that is gone, a disk that does not answer: the next task fails too, and says so.
        with contextlib.suppress(OSError):
            self._clear()

    def close(self) -> None:
        """Closes the log."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _read(self, index: int) -> int:
        variant = index % VARIANTS
        path = self._read_paths[variant]
        try:
            try:
                content = _read_whole(path)
            except FileNotFoundError:
                self._make(variant)
                content = _read_whole(path)
        except OSError as error:
            raise self._failed("read", path, error) from error
        return digest(content)

    def _make(self, variant: int) -> None:
        """Makes a file to read. Whoever is first in any process makes it; a rename shows it only whole."""
        # A thread makes one file at a time, and no two threads of the machine share their number.
        whole = f"{self._directory}/new-{threading.get_native_id()}"
        with open(whole, "wb") as file:
            file.write(self._pattern(variant))
        os.rename(whole, self._read_paths[variant])

    def _write(self, index: int) -> int:
        variant = index % VARIANTS
        path = f"{self._directory}/w-{index % self._files}"
        try:
            with open(path, "wb") as file:
                file.write(self._content(variant))
                if self._fsync:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise self._failed("write", path, error) from error
        # Written bytes are the same in every task of a variant: their seed stands for them.
        return self._seeds[variant]

    def _append(self, index: int) -> int:
        variant = index % VARIANTS
        content = self._content(variant)
        try:
            log = self._open_log() if self._log is None else self._log
            written = os.write(log, content)
            while written < len(content):
                written += os.write(log, content[written:])
            if self._fsync:
                os.fdatasync(log)
        except OSError as error:
            raise self._failed("append to", self._log_path, error) from error
        return self._seeds[variant]

    def _open_log(self) -> int:
        with self._opening:
            if self._log is None:
                self._log = os.open(self._log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            return self._log

    def _content(self, variant: int) -> bytes:
        content = self._contents[variant]
        if content is None:
            content = self._contents[variant] = self._pattern(variant)
        return content

    def _pattern(self, variant: int) -> bytes:
        return pattern(self._size_bytes, self._seeds[variant])

    def _clear(self) -> None:
        if self._operation == "read":
            return
        if self._operation == "append":
            # Writers in other processes append: they go on from the new end.
            open(self._log_path, "wb").close()
        else:
            for entry in os.scandir(self._directory):
                os.unlink(entry.path)
        _sync_file_system(self._directory)

    def _failed(self, what: str, path: str, error: OSError, kind: str = "task") -> Failure:
        return Failure(kind, f"cannot {what} {path}: {error.strerror or error}", self._where)


def _read_whole(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _sync_file_system(path: str) -> None:
    """Waits until what was written to the file system of `path` is on its device."""
    try:
        import ctypes

        syncfs = ctypes.CDLL(None).syncfs
    except (ImportError, AttributeError):
        os.sync()
        return
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(directory)
    finally:
        os.close(directory)
