"""The user's code in an agent, from the outside."""

from __future__ import annotations

import os
import select
import signal
import unittest
from typing import IO, Any, Dict, List, Tuple, cast

from conbench_agent.user.values import digest
from support import AgentProcess, job
from user_support import FIXTURES, WHERE

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 20_000_000, "first_index": 0}


def python(**fields: Any) -> Dict[str, Any]:
    return job([{"kind": "python", "path": str(FIXTURES), "check": "results", **fields}])


class Lifecycle(unittest.TestCase):
    def test_results_are_those_of_the_reference(self) -> None:
        shop = python(
            function="shop.scrape:fetch_and_parse", setup="shop.scrape:setup", items={"named": "shop.scrape:items"}
        )
        with AgentProcess() as one:
            one.receive()
            reference = one.ask("reference", {"job": shop, "budget_ns": 10_000_000_000})
        self.assertEqual(reference["notes"], [])
        self.assertIs(reference["items_are_called"], True)
        self.assertEqual(len(reference["results"]), 16)
        self.assertTrue(all(set(table) == {0} for table in reference["tables"]))
        with AgentProcess() as one:
            one.receive()
            one.ask("job", shop)
            self.assertEqual(one.ask("go", GO)["checksum"], 0)
            block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 16})
        self.assertEqual(block["results"], reference["results"])

    def test_items_that_calls_change_are_new_for_each_call(self) -> None:
        letters = python(function="state:takes_apart", items={"named": "state:letters"})
        with AgentProcess() as one:
            one.receive()
            reference = one.ask("reference", {"job": letters, "budget_ns": 10_000_000_000})
        self.assertEqual(reference["notes"], [{"mutates": {"item": 0}}])
        engines: List[Tuple[str, Dict[str, int]]] = [
            ("sequential", {}),
            ("ThreadPoolExecutor", {"workers": 2}),
            ("asyncio", {"in_flight": 2}),
            ("asyncio+ThreadPoolExecutor", {"workers": 2, "in_flight": 4}),
            # A chunk has items twice.
            ("ProcessPoolExecutor", {"workers": 2, "chunk": 16}),
        ]
        for engine, sizes in engines:
            candidate = {"runtime": "python", "engine": engine, "sizes": sizes}
            with self.subTest(engine=engine), AgentProcess() as one:
                one.receive()
                one.ask("job", {**letters, "candidate": candidate, "copies_items": True})
                self.assertGreater(one.ask("go", GO)["tasks"], 6)
                block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 16})
                expected = [reference["results"][task % 6] for task in range(16)]
                self.assertEqual(block["results"], expected)

    def test_a_start_method_that_the_module_sets_is_told(self) -> None:
        items = {"listed": [1, 2]}
        notes: List[Any] = []
        for module in "spawning", "spawning_once", "work":
            name = {"work": "work:add_up"}.get(module, module + ":work")
            with AgentProcess() as one:
                one.receive()
                request = {"job": python(function=name, items=items), "budget_ns": 1_000_000}
                notes.append(one.ask("reference", request)["notes"])
        told = [{"sets_start_method": {"method": "spawn"}}]
        self.assertEqual(notes, [told, told, []])

    def test_a_check_sees_what_a_call_made_of_its_copy(self) -> None:
        sorts = python(function="state:sorts", items={"named": "state:letters"}, check={"function": "state:is_sorted"})
        with AgentProcess() as one:
            one.receive()
            one.ask("job", {**sorts, "copies_items": True})
            block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 12})
        self.assertEqual(block["results"], [0] * 12)

    def test_a_reference_that_hangs_says_at_which_item(self) -> None:
        stuck = python(function="once:stuck", items={"named": "once:items"})
        with AgentProcess() as one:
            one.receive()
            one.begin("reference", {"job": stuck, "budget_ns": 10_000_000_000})
            told, stderr = b"", cast(IO[bytes], one.process.stderr)
            while b"conbench: at item 2\n" not in told:
                if select.select([stderr], [], [], 0.1)[0]:
                    told += os.read(stderr.fileno(), 1 << 16)
                else:
                    one.process.send_signal(signal.SIGURG)
        self.assertIn(b"in stuck", told)

    def test_listed_items_and_several_steps(self) -> None:
        echo = {"kind": "python", "path": str(FIXTURES), "check": "results", "function": "unpicklable:task"}
        both = job([{**echo, "items": {"listed": [1, "a"]}}, {**echo, "items": {"listed": [None]}}])
        with AgentProcess() as one:
            one.receive()
            reference = one.ask("reference", {"job": both, "budget_ns": 1_000_000_000})
        with AgentProcess() as one:
            one.receive()
            one.ask("job", both)
            block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 1})
        self.assertNotIn("items_are_called", reference)
        self.assertEqual(block["results"], reference["results"][:1])
        self.assertNotEqual(block["results"], [digest(1)])

    def test_a_failure_names_the_users_lines(self) -> None:
        for name, kind, message in [
            ("faults:raises", "task", "ValueError: bad item 3"),
            ("faults:ends_program", "task", "SystemExit: 7 (it would end the program)"),
            ("raises_on_import:task", "setup", "raises_on_import raised on import: ValueError: no settings for stage"),
        ]:
            with AgentProcess() as one:
                one.receive()
                failed = one.ask("job", python(function=name))["failed"]
            self.assertEqual((failed["kind"], failed["where"]), (kind, WHERE))
            self.assertTrue(failed["message"].startswith(message), failed)
            self.assertTrue(failed["traceback"][0].startswith('  File "'), failed)
            self.assertTrue(all("conbench_agent" not in line for line in failed["traceback"]), failed)


if __name__ == "__main__":
    unittest.main()
