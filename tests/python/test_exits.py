"""What Python runs at exit: by an agent that ends by itself, and by no fork of what registered it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List

from support import AGENT, AgentProcess, job

PROGRAM = """
import atexit, os, tempfile, time, weakref
scratch = tempfile.TemporaryDirectory(prefix="scratch-")
class Mark: pass
def note(word):
    with open(os.path.join({room!r}, "notes"), "a") as file: file.write(word + "\\n")
mark = Mark()
weakref.finalize(mark, note, "finalized")
atexit.register(note, "exits")
atexit.register(print, "x" * (1 << 20))
def task(): os.stat(scratch.name)
def fails(): raise ValueError("bad")
"""
#: Registers something of each kind, forks as the parent of agents does, and registers more.
FORKS = """
import atexit, multiprocessing.util, os, sys, tempfile, weakref
from conbench_agent import exits
class Mark: pass
def all_of(word):
    global marks
    marks = [*globals().get("marks", []), Mark()]
    weakref.finalize(marks[-1], print, word, "finalize", flush=True)
    multiprocessing.util.Finalize(None, print, (word, "multiprocessing"), exitpriority=1)
    atexit.register(print, word, "atexit", flush=True)
exits._say_nothing = sys.stdout.flush
all_of("parent")
if os.fork() == 0:
    exits.forget()
    all_of("life")
    exits.run(0)
    sys.stdout.flush()
    os._exit(0)
os.wait()
exits.run(0)
sys.stdout.flush()
os._exit(0)
"""


class OfAnAgent(unittest.TestCase):
    def setUp(self) -> None:
        self._room = tempfile.TemporaryDirectory()
        self.addCleanup(self._room.cleanup)
        self.room = Path(self._room.name)
        (self.room / "tmp").mkdir()

    def agent(self, program: str = PROGRAM) -> AgentProcess:
        (self.room / "program.py").write_text(program.format(room=str(self.room)))
        return AgentProcess(env={**os.environ, "TMPDIR": str(self.room / "tmp")})

    def job(self, function: str = "task", engine: str = "sequential", **more: Any) -> Dict[str, Any]:
        step = {"kind": "python", "path": str(self.room), "check": "results", "function": f"program:{function}"}
        return job([step], engine=engine, **more)

    def left(self) -> List[str]:
        return os.listdir(self.room / "tmp")

    def notes(self) -> List[str]:
        return sorted((self.room / "notes").read_text().split())

    def test_what_a_module_registered_runs_when_a_candidate_ends(self) -> None:
        for engine, sizes in ("sequential", {}), ("ProcessPoolExecutor", {"workers": 2}):
            with self.subTest(engine), self.agent() as one:
                one.receive()
                one.ask("job", self.job(engine=engine, sizes=sizes))
                self.assertEqual(len(self.left()), 1)
                self.assertIn("teardown_ns", one.ask("bye", {}))
                self.assertEqual((one.receive(), one.end()), ({}, 0))
                self.assertEqual(one.process.communicate()[0], b"", "nobody reads what is printed at exit")
            self.assertEqual(self.left(), [])
            self.assertEqual(self.notes(), ["exits", "finalized"])
            (self.room / "notes").unlink()

    def test_so_it_does_after_a_reference_and_after_a_failure(self) -> None:
        with self.agent() as one:
            one.receive()
            one.ask("reference", {"job": self.job(), "budget_ns": 0})
            one.ask("bye", {})
            self.assertEqual(one.end(), 0)
        self.assertEqual((self.left(), self.notes()), ([], ["exits", "finalized"]))
        with self.agent() as one:
            one.receive()
            self.assertIn("bad", one.ask("job", self.job("fails"))["failed"]["message"])
            self.assertEqual(one.end(), 1)
        self.assertEqual((self.left(), len(self.notes())), ([], 4))

    def test_it_neither_outlasts_its_time_nor_waits_for_threads(self) -> None:
        endless = "import atexit, threading\natexit.register(threading.Event().wait)\ndef task(): pass\n"
        beside = "import threading\nthreading.Thread(target=threading.Event().wait).start()\ndef task(): pass\n"
        for program in endless, beside:
            with self.subTest(program), self.agent(program) as one:
                one.receive()
                one.ask("job", self.job())
                one.ask("bye", {})
                self.assertEqual(one.end(), 0)

    def test_what_was_there_before_the_first_task_is_left_behind_by_none(self) -> None:
        program = (
            "import subprocess\n"
            "def begin(): return subprocess.Popen([{room!r} + '/wait2'], stdin=subprocess.PIPE)\n"
            "imported, kept = begin(), []\n"
            "def setup(): kept.append(begin())\n"
            "def task(): pass\n"
            "def begins(): kept.append(begin())\n"
        )
        # Copied once: processes of the first agent may still be ending when the second starts, and
        # the file of a running program cannot be written.
        shutil.copy(shutil.which("cat") or "/bin/cat", self.room / "wait2")
        for function, left in ("task", []), ("begins", [{"kind": "process", "name": "wait2", "count": 2}]):
            with self.subTest(function), self.agent(program) as one:
                one.receive()
                described = self.job(function)
                described["steps"][0]["step"]["setup"] = "program:setup"
                one.ask("job", described)
                self.assertEqual(one.ask("bye", {})["left_behind"], left)


class OfAFork(unittest.TestCase):
    def test_each_runs_what_was_registered_in_it(self) -> None:
        run = subprocess.run([sys.executable, "-c", FORKS], cwd=AGENT.parent, capture_output=True, text=True)
        self.assertEqual(run.stderr, "")
        kinds = ["atexit", "finalize", "multiprocessing"]
        said = [
            sorted(line for line in run.stdout.splitlines() if line.startswith(word)) for word in ("life", "parent")
        ]
        self.assertEqual(said, [[f"{word} {kind}" for kind in kinds] for word in ("life", "parent")])


if __name__ == "__main__":
    unittest.main()
