"""The start-up of a candidate: until all of its workers are ready, set up at once as in a user's program."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, Optional

from conbench_agent.user.values import digest
from support import AgentProcess, job
from user_support import FIXTURES

#: What the fixture's `setup` takes.
_SETUP_NS = 200_000_000


class StartUp(unittest.TestCase):
    def setUp(self) -> None:
        self.maxDiff = None

    def ready(
        self, engine: str, method: str = "", environment: Optional[Dict[str, str]] = None, **sizes: int
    ) -> Dict[str, Any]:
        """What an agent says that is ready, after its tasks were found to be set up."""
        candidate = {"runtime": "python", "engine": engine, "sizes": sizes}
        if method:
            candidate["start_method"] = method
        step = {"kind": "python", "path": str(FIXTURES), "check": "results", "function": "slow_setup:task"}
        described = job([{**step, "setup": "slow_setup:setup"}], candidate=candidate)
        with AgentProcess(env=environment) as agent:
            agent.receive()
            ready: Dict[str, Any] = agent.ask("job", described)
            verify = {"block": 1, "kind": "verify", "window_ns": 0, "first_index": 0, "most_tasks": 8}
            self.assertEqual(agent.ask("go", verify)["results"], [digest(True)] * 8)
        return ready

    def test_a_loop_is_set_up_once_before_its_first_task(self) -> None:
        ready = self.ready("sequential")
        self.assertGreaterEqual(ready["ready_ns"], _SETUP_NS)
        self.assertLess(ready["first_task_ns"], _SETUP_NS)
        self.assertGreaterEqual(ready["startup_ns"], ready["ready_ns"] + ready["first_task_ns"])

    def test_all_workers_of_a_pool_are_set_up_at_once(self) -> None:
        workers = 8
        for engine in "ProcessPoolExecutor", "multiprocessing.Pool":
            for method in multiprocessing.get_all_start_methods():
                with self.subTest(engine=engine, method=method):
                    with tempfile.TemporaryDirectory() as room:
                        place = {"MEET_AT": room, "MEET_COUNT": str(workers)}
                        ready = self.ready(engine, method, {**os.environ, **place}, workers=workers, chunk=1)
                        # No worker is left that a task would have to wait for.
                        self.assertEqual(len(os.listdir(room)), workers)
                    self.assertGreaterEqual(ready["ready_ns"], _SETUP_NS)

    def test_what_is_imported_before_the_job_is_part_of_no_tool(self) -> None:
        script = (
            "import sys; from conbench_agent import agent; agent._import_what_is_ours(); "
            "print(sorted({name.partition('.')[0] for name in sys.modules}))"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
        for tool in "multiprocessing", "concurrent", "asyncio", "selectors", "socket":
            self.assertNotIn(f"'{tool}'", ran.stdout)
        self.assertIn("'conbench_agent'", ran.stdout)

    @unittest.skipIf(sys.version_info < (3, 14), "InterpreterPoolExecutor needs CPython 3.14")
    def test_all_interpreters_are_set_up_at_once(self) -> None:
        ready = self.ready("InterpreterPoolExecutor", workers=4)
        self.assertGreaterEqual(ready["ready_ns"], _SETUP_NS)
        self.assertLess(ready["startup_ns"] - ready["ready_ns"], _SETUP_NS)

    def test_a_mix_is_ready_with_its_workers(self) -> None:
        ready = self.ready("asyncio+ProcessPoolExecutor", "fork", workers=2, in_flight=4)
        self.assertGreaterEqual(ready["ready_ns"], _SETUP_NS)
        self.assertLess(ready["startup_ns"] - ready["ready_ns"], _SETUP_NS)


if __name__ == "__main__":
    unittest.main()
