"""asyncio with an executor, on real loops with real threads and processes."""

from __future__ import annotations

import os
import signal
import threading
import unittest
from typing import Any, Dict, Optional

from conbench_agent.engines.base import Engine
from conbench_agent.protocol import Failure, Payload
from conbench_agent.task import Step, Task
from loop_steps import Awaits, Blocks, figures, make, run
from support import AgentProcess, job
from user_support import FIXTURES

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 2_000_000, "first_index": 0}
WAIT: Dict[str, Any] = {"kind": "wait", "time": {"distribution": "fixed", "time_ns": 50_000}}
CPU: Dict[str, Any] = {"kind": "cpu", "kernel": "sort", "input_bytes": 800}


class WithThreads(unittest.TestCase):
    def engine(self, *steps: Step, workers: int = 2, payload: Optional[Payload] = None) -> Engine:
        engine = make("asyncio+ThreadPoolExecutor", list(steps), 4, workers, payload)
        self.addCleanup(engine.close)
        return engine

    def test_what_blocks_leaves_the_loop_and_the_rest_stays(self) -> None:
        first, middle, last = Awaits(), Blocks(), Awaits()
        engine = self.engine(first, middle, last)
        self.assertEqual(figures(run(engine, batch=20))["checksum"], sum(index % 16 * 1002 for index in range(20)))
        self.assertEqual({*first.threads, *last.threads}, {"MainThread"})
        self.assertNotIn("MainThread", middle.threads)

    def test_only_as_many_block_as_there_are_workers(self) -> None:
        inside, most = 0, 0
        lock = threading.Lock()

        def enter(index: int) -> None:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.001)
            with lock:
                inside -= 1

        before = Awaits()
        block = figures(run(self.engine(before, Blocks(enter), workers=2), most_tasks=20))
        self.assertEqual((block["tasks"], most), (20, 2))

    def test_all_threads_are_there_when_it_is_warm(self) -> None:
        before = set(threading.enumerate())
        engine = self.engine(Blocks(), workers=7)
        engine.warm()
        self.assertEqual(len(set(threading.enumerate()) - before), 7)

    def test_it_adds_up_to_what_the_task_does(self) -> None:
        payload = Payload(100, 9)
        steps = [Blocks(lambda index: -index), Awaits(), Blocks(lambda index: 2 * index)]
        task = Task(steps, payload, seed=1)
        expected = []
        for index in range(5, 25):
            with_output = task.received((task.hand_back(index), ()))
            expected.append(index % 16 * 2001 + task.take_payload(index, task.given(index)) + with_output)
        for batch in (None, 20):
            sampler = run(self.engine(*steps, payload=payload), batch, most_tasks=20, first_index=5, keep=1)
            self.assertEqual(figures(sampler)["checksum"], sum(expected) % 2**64)
            self.assertEqual(sampler.kept[5], (bytes([6]) * 9, (-5, None, 10)))

    def test_a_failure_on_a_thread_is_the_answer(self) -> None:
        def fail(index: int) -> None:
            if index == 3:
                raise Failure("task", "bad item 3", "step 1 (python)")

        for batch in (None, 9):
            with self.assertRaises(Failure) as raised:
                figures(run(self.engine(Blocks(fail)), batch))
            self.assertEqual(raised.exception.message, "bad item 3")


class WithProcesses(unittest.TestCase):
    def job(self, *steps: Dict[str, Any], start_method: str = "fork", **fields: Any) -> Dict[str, Any]:
        request = job(list(steps), engine="asyncio+ProcessPoolExecutor", sizes={"workers": 2, "in_flight": 5}, **fields)
        request["candidate"]["start_method"] = start_method
        for step in request["steps"]:
            step["draws"] = [[50_000]]
        return request

    def python(self, **fields: Any) -> Dict[str, Any]:
        return {"kind": "python", "path": str(FIXTURES), "check": "results", **fields}

    def checksum(self, agent: AgentProcess, request: Dict[str, Any], tasks: int) -> int:
        """That of the first tasks, by the reference."""
        tables = agent.ask("reference", {"job": request, "budget_ns": 0})["tables"]
        return sum(int(table[index % 16]) for table in tables for index in range(tasks)) % 2**64

    def test_under_every_start_method(self) -> None:
        payload = {"input_bytes": 99, "output_bytes": 7}
        for start_method in ("fork", "spawn", "forkserver"):
            request = self.job(WAIT, CPU, WAIT, CPU, start_method=start_method, payload=payload)
            with self.subTest(start_method), AgentProcess() as agent:
                agent.receive()
                expected = self.checksum(agent, request, 40)
                pids = agent.ask("job", request)["pids"]
                self.assertGreaterEqual(len(pids), 3)
                self.assertEqual(agent.ask("go", {**GO, "most_tasks": 40, "window_ns": 1 << 60})["checksum"], expected)
                self.assertGreater(agent.ask("go", GO)["tasks"], 5)
                self.assertEqual(agent.ask("bye", {})["left_behind"], [])
                self.assertEqual((agent.end(), agent.process.communicate()), (0, (b"", b"")))
                for pid in pids:
                    self.assertFalse(os.path.exists(f"/proc/{pid}/cwd"), "nothing survives")

    def test_a_payload_that_never_leaves_the_loop_is_taken_there(self) -> None:
        request = self.job(WAIT, payload={"input_bytes": 99, "output_bytes": 7})
        with AgentProcess() as agent:
            agent.receive()
            expected = self.checksum(agent, request, 20)
            agent.ask("job", request)
            block = agent.ask("go", {**GO, "kind": "verify", "most_tasks": 20})
            self.assertEqual(block["checksum"], expected)

    def test_items_and_results_cross(self) -> None:
        request = self.job(
            self.python(function="work:add_up", items={"listed": [3, 5, 7]}),
            self.python(function="work:pause", async_function="work:apause", items={"listed": [0.0, 0.001]}),
            WAIT,
        )
        with AgentProcess() as agent:
            agent.receive()
            reference = agent.ask("reference", {"job": request, "budget_ns": 10_000_000_000})
            agent.ask("job", request)
            block = agent.ask("go", {**GO, "kind": "verify", "most_tasks": 2})
            self.assertEqual(block["results"], reference["results"][:2])
            self.assertGreater(agent.ask("go", {**GO, "kind": "memory"})["serialisation"]["bytes_per_task"], 0)

    def test_a_failure_in_a_worker_is_the_answer(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            failed = agent.ask("job", self.job(WAIT, self.python(function="faults:raises")))["failed"]
        self.assertEqual((failed["message"], failed["where"]), ("ValueError: bad item 3", "step 2 (python)"))
        self.assertTrue(failed["traceback"])

    def test_a_worker_that_dies_is_told(self) -> None:
        for start_method in ("fork", "spawn"):
            with self.subTest(start_method), AgentProcess() as agent:
                agent.receive()
                pids = agent.ask("job", self.job(WAIT, CPU, start_method=start_method))["pids"]
                killer = threading.Timer(0.1, os.kill, (pids[1], signal.SIGKILL))
                killer.start()
                failed = agent.ask("go", {**GO, "window_ns": 1 << 60})["failed"]
                killer.join()
                self.assertEqual(failed["kind"], "worker")
                self.assertIn("SIGKILL", failed["message"])

    def test_a_worker_that_ends_itself_is_told(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            failed = agent.ask("job", self.job(self.python(function="faults:exits")))["failed"]
        self.assertEqual(failed["kind"], "worker")
        self.assertIn("ended with status", failed["message"])


if __name__ == "__main__":
    unittest.main()
