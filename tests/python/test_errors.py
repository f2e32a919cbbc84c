"""Tasks that fail where a job tolerates it, in every engine."""

from __future__ import annotations

import unittest
from typing import Any, Dict, List

from support import AgentProcess, job
from user_support import FIXTURES, WHERE

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 3_600_000_000_000, "first_index": 0, "most_tasks": 40}
ITEMS = {"listed": list(range(10))}


def flaky(engine: str = "sequential", **fields: Any) -> Dict[str, Any]:
    """A job whose function fails for one item of ten, which is tolerated unless `fields` says otherwise."""
    named = {"kind": "python", "path": str(FIXTURES), "check": "results", "function": "flaky:every_tenth"}
    step: Dict[str, Any] = {**named, "items": ITEMS, **fields.pop("step", {})}
    sizes = {"workers": 2, "in_flight": 4}
    return job([step], engine=engine, sizes=sizes, **{"tolerates_errors": True, **fields})


def offered() -> List[str]:
    with AgentProcess() as one:
        return [offer["engine"] for offer in one.receive()["hello"]["engines"]]


class Tolerated(unittest.TestCase):
    def check(self, described: Dict[str, Any], message: str = "ValueError: bad item 9") -> None:
        name = described["candidate"]["engine"]
        with AgentProcess() as one:
            one.receive()
            self.assertIn("startup_ns", one.ask("job", described), name)
            for kind in "timed", "memory":
                block = one.ask("go", {**GO, "kind": kind})
                self.assertEqual((block["tasks"], block["errors"]), (40, 4), name)
                self.assertEqual((block["first_error"]["kind"], block["first_error"]["where"]), ("task", WHERE), name)
                # Which of several is first depends on the engine.
                self.assertTrue(block["first_error"]["message"].startswith("ValueError: bad item "), name)
                self.assertLessEqual(block["tasks_in_window"], 36, name)
            block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 16})
            self.assertEqual((block["tasks"], block["errors"], block["first_error"]["message"]), (16, 1, message), name)
            self.assertEqual([place for place, each in enumerate(block["results"]) if each == 0], [9], name)
            self.assertTrue(block["first_error"]["traceback"], name)

    def test_every_engine_counts_them_and_goes_on(self) -> None:
        for engine in offered():
            with self.subTest(engine=engine):
                self.check(flaky(engine))

    def test_a_coroutine_and_a_batch_too(self) -> None:
        for engine in "asyncio", "TaskGroup", "uvloop", "asyncio+ThreadPoolExecutor":
            if engine in offered():
                with self.subTest(engine=engine):
                    step = {"async_function": "flaky:aevery_tenth"}
                    self.check(flaky(engine, step=step))
                    self.check(flaky(engine, step=step, load={"mode": "batch", "max_in_flight": 4, "tasks": 40}))
        self.check(flaky("ProcessPoolExecutor", load={"mode": "batch", "max_in_flight": 4, "tasks": 40}))

    def test_the_reference_has_no_result_where_a_call_failed(self) -> None:
        with AgentProcess() as one:
            one.receive()
            reference = one.ask("reference", {"job": flaky(), "budget_ns": 1_000_000_000})
        self.assertEqual([place for place, each in enumerate(reference["results"]) if each == 0], [9])
        self.assertEqual(reference["notes"], [])

    def test_a_task_that_takes_too_long_is_one_that_failed(self) -> None:
        with AgentProcess() as one:
            one.receive()
            one.ask("job", flaky("ThreadPoolExecutor", task_timeout_ns=1))
            block = one.ask("go", GO)
        self.assertEqual((block["tasks"], block["errors"]), (40, 40))

    def test_without_the_limit_the_first_one_is_the_answer(self) -> None:
        with AgentProcess() as one:
            one.receive()
            one.ask("job", flaky(tolerates_errors=False))
            failed = one.ask("go", GO)["failed"]
        self.assertEqual((failed["kind"], failed["message"]), ("task", "ValueError: bad item 9"))

    def test_what_is_not_a_tasks_own_fault_is_not_tolerated(self) -> None:
        with AgentProcess() as one:
            one.receive()
            failed = one.ask("job", flaky(step={"setup": "flaky:setup"}))["failed"]
        self.assertEqual(failed["kind"], "setup")
        for engine in "ProcessPoolExecutor", "multiprocessing.Pool":
            with AgentProcess() as one:
                one.receive()
                failed = one.ask("job", flaky(engine, step={"function": "faults:exits"}))["failed"]
            self.assertEqual(failed["kind"], "worker", engine)


if __name__ == "__main__":
    unittest.main()
