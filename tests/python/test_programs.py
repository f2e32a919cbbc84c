"""CPU time is counted wherever it is spent: in programs that tasks start, too, whoever runs the tasks."""

from __future__ import annotations

import multiprocessing
import os
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, Iterator, Tuple

from support import AgentProcess, job
from user_support import FIXTURES

#: An engine, its sizes, and whether its workers are processes.
_ENGINES: Tuple[Tuple[str, Dict[str, int], bool], ...] = (
    ("sequential", {}, False),
    ("ThreadPoolExecutor", {"workers": 2}, False),
    ("Thread", {"in_flight": 2}, False),
    ("asyncio", {"in_flight": 2}, False),
    ("asyncio+ThreadPoolExecutor", {"workers": 2, "in_flight": 4}, False),
    ("ProcessPoolExecutor", {"workers": 2, "chunk": 1}, True),
    ("ProcessPoolExecutor", {"workers": 2, "chunk": 2}, True),
    ("multiprocessing.Pool", {"workers": 2, "chunk": 1}, True),
    ("asyncio+ProcessPoolExecutor", {"workers": 2, "in_flight": 4}, True),
    ("Process", {"in_flight": 2}, True),
)


def _candidates() -> Iterator[Dict[str, Any]]:
    for engine, sizes, has_processes in _ENGINES:
        plain = {"runtime": "python", "engine": engine, "sizes": sizes}
        if has_processes:
            for method in multiprocessing.get_all_start_methods():
                yield {**plain, "start_method": method}
        else:
            yield plain
    if sys.version_info >= (3, 14):
        yield {"runtime": "python", "engine": "InterpreterPoolExecutor", "sizes": {"workers": 2}}


def _used(candidate: Dict[str, Any], function: str, step: Dict[str, Any], **options: Any) -> Dict[str, float]:
    """CPU time of a task (ns): of all, and of it that of programs."""
    step = {"kind": "python", "path": str(FIXTURES), "check": "none", "function": f"programs:{function}", **step}
    with AgentProcess(**options) as agent:
        agent.receive()
        ready = agent.ask("job", job([step], candidate=candidate))
        assert "failed" not in ready, ready
        block = agent.ask("go", {"block": 1, "kind": "timed", "window_ns": 100_000_000, "first_index": 0})
    usage = block["usage"]
    return {
        "cpu": (usage["user_ns"] + usage["system_ns"]) / block["tasks"],
        "children": usage["children_ns"] / block["tasks"],
    }


class Programs(unittest.TestCase):
    def test_programs_that_tasks_start_are_counted_once_under_every_engine(self) -> None:
        for candidate in _candidates():
            with self.subTest(candidate=candidate), TemporaryDirectory() as directory:
                told = Path(directory) / "cpu_seconds"
                used = _used(candidate, "start_one", {}, env={**os.environ, "CPU_SECONDS": str(told)})
                self.assertLessEqual(used["children"], used["cpu"])
                # What the kernel says of each program of this very agent: another agent's may run on a slower core. One
                # that is counted twice, or not at all, is outside of it.
                of_each = [1e9 * float(line) for line in told.read_text().splitlines()]
                self.assertGreater(used["children"], 0.6 * min(of_each))
                self.assertLess(used["children"], 1.5 * max(of_each))

    def test_a_program_that_lives_on_is_counted_too(self) -> None:
        for engine in "sequential", "ProcessPoolExecutor", "multiprocessing.Pool":
            sizes = {} if engine == "sequential" else {"workers": 2, "chunk": 1}
            with self.subTest(engine=engine):
                candidate = {"runtime": "python", "engine": engine, "sizes": sizes}
                used = _used(candidate, "ask_one", {"setup": "programs:setup"})
                self.assertGreater(used["children"], 0.7 * used["cpu"])

    def test_what_workers_compute_themselves_is_no_program(self) -> None:
        for candidate in _candidates():
            with self.subTest(candidate=candidate):
                used = _used(candidate, "compute_here", {})
                self.assertEqual(used["children"], 0)
                self.assertGreater(used["cpu"], 0)


if __name__ == "__main__":
    unittest.main()
