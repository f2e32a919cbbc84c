"""Set-up and teardown of the user's own in every engine: how often, where, with what; and items that are spread."""

from __future__ import annotations

import os
import tempfile
import unittest
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Set
from unittest import mock

from conbench_agent.user.values import digest
from support import AgentProcess, job
from user_support import FIXTURES, WHERE

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 20_000_000, "first_index": 0}
FIELDS = ["setup", "setup_thread", "teardown", "teardown_thread"]


class Line(NamedTuple):
    """One line of the log."""

    what: str
    process: str
    thread: str


def described(engine: str, sizes: Dict[str, int], *names: str, **fields: Any) -> Dict[str, Any]:
    """A job whose step has these set-ups and teardowns."""
    step = {"kind": "python", "path": str(FIXTURES), "check": "results", "function": "lives:task"}
    if any(name.startswith("async_") for name in names):
        step["async_function"] = "lives:atask"
    step.update({name: f"lives:{name}" for name in names}, **fields)
    return job([step], engine=engine, sizes=sizes)


class Lives(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.log = os.path.join(directory.name, "log")
        environment = mock.patch.dict(os.environ, {"CONBENCH_TEST_LOG": self.log})
        environment.start()
        self.addCleanup(environment.stop)

    def live(self, made: Dict[str, Any]) -> Dict[str, Any]:
        """One life of an agent, to its end in peace: its last word."""
        with AgentProcess() as one:
            one.receive()
            self.assertNotIn("failed", one.ask("job", made))
            self.assertNotIn("failed", one.ask("go", GO))
            ended: Dict[str, Any] = one.ask("bye", {})
            self.assertEqual(one.end(), 0)
        return ended

    def lines(self) -> List[Line]:
        with open(self.log, encoding="utf-8") as file:
            return [Line(*line.split()) for line in file]

    def threads(self, what: str) -> Set[str]:
        """The threads in which this happened, each once."""
        found = [line.thread for line in self.lines() if line.what == what]
        self.assertEqual(len(found), len(set(found)), what)
        return set(found)

    def check_counts(self, engine: str, sizes: Dict[str, int], processes: int, threads: int) -> None:
        with self.subTest(engine=engine, **sizes):
            if os.path.exists(self.log):
                os.unlink(self.log)
            self.assertNotIn("failed_teardown", self.live(described(engine, sizes, *FIELDS)))
            counts = Counter(line.what for line in self.lines())
            self.assertEqual([counts[what] for what in FIELDS], [processes, threads, processes, threads])
            self.assertEqual(self.threads("setup_thread"), self.threads("teardown_thread"))

    def test_pools_set_up_each_worker_once_and_tear_it_down(self) -> None:
        self.check_counts("sequential", {}, 1, 1)
        self.check_counts("ThreadPoolExecutor", {"workers": 3}, 1, 3)
        self.check_counts("asyncio", {"in_flight": 3}, 1, 1)
        self.check_counts("asyncio+ThreadPoolExecutor", {"workers": 2, "in_flight": 3}, 1, 2)
        for engine in "ProcessPoolExecutor", "multiprocessing.Pool":
            self.check_counts(engine, {"workers": 2}, 2, 2)
        self.check_counts("threaded-asyncio", {"workers": 2, "in_flight": 3}, 1, 2)
        self.check_counts("sharded-asyncio", {"workers": 2, "in_flight": 3}, 2, 2)
        self.check_counts("asyncio+ProcessPoolExecutor", {"workers": 2, "in_flight": 3}, 2, 2)

    def test_what_lives_for_one_task_is_set_up_and_torn_down_for_it(self) -> None:
        for engine, per_task in ("Thread", FIELDS[1::2]), ("Process", FIELDS):
            with self.subTest(engine=engine):
                if os.path.exists(self.log):
                    os.unlink(self.log)
                self.live(described(engine, {"in_flight": 2}, *FIELDS))
                counts = Counter(line.what for line in self.lines())
                self.assertGreaterEqual(counts["setup_thread"], 3)
                self.assertEqual(len({counts[what] for what in per_task}), 1, counts)

    def test_a_loop_is_set_up_once_before_its_tasks(self) -> None:
        names = ["setup", "async_setup", "async_teardown", "teardown"]
        for engine in "asyncio", "asyncio+ThreadPoolExecutor":
            with self.subTest(engine=engine):
                if os.path.exists(self.log):
                    os.unlink(self.log)
                made = described(engine, {"workers": 2, "in_flight": 2}, *names)
                self.live(made)
                self.assertEqual([line.what for line in self.lines()], names)

    def test_each_of_several_loops_is_set_up_once(self) -> None:
        names = ["setup", "async_setup", "async_teardown", "teardown"]
        for engine, processes in ("threaded-asyncio", 1), ("sharded-asyncio", 2):
            with self.subTest(engine=engine):
                if os.path.exists(self.log):
                    os.unlink(self.log)
                self.live(described(engine, {"workers": 2, "in_flight": 3}, *names, pass_state=True))
                lines = {"setup": processes, "async_setup": 2, "async_teardownloop": 2, "teardownprocess": processes}
                self.assertEqual(Counter(line.what for line in self.lines()), lines)

    def test_states_reach_tasks_and_teardowns(self) -> None:
        cases = [
            ("sequential", {}, ["setup", "teardown"], ("process",), ["setup", "teardownprocess"]),
            ("sequential", {}, FIELDS, ("thread",), None),
            ("ProcessPoolExecutor", {"workers": 1}, ["setup", "teardown"], ("process",), ["setup", "teardownprocess"]),
            ("ThreadPoolExecutor", {"workers": 2}, FIELDS, ("thread",), None),
            ("asyncio", {"in_flight": 2}, ["setup", "async_setup"], ("loop",), ["setup", "async_setup"]),
            ("asyncio", {"in_flight": 2}, ["setup", "async_teardown"], ("process",), ["setup", "async_teardown"]),
        ]
        for engine, sizes, names, state, lines in cases:
            with self.subTest(engine=engine, names=names), AgentProcess() as one:
                if os.path.exists(self.log):
                    os.unlink(self.log)
                one.receive()
                self.assertNotIn("failed", one.ask("job", described(engine, sizes, *names, pass_state=True)))
                block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 1})
                self.assertEqual(block["results"], [digest((state, {}))])
                one.ask("bye", {})
                if lines is not None:
                    self.assertEqual([line.what for line in self.lines()], lines)

    def test_items_are_spread(self) -> None:
        calls = [((1, 2), {}), ((), {"a": 1}), (("ab",), {})]
        for engine, names in ("sequential", []), ("ProcessPoolExecutor", []), ("asyncio", ["async_setup"]):
            for passes in (False, True) if names else (False,):
                with self.subTest(engine=engine, pass_state=passes), AgentProcess() as one:
                    one.receive()
                    items = {"named": "lives:items"}
                    made = described(engine, {"workers": 1, "in_flight": 1}, *names, star=True, items=items)
                    made["steps"][0]["step"]["pass_state"] = passes
                    self.assertNotIn("failed", one.ask("job", made))
                    block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 3})
                    state = ("loop",) if passes else ()
                    self.assertEqual(block["results"], [digest((state + spread, named)) for spread, named in calls])

    def test_the_reference_tears_down_too(self) -> None:
        with AgentProcess() as one:
            one.receive()
            made = described("sequential", {}, *FIELDS, pass_state=True)
            reference = one.ask("reference", {"job": made, "budget_ns": 10**9})
        self.assertEqual(reference["results"], [digest((("thread",), {}))])
        whats = [line.what for line in self.lines()]
        self.assertEqual(whats, ["setup", "setup_thread", "teardown_threadthread", "teardownprocess"])

    def test_a_teardown_that_fails_is_told_with_the_last_word(self) -> None:
        cases = [
            ("sequential", "teardown"),
            ("sequential", "teardown_thread"),
            ("ThreadPoolExecutor", "teardown_thread"),
            ("Thread", "teardown_thread"),
            ("ProcessPoolExecutor", "teardown"),
            ("multiprocessing.Pool", "teardown_thread"),
            ("Process", "teardown"),
            ("asyncio", "async_teardown"),
        ]
        for engine, field in cases:
            with self.subTest(engine=engine, field=field):
                name = "lives:afails" if field.startswith("async_") else "lives:fails"
                sizes = {"in_flight": 2} if engine in ("Thread", "Process", "asyncio") else {"workers": 2}
                ended = self.live(described(engine, sizes, field, **{field: name}))
                failed = ended["failed_teardown"]
                self.assertEqual((failed["kind"], failed["where"]), ("setup", WHERE))
                self.assertEqual(failed["message"], f"`{field}` raised OSError: it was closed already")

    def test_a_thread_that_cannot_be_set_up_fails_its_tasks(self) -> None:
        for engine in "ThreadPoolExecutor", "Thread", "ProcessPoolExecutor", "sequential":
            with self.subTest(engine=engine), AgentProcess() as one:
                one.receive()
                made = described(engine, {"workers": 2}, setup_thread="lives:fails")
                failed = one.ask("job", made)["failed"]
                self.assertEqual(failed["kind"], "setup")
                self.assertEqual(failed["message"], "`setup_thread` raised OSError: it was closed already")


if __name__ == "__main__":
    unittest.main()
