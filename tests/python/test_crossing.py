"""What really crosses to workers: the user's callable with each task or chunk, and errors as pools hand them back."""

from __future__ import annotations

import sys
import unittest
from typing import Any, Dict, List, Optional, Tuple

from conbench_agent.user.values import digest
from support import AgentProcess, job
from user_support import FIXTURES, WHERE

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 20_000_000, "first_index": 0}
CALLABLES = ["carried:counter.count", "carried:partial", "carried:counter"]


def described(
    engine: str, function: str, start_method: Optional[str] = None, chunk: Optional[int] = None, **fields: Any
) -> Dict[str, Any]:
    """A job of one function on listed items, with one worker."""
    step: Dict[str, Any] = {"kind": "python", "path": str(FIXTURES), "check": "results", "function": function}
    step["items"] = {"listed": list(range(6))}
    sizes = {"in_flight": 1} if engine in ("Process", "Thread") else {"workers": 1}
    if engine == "asyncio+ProcessPoolExecutor":
        sizes["in_flight"] = 1
    if chunk is not None:
        sizes["chunk"] = chunk
    made = job([step], engine=engine, sizes=sizes, **fields)
    if start_method is not None:
        made["candidate"]["start_method"] = start_method
    return made


class Callables(unittest.TestCase):
    def results(self, made: Dict[str, Any]) -> List[int]:
        """The digests of six tasks, after a block that must be done."""
        with AgentProcess() as one:
            one.receive()
            ready = one.ask("job", made)
            self.assertNotIn("failed", ready, ready)
            self.assertGreater(one.ask("go", GO)["tasks"], 0)
            return list(one.ask("go", {**GO, "kind": "verify", "most_tasks": 6})["results"])

    def test_a_pool_makes_a_copy_for_each_task_or_chunk(self) -> None:
        of_copies = [digest((number, True)) for number in range(1, 4)]
        engines: List[Tuple[str, Optional[int]]] = [("ProcessPoolExecutor", 1), ("asyncio+ProcessPoolExecutor", None)]
        engines += [("ProcessPoolExecutor", 3), ("multiprocessing.Pool", 3), ("multiprocessing.Pool", 1)]
        if sys.version_info >= (3, 14):
            engines.append(("InterpreterPoolExecutor", None))
        for engine, chunk in engines:
            for function in CALLABLES:
                with self.subTest(engine=engine, chunk=chunk, function=function):
                    found = self.results(described(engine, function, chunk=chunk))
                    self.assertEqual(found, of_copies * 2 if chunk == 3 else of_copies[:1] * 6)

    def test_a_block_ends_soon_where_moving_a_task_takes_longer_than_running_it(self) -> None:
        with AgentProcess() as one:
            one.receive()
            one.ask("job", described("multiprocessing.Pool", CALLABLES[0], chunk=1))
            one.ask("go", GO)
            # Sized by the time of tasks alone, a lot would hold 20,000.
            self.assertLess(one.ask("go", {**GO, "block": 2})["tasks"], 4_000)

    def test_every_start_method_of_a_pool_pickles(self) -> None:
        for method in "spawn", "forkserver":
            found = self.results(described("ProcessPoolExecutor", CALLABLES[0], method))
            self.assertEqual(found, [digest((1, True))] * 6)

    def test_a_process_for_each_task_pickles_where_it_does_not_inherit(self) -> None:
        for method in "fork", "spawn", "forkserver":
            with self.subTest(start_method=method):
                found = self.results(described("Process", CALLABLES[0], method))
                self.assertEqual(found, [digest((1, method != "fork"))] * 6)

    def test_nothing_is_copied_where_nothing_crosses(self) -> None:
        for engine in "sequential", "ThreadPoolExecutor", "Thread", "asyncio":
            for function in CALLABLES:
                with AgentProcess() as one:
                    one.receive()
                    self.assertNotIn("failed", one.ask("job", described(engine, function)))
                    [first, second] = one.ask("go", {**GO, "kind": "verify", "most_tasks": 2})["results"]
                counts = {digest((number, False)): number for number in range(1, 100)}
                self.assertEqual(counts[second], counts[first] + 1, engine)

    def test_its_price_is_told_apart(self) -> None:
        cases = [
            ("ProcessPoolExecutor", None, None, 1),
            ("ProcessPoolExecutor", None, 3, 3),
            ("multiprocessing.Pool", None, 3, 3),
            ("Process", "spawn", None, 1),
        ]
        for engine, method, chunk, tasks in cases:
            with self.subTest(engine=engine, chunk=chunk), AgentProcess() as one:
                one.receive()
                one.ask("job", described(engine, CALLABLES[0], method, chunk))
                told = one.ask("go", {**GO, "kind": "memory", "most_tasks": 6})["serialisation"]
                self.assertEqual(told["tasks_per_callable"], tasks)
                self.assertGreater(told["callable"]["bytes"], 100_000)
                self.assertLess(told["item"]["bytes"] + told["result"]["bytes"], 100)
                parts = told["callable"]["bytes"] / tasks + told["item"]["bytes"] + told["result"]["bytes"]
                self.assertAlmostEqual(told["bytes_per_task"], parts, delta=1)

    def test_a_function_costs_its_name_and_a_fork_its_result(self) -> None:
        for engine, function, callable_crosses in [
            ("ProcessPoolExecutor", "carried:plain", True),
            ("Process", "carried:counter.count", False),
        ]:
            with AgentProcess() as one:
                one.receive()
                one.ask("job", described(engine, function, "fork"))
                told = one.ask("go", {**GO, "kind": "memory", "most_tasks": 6})["serialisation"]
            self.assertEqual("callable" in told, callable_crosses)
            self.assertEqual("item" in told, callable_crosses)
            self.assertLess(told["bytes_per_task"], 200)

    def test_the_reference_knows_the_price_before_any_worker(self) -> None:
        for function, least, most in [("carried:plain", 1, 100), (CALLABLES[0], 100_000, 101_000)]:
            with AgentProcess() as one:
                one.receive()
                made = described("sequential", function)
                told = one.ask("reference", {"job": made, "budget_ns": 10**9})["serialisation"]
            self.assertTrue(least < told["callable"]["bytes"] < most, told)
            self.assertEqual(told["tasks_per_callable"], 1)


