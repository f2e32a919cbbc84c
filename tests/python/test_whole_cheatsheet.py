"""One repetition as it is started for users: all that the catalogue names, and nothing that survives it."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any, Dict, List, Set

from cheatsheet_support import PACKAGE, processes_of
from conbench_cheatsheet import host, sections
from conbench_cheatsheet.registry import ITEMS, PITFALLS

PATIENCE_S = 120


def command(*arguments: str) -> List[str]:
    return [sys.executable, str(PACKAGE), "measure", *arguments]


def may_be_unavailable() -> Set[str]:
    """What this interpreter or this machine has not."""
    missing = set()
    if sys.version_info < (3, 11):
        missing.add("task-group-task")
    if not host.has_gil():
        missing |= {"gil-turn", "threads-for-computation"}
    if host.cores() == 1:
        missing |= {"threads-for-computation", "blas-threads"}
    if os.cpu_count() == 1:
        missing.add("cpu-count")
    if importlib.util.find_spec("numpy") is None:
        missing.add("blas-threads")
    return missing


class Repetition(unittest.TestCase):
    def test_each_item_and_pitfall_is_answered_once_and_nothing_survives(self) -> None:
        sections.load()
        with tempfile.TemporaryDirectory() as directory:
            process = subprocess.Popen(
                command("--seed", "3"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "TMPDIR": directory},
                text=True,
            )
            output, errors = process.communicate(timeout=PATIENCE_S)
            self.assertEqual(processes_of(process.pid), [])
            self.assertEqual(os.listdir(directory), [])
        # The resource tracker would name here what was left behind.
        self.assertEqual((process.returncode, errors), (0, ""))
        frames: List[Dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
        names = [str(frame.get("item") or frame.get("pitfall")) for frame in frames]
        self.assertEqual(sorted(names), sorted([*ITEMS, *PITFALLS]))
        self.assertNotEqual(names, [*ITEMS, *PITFALLS], "they are shuffled")
        for name, frame in zip(names, frames):
            with self.subTest(name):
                self.check(name, frame)

    def check(self, name: str, frame: Dict[str, Any]) -> None:
        if "unavailable" in frame:
            self.assertIn(name, may_be_unavailable(), frame)
            return
        figures = [frame[key] for key in (["ns"] if "item" in frame else ["wrong", "mended"])]
        for figure in figures:
            self.assertTrue(math.isfinite(figure) and figure >= 0, frame)
        self.assertLessEqual(len(frame.get("shown", "").splitlines()), 3)

    def test_a_seed_is_an_order(self) -> None:
        orders = []
        for seed in ("1", "1", "2"):
            items = "sleep-zero,lock-uncontended,await-coroutine,asyncio-lock,queue-put-get,wait-for,pickle-bytes"
            run = subprocess.run(command("--seed", seed, "--items", items), stdout=subprocess.PIPE, check=True)
            orders.append([json.loads(line)["item"] for line in run.stdout.splitlines()])
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])

    def test_an_unknown_item_is_named(self) -> None:
        run = subprocess.run(command("--items", "sleep-zero,sleep-zer"), stderr=subprocess.PIPE, check=False)
        self.assertEqual(run.returncode, 2)
        self.assertIn(b"unknown item 'sleep-zer'; known are thread-start-join", run.stderr)


class Killed(unittest.TestCase):
    def test_no_child_outlives_it(self) -> None:
        for item in (
            "process-queue-1mib",
            "executor-process",
            "manager-dict-get",
            "pool-map-chunk-1",
            "pool-start-4",
            "process-spawn",
        ):
            with self.subTest(item), tempfile.TemporaryDirectory() as directory:
                process = subprocess.Popen(
                    command("--items", item),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    env={**os.environ, "TMPDIR": directory},
                )
                while process.poll() is None and len(processes_of(process.pid)) < 2:
                    time.sleep(0.001)
                process.send_signal(signal.SIGKILL)
                process.wait()
                deadline = time.monotonic() + PATIENCE_S / 4
                while processes_of(process.pid) and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertEqual(processes_of(process.pid), [])
