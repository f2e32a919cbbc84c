"""Threads with an asyncio loop each: real agents, with a GIL and without one."""

from __future__ import annotations

import sys
import unittest
from typing import Any, Dict

from conbench_agent import engines
from support import AgentProcess, job
from user_support import FIXTURES

ENGINE = "threaded-asyncio"
GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 20_000_000, "first_index": 0}
WAIT: Dict[str, Any] = {"kind": "wait", "time": {"distribution": "fixed", "time_ns": 50_000}}
CPU: Dict[str, Any] = {"kind": "cpu", "kernel": "sort", "input_bytes": 800}
EVENT: Dict[str, Any] = {"kind": "event", "round_trips": 2}
VARIANTS = 16


def threaded(*steps: Dict[str, Any], workers: int = 2, in_flight: int = 5, **fields: Any) -> Dict[str, Any]:
    request = job(list(steps), engine=ENGINE, sizes={"workers": workers, "in_flight": in_flight}, **fields)
    for step in request["steps"]:
        step["draws"] = [[50_000]]
    return request


def python(**fields: Any) -> Dict[str, Any]:
    return {"kind": "python", "path": str(FIXTURES), "check": "results", **fields}


class Threaded(unittest.TestCase):
    def check(self, agent: AgentProcess, request: Dict[str, Any], block: Dict[str, Any]) -> None:
        """The checksum is that of as many successive tasks as there were."""
        tables = agent.ask("reference", {"job": request, "budget_ns": 0})["tables"]
        indices = range(block["first_index"], block["first_index"] + block["tasks"])
        expected = sum(int(table[index % VARIANTS]) for table in tables for index in indices)
        self.assertEqual(block["checksum"], expected % 2**64)

    def test_it_does_the_work_of_the_reference(self) -> None:
        for payload in {"input_bytes": 0, "output_bytes": 0}, {"input_bytes": 99, "output_bytes": 7}:
            request = threaded(WAIT, CPU, EVENT, payload=payload)
            with self.subTest(**payload), AgentProcess() as agent:
                agent.receive()
                self.assertEqual(len(agent.ask("job", request)["pids"]), 1)
                timed = agent.ask("go", GO)
                memory = agent.ask("go", {**GO, "kind": "memory", "first_index": 1003})
                verify = agent.ask("go", {**GO, "kind": "verify"})
                for block in timed, memory, verify:
                    self.check(agent, request, block)
                self.assertGreater(timed["tasks_in_window"], 5)
                self.assertGreater(memory["longest_stall_ns"], 0)
                self.assertNotIn("serialisation", memory)
                self.assertEqual(verify["tasks"], VARIANTS)
                self.assertEqual(agent.ask("bye", {})["left_behind"], [])
                self.assertEqual((agent.end(), agent.process.communicate()), (0, (b"", b"")))

    def test_a_batch_is_dealt_out_whole(self) -> None:
        for workers, in_flight in ((2, 5), (3, 2)):
            for rate in None, {"tasks": 100_000, "period_ns": 1_000_000_000, "burst": 4}:
                fields: Dict[str, Any] = {} if rate is None else {"rate": rate}
                load = {"mode": "batch", "tasks": 33, "max_in_flight": 5}
                request = threaded(WAIT, workers=workers, in_flight=in_flight, load=load, **fields)
                with self.subTest(workers, rate=rate), AgentProcess() as agent:
                    agent.receive()
                    agent.ask("job", request)
                    block = agent.ask("go", GO)
                    self.assertEqual((block["tasks"], block["tasks_in_window"]), (33, 33.0))
                    self.check(agent, request, block)

    def test_no_more_tasks_are_run_than_may_be(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            agent.ask("job", threaded(WAIT))
            for most in (0, 1, 2, 9, 40):
                block = agent.ask("go", {**GO, "window_ns": 1 << 60, "most_tasks": most})
                self.assertEqual(block["tasks"], most)

    def test_each_item_gives_its_result(self) -> None:
        request = threaded(
            python(function="work:pause", async_function="work:apause", items={"listed": [0.0, 0.001, 0.0]}),
            python(function="work:add_up", items={"listed": [3, 5, 7]}),
        )
        with AgentProcess() as agent:
            agent.receive()
            reference = agent.ask("reference", {"job": request, "budget_ns": 10_000_000_000})
            agent.ask("job", request)
            block = agent.ask("go", {**GO, "kind": "verify", "most_tasks": 9})
            self.assertEqual(block["results"][:3], reference["results"][:3])
            self.assertEqual(len(block["results"]), 9)

    def test_all_loops_together_are_held_to_a_rate(self) -> None:
        rate = {"tasks": 200, "period_ns": 1_000_000_000, "burst": 2}
        with AgentProcess() as agent:
            agent.receive()
            agent.ask("job", threaded(WAIT, rate=rate))
            block = agent.ask("go", {**GO, "window_ns": 200_000_000})
            self.assertGreater(block["tasks"], 5)
            self.assertLessEqual(block["tasks"], 200 * block["elapsed_ns"] / 1e9 + 2)

    def test_a_failure_on_one_loop_is_the_answer(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            failed = agent.ask("job", threaded(WAIT, python(function="faults:raises")))["failed"]
        self.assertEqual((failed["message"], failed["where"]), ("ValueError: bad item 3", "step 2 (python)"))

    def test_what_tasks_leave_on_any_loop_is_told(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            request = threaded(python(async_function="faults:leaves_task"))
            self.assertNotIn("failed", agent.ask("job", request))
            agent.ask("go", {**GO, "kind": "verify"})
            left = agent.ask("bye", {})["left_behind"]
            self.assertEqual({one["kind"] for one in left}, {"task"})

    def test_it_is_raced_only_without_a_gil(self) -> None:
        offered, absent = engines.offers()
        if getattr(sys, "_is_gil_enabled", lambda: True)():
            reasons = {one["engine"]: one["reason"] for one in absent}
            self.assertIn("without a GIL", str(reasons[ENGINE]))
        else:
            self.assertIn(ENGINE, [one["engine"] for one in offered])


if __name__ == "__main__":
    unittest.main()
