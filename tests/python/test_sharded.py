"""Sharded loops: real agents with real worker processes, each with a loop of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
import unittest
from typing import Any, Dict

from support import AgentProcess, job
from user_support import FIXTURES

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 20_000_000, "first_index": 0}
WAIT: Dict[str, Any] = {"kind": "wait", "time": {"distribution": "fixed", "time_ns": 50_000}}
CPU: Dict[str, Any] = {"kind": "cpu", "kernel": "sort", "input_bytes": 800}
VARIANTS = 16


def sharded(
    *steps: Dict[str, Any], start_method: str = "fork", workers: int = 2, in_flight: int = 5, **fields: Any
) -> Dict[str, Any]:
    request = job(list(steps), engine="sharded-asyncio", sizes={"workers": workers, "in_flight": in_flight}, **fields)
    request["candidate"]["start_method"] = start_method
    for step in request["steps"]:
        step["draws"] = [[50_000]]
    return request


def python(**fields: Any) -> Dict[str, Any]:
    return {"kind": "python", "path": str(FIXTURES), "check": "results", **fields}


class Sharded(unittest.TestCase):
    def check(self, agent: AgentProcess, request: Dict[str, Any], block: Dict[str, Any]) -> None:
        """The checksum is that of the tasks that ran, as many of each variant as the block says."""
        tables = agent.ask("reference", {"job": request, "budget_ns": 0})["tables"]
        first, tasks = block["first_index"], block["tasks"]
        counts = [0] * VARIANTS
        for index in range(first, first + tasks):
            counts[index % VARIANTS] += 1
        counts = block.get("variants", counts)
        self.assertEqual(sum(counts), tasks)
        expected = sum(int(table[variant]) * counts[variant] for table in tables for variant in range(VARIANTS))
        self.assertEqual(block["checksum"], expected % 2**64)

    def test_it_does_the_work_of_the_reference_under_every_start_method(self) -> None:
        for payload in (None, {"input_bytes": 99, "output_bytes": 7}):
            for start_method in ("fork", "spawn", "forkserver"):
                fields: Dict[str, Any] = {} if payload is None else {"payload": payload}
                request = sharded(WAIT, CPU, {"kind": "event", "round_trips": 2}, start_method=start_method, **fields)
                with self.subTest(start_method, payload=payload), AgentProcess() as agent:
                    agent.receive()
                    pids = agent.ask("job", request)["pids"]
                    self.assertGreaterEqual(len(pids), 3)
                    blocks = [
                        agent.ask("go", GO),
                        agent.ask("go", {**GO, "kind": "memory", "first_index": 1003}),
                        agent.ask("go", {**GO, "kind": "verify"}),
                    ]
                    for block in blocks:
                        self.check(agent, request, block)
                        self.assertGreater(block["usage"]["user_ns"], 0)
                    timed, memory, verify = blocks
                    self.assertGreater(timed["tasks_in_window"], 5)
                    self.assertEqual(timed["window_ns"], GO["window_ns"])
                    self.assertGreater(
                        timed.get("window_cores", 1), 0, "optional: not known where no task ended after an edge"
                    )
                    self.assertGreater(memory["longest_stall_ns"], 0)
                    self.assertEqual(verify["tasks"], VARIANTS)
                    self.assertEqual(agent.ask("bye", {})["left_behind"], [])
                    self.assertEqual((agent.end(), agent.process.communicate()), (0, (b"", b"")))
                    for pid in pids:
                        self.assertFalse(os.path.exists(f"/proc/{pid}/cwd"), "nothing survives")

    def test_a_batch_is_dealt_out_whole(self) -> None:
        for workers, in_flight in ((2, 5), (3, 2)):
            request = sharded(
                WAIT,
                workers=workers,
                in_flight=in_flight,
                load={"mode": "batch", "tasks": 33, "max_in_flight": 5},
                payload={"input_bytes": 99, "output_bytes": 7},
            )
            with self.subTest(workers), AgentProcess() as agent:
                agent.receive()
                agent.ask("job", request)
                block = agent.ask("go", GO)
                self.assertEqual((block["tasks"], block["tasks_in_window"]), (33, 33.0))
                self.assertNotIn("variants", block)
                self.check(agent, request, block)

    def test_no_more_tasks_are_run_than_may_be(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            agent.ask("job", sharded(WAIT))
            for most in (0, 1, 2, 9, 40):
                block = agent.ask("go", {**GO, "window_ns": 1 << 60, "most_tasks": most})
                self.assertEqual(block["tasks"], most)
                self.assertLessEqual(block["window_ns"], block["elapsed_ns"])

    def test_items_and_results_cross(self) -> None:
        for start_method in ("fork", "spawn"):
            request = sharded(
                python(function="work:pause", async_function="work:apause", items={"listed": [0.0, 0.001, 0.0]}),
                python(function="work:add_up", items={"listed": [3, 5, 7]}),
                start_method=start_method,
            )
            with self.subTest(start_method), AgentProcess() as agent:
                agent.receive()
                reference = agent.ask("reference", {"job": request, "budget_ns": 10_000_000_000})
                agent.ask("job", request)
                block = agent.ask("go", {**GO, "kind": "verify", "most_tasks": 9})
                self.assertEqual(block["results"][:3], reference["results"][:3])
                self.assertEqual(len(block["results"]), 9)
                # Lots of items go out while it runs.
                self.assertGreater(agent.ask("go", {**GO, "window_ns": 200_000_000})["tasks"], 9)
                self.assertGreater(agent.ask("go", {**GO, "kind": "memory"})["serialisation"]["bytes_per_task"], 0)

    def test_all_shards_together_are_held_to_a_rate(self) -> None:
        rate = {"tasks": 200, "period_ns": 1_000_000_000, "burst": 2}
        with AgentProcess() as agent:
            agent.receive()
            agent.ask("job", sharded(WAIT, rate=rate))
            block = agent.ask("go", {**GO, "window_ns": 200_000_000})
            seconds = block["elapsed_ns"] / 1e9
            self.assertGreater(block["tasks"], 5)
            self.assertLessEqual(block["tasks"], 200 * seconds + 2)

    def test_a_failure_in_a_shard_is_the_answer(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            failed = agent.ask("job", sharded(WAIT, python(function="faults:raises")))["failed"]
        self.assertEqual((failed["message"], failed["where"]), ("ValueError: bad item 3", "step 2 (python)"))
        self.assertTrue(failed["traceback"])

    def test_what_cannot_be_handed_back_is_told(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            failed = agent.ask("job", sharded(WAIT, python(function="unpicklable:gives_a_local_class")))
        self.assertIn("the result of task 0", failed["failed"]["message"])

    def test_a_shard_that_dies_is_told(self) -> None:
        for start_method in ("fork", "spawn"):
            with self.subTest(start_method), AgentProcess() as agent:
                agent.receive()
                pids = agent.ask("job", sharded(WAIT, CPU, start_method=start_method))["pids"]
                killer = threading.Timer(0.1, os.kill, (pids[1], signal.SIGKILL))
                killer.start()
                failed = agent.ask("go", {**GO, "window_ns": 1 << 60})["failed"]
                killer.join()
                self.assertEqual(failed["kind"], "worker")
                self.assertIn("SIGKILL", failed["message"])
                agent.end()
                # The helpers of multiprocessing end by themselves, a moment after the agent.
                deadline = time.monotonic() + 20
                while any(os.path.exists(f"/proc/{pid}/cwd") for pid in pids[1:]):
                    self.assertLess(time.monotonic(), deadline, "nothing survives")
                    time.sleep(0.01)

    def test_a_shard_that_ends_itself_is_told(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            failed = agent.ask("job", sharded(python(function="faults:exits")))["failed"]
        self.assertEqual(failed["kind"], "worker")
        self.assertIn("ended with status", failed["message"])


if __name__ == "__main__":
    unittest.main()