class WithoutAName(unittest.TestCase):
    def test_a_pool_says_what_its_user_would_hear(self) -> None:
        pools = ["ProcessPoolExecutor", "multiprocessing.Pool", "asyncio+ProcessPoolExecutor"]
        engines: List[Tuple[str, Optional[str]]] = [*((pool, None) for pool in pools), ("Process", "spawn")]
        for engine, method in engines:
            for function in "carried:closure", "carried:a_lambda":
                with self.subTest(engine=engine, function=function), AgentProcess() as one:
                    one.receive()
                    failed = one.ask("job", described(engine, function, method))["failed"]
                    self.assertEqual((failed["kind"], failed["where"]), ("setup", WHERE))
                    self.assertRegex(failed["message"], r"\((_pickle\.)?\w+Error: Can't (pickle|get) ")
                    self.assertNotIn(" at 0x", failed["message"])

    def test_everything_else_runs_it(self) -> None:
        inside = ["sequential", "ThreadPoolExecutor", "Thread", "asyncio", "asyncio+ThreadPoolExecutor"]
        engines: List[Tuple[str, Optional[str]]] = [*((engine, None) for engine in inside), ("Process", "fork")]
        for engine, method in engines:
            for function in "carried:closure", "carried:a_lambda":
                with self.subTest(engine=engine, function=function), AgentProcess() as one:
                    one.receive()
                    self.assertNotIn("failed", one.ask("job", described(engine, function, method)))
                    block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 2})
                    self.assertEqual(block["results"], [digest(1), digest(2)])


class Errors(unittest.TestCase):
    def test_one_that_cannot_be_made_again_is_told_once_a_block(self) -> None:
        for engine in "ProcessPoolExecutor", "multiprocessing.Pool", "Process", "asyncio+ProcessPoolExecutor":
            with self.subTest(engine=engine), AgentProcess() as one:
                one.receive()
                made = described(engine, "unpicklable:refuses_odd_items", "fork", tolerates_errors=True)
                self.assertNotIn("failed", one.ask("job", made))
                block = one.ask("go", {**GO, "window_ns": 10**12, "most_tasks": 12})
                self.assertEqual((block["tasks"], block["errors"]), (12, 6))
                [note] = block["notes"]
                told = note["error_cannot_cross"]
                self.assertEqual((told["type"], told["breaks_pool"]), ("unpicklable.Refused", True))
                self.assertIn("TypeError: ", told["reason"])
                self.assertNotIn("hangs", block["first_error"]["message"])

    def test_one_that_cannot_be_pickled_reaches_the_caller_as_another(self) -> None:
        with AgentProcess() as one:
            one.receive()
            made = described("ProcessPoolExecutor", "unpicklable:raises_locked", tolerates_errors=True)
            one.ask("job", made)
            [note] = one.ask("go", {**GO, "most_tasks": 4})["notes"]
        self.assertEqual(note["error_cannot_cross"]["breaks_pool"], False)

    def test_the_first_one_says_it_where_none_may_fail(self) -> None:
        with AgentProcess() as one:
            one.receive()
            made = described("ProcessPoolExecutor", "unpicklable:refuses_odd_items")
            one.ask("job", made)
            failed = one.ask("go", {**GO, "most_tasks": 4})["failed"]
        self.assertEqual(
            failed["message"],
            "unpicklable.Refused: 503: busy; the first `Refused` ends (ProcessPoolExecutor) or hangs "
            "(multiprocessing.Pool) a real pool: pickle cannot make it again; define `__reduce__`, or pass all "
            "arguments to `super().__init__`",
        )

    def test_others_and_those_that_stay_in_the_process_are_none_of_it(self) -> None:
        for engine, function in [
            ("ProcessPoolExecutor", "flaky:every_odd"),
            ("ThreadPoolExecutor", "unpicklable:refuses_odd_items"),
        ]:
            with AgentProcess() as one:
                one.receive()
                one.ask("job", described(engine, function, tolerates_errors=True))
                block = one.ask("go", {**GO, "most_tasks": 4})
            self.assertEqual((block["errors"], block.get("notes")), (2, None))


if __name__ == "__main__":
    unittest.main()
