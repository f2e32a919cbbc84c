"""`command`: a program run without a shell."""

from __future__ import annotations

import contextlib
import subprocess
from typing import List

from ..protocol import Failure, Job, StepJob
from ..task import Done, Step
from . import Place, label
from .stage import checksum


class CommandStep(Step):
    """Starts the program, waits for its end and compares its exit status.

    Its input and output are empty; what it writes to standard error reaches the agent's.
    """

    is_async = True

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        del job, place  # Nothing is shared, and nothing depends on the seed.
        self._where = label(number, step_job)
        self._argv: List[str] = step_job.step["argv"]
        self._expected: int = step_job.step["expect_status"]
        self._done: Done = checksum(number), None
        if not self._argv:
            raise Failure("setup", "`argv` is empty", self._where)

    def blocking(self, index: int, item: object) -> Done:
        """Runs the program with `subprocess`."""
        try:
            status = subprocess.call(self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except (OSError, ValueError) as error:
            raise self._cannot_run(error) from error
        return self._judge(status)

    async def asynchronous(self, index: int, item: object) -> Done:
        """Runs the program with asyncio's subprocess."""
        # asyncio takes long to import, and only event loops need it; they have imported it.
        import asyncio

        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        except (OSError, ValueError) as error:
            raise self._cannot_run(error) from error
        try:
            return self._judge(await process.wait())
        finally:
            if process.returncode is None:  # The task was cancelled.
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def reference(self, index: int, item: object) -> int:
        """Its checksum, without a program."""
        return self._done[0]

    def _judge(self, status: int) -> Done:
        if status == self._expected:
            return self._done
        program = self._argv[0]
        if status < 0:
            raise Failure("task", f"`{program}` was ended by signal {-status}", self._where)
        raise Failure(
            "task",
            f"`{program}` ended with exit status {status}, expected {self._expected}; check argv or expect_status",
            self._where,
        )

    def _cannot_run(self, error: Exception) -> Failure:
        if isinstance(error, FileNotFoundError):
            why = "not found; check argv[0] or PATH"
        elif isinstance(error, PermissionError):
            why = "permission denied; check that it is executable"
        else:
            why = str(error)
        return Failure("task", f"cannot run `{self._argv[0]}`: {why}", self._where)
