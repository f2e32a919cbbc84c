"""An agent that is driven frame by frame, and steps made for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

AGENT = Path(__file__).resolve().parents[2] / "src" / "python" / "agent" / "main.py"
STEPS = Path(__file__).resolve().parent / "fake_steps.py"


def job(steps: List[Dict[str, Any]], engine: str = "sequential", **fields: Any) -> Dict[str, Any]:
    """A job as JSON has it; `fields` replace its own."""
    sizes = fields.pop("sizes", {})
    return {
        "candidate": {"runtime": "python", "engine": engine, "sizes": sizes},
        "load": {"mode": "closed", "max_in_flight": 64},
        "payload": {"input_bytes": 0, "output_bytes": 0},
        "steps": [{"step": step, "iterations": 1, "draws": []} for step in steps],
        "seed": 1,
        "task_timeout_ns": 30_000_000_000,
        **fields,
    }


def _group(group: int) -> List[int]:
    """The processes of a group that run, but for those that remove what others leave."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        # What ends meanwhile is none. What has ended has no words.
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if words and b"resource_tracker" not in words and os.getpgid(pid) == group:
                found.append(pid)
    return found


class AgentProcess:
    """An agent in a process of its own. `with` it, and what it left is killed at the end."""

    def __init__(self, *arguments: str, main: Path = AGENT, **options: Any) -> None:
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()

        # Runs in the child alone: the agent's descriptors are 3 and 4, whatever numbers the pipes have here.
        def place_descriptors() -> None:
            low, high = os.dup(requests), os.dup(replies)
            while low <= 4:
                low = os.dup(low)
            while high <= 4:
                high = os.dup(high)
            os.dup2(low, 3)
            os.dup2(high, 4)

        # An agent that is killed removes nothing.
        self._place = TemporaryDirectory()
        self.process = subprocess.Popen(
            [sys.executable, str(main), *arguments],
            env=options.pop("env", None) or {**os.environ, "TMPDIR": self._place.name},
            preexec_fn=place_descriptors,
            close_fds=False,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        os.close(requests)
        os.close(replies)
        self._lines = open(self._replies, "rb")  # noqa: SIM115

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        os.close(self._requests)
        self._lines.close()
        # What tasks left behind is killed too, with what that begins meanwhile. What removes their semaphores ends by
        # itself then.
        while group := _group(self.process.pid):
            for pid in group:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        # What was killed just now may still end.
        with suppress(OSError):
            self._place.cleanup()

    def receive(self) -> Dict[str, Any]:
        """The next reply; empty at the end of the replies."""
        line = self._lines.readline()
        frame: Dict[str, Any] = json.loads(line) if line else {}
        return frame

    def begin(self, name: str, body: Any) -> None:
        """Sends a request, and awaits no reply."""
        os.write(self._requests, json.dumps({name: body}).encode() + b"\n")

    def send(self, name: str, body: Any) -> Dict[str, Any]:
        """The reply to a request; empty at the end of the replies."""
        self.begin(name, body)
        return self.receive()

    def ask(self, name: str, body: Any) -> Any:
        """The body of the reply to a request, or the whole frame of a failure."""
        frame = self.send(name, body)
        if "failed" in frame:
            return frame
        [answer] = frame.values()
        return answer

    def end(self) -> int:
        """Waits until the agent ended: its exit status."""
        return self.process.wait(30)
