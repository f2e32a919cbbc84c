"""What a program leaves running when its main part is done. Each program is an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import List, NamedTuple

from ..registry import Both, pitfall
from ..timing import seconds

#: No program lives longer, in seconds.
_PATIENCE_S = 10

#: Starts a thread and a process that work for 0.15 s, and says at its end which of them are alive.
_LEAVING = """
import json, multiprocessing, sys, threading, time

def alive():
    try:
        with open(f"/proc/{process.pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        state = "gone"
    processes = [] if state in ("Z", "gone") else [f"process {process.pid}"]
    return processes + [f"thread {thread.name!r}"] * thread.is_alive()

process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0.15,))
process.start()
thread = threading.Thread(target=time.sleep, args=(0.15,), name="worker")
thread.start()
if "join" in sys.argv:
    process.join()
    thread.join()
print(json.dumps(alive()), flush=True)
"""

#: The main part is done while the thread still works on the second half of its twenty lines.
_WRITING = """
import os, sys, threading, time

def write():
    os.write(1, b"line\\n" * 10)
    half.set()
    time.sleep(0.3)
    os.write(1, b"line\\n" * 10)

half = threading.Event()
threading.Thread(target=write, daemon="daemon" in sys.argv).start()
half.wait()
"""


class Left(NamedTuple):
    """What a program left running at the end of its main part."""

    #: The threads and processes that were alive then.
    alive: List[str]
    #: How long the program lived on, in seconds.
    lived_on_s: float


def leave(join: bool) -> Left:
    """Runs the program that starts a thread and a process."""
    arguments = [sys.executable, "-I", "-c", _LEAVING, *(["join"] if join else [])]
    with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            alive = json.loads(program.stdout.readline())
            lived_on_s = seconds(lambda: program.wait(_PATIENCE_S))
        finally:
            program.kill()
    return Left(alive, lived_on_s)


@pitfall("forgotten-join")
def forgotten_join() -> Both:
    """Threads and processes that nobody waits for."""
    forgotten, joined = leave(join=False), leave(join=True)
    shown = (
        f"alive when the main part is done: {', '.join(forgotten.alive) or 'nothing'}\n"
        f"the interpreter waits for them and ends {forgotten.lived_on_s * 1e3:.0f} ms later; "
        f"with join {joined.lived_on_s * 1e3:.0f} ms later"
    )
    return Both(len(forgotten.alive), len(joined.alive), shown)


def lines_written(daemon: bool) -> int:
    """How many of its twenty lines a thread writes before its program has ended."""
    arguments = [sys.executable, "-I", "-c", _WRITING, *(["daemon"] if daemon else [])]
    program = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_PATIENCE_S, check=True
    )
    return program.stdout.count(b"\n")


@pitfall("daemon-thread")
def daemon_thread() -> Both:
    """A daemon thread ends in the middle of its work."""
    return Both(lines_written(daemon=True), lines_written(daemon=False))
