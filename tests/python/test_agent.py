"""The agent's life, frame by frame, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict

from support import AGENT, STEPS, AgentProcess, job

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 5_000_000, "first_index": 0}
FAKE: Dict[str, Any] = {"kind": "event", "round_trips": 0}
ECHO: Dict[str, Any] = {"kind": "python", "function": "m:f", "path": "/", "check": "results"}


def agent(**options: Any) -> AgentProcess:
    return AgentProcess(main=STEPS, **options)


class Hello(unittest.TestCase):
    def test_a_package_that_is_too_old_is_told(self) -> None:
        with TemporaryDirectory() as place:
            package = Path(place) / "joblib"
            package.mkdir()
            (package / "__init__.py").write_text('"""An old one."""\n__version__ = "1.2.0"\n')
            with agent(env={**os.environ, "PYTHONPATH": place}) as one:
                absent = {each["engine"]: each["reason"] for each in one.receive()["hello"]["absent"]}
        for engine in ("joblib+loky", "joblib+loky+auto", "joblib+threading"):
            self.assertEqual(absent[engine], "it needs joblib 1.4, and this is 1.2")

    def test_an_agent_says_what_it_is(self) -> None:
        with agent() as one:
            hello = one.receive()["hello"]
        self.assertEqual((hello["protocol"], hello["language"]), (3, "python"))
        self.assertEqual(hello["version"].split(".")[:2], [str(part) for part in sys.version_info[:2]])
        self.assertEqual(os.path.realpath(hello["executable"]), os.path.realpath(sys.executable))
        names = [offer["engine"] for offer in hello["engines"] + hello["absent"]]
        self.assertEqual(len(names), len(set(names)), "an engine is offered or absent, once")
        self.assertTrue(all(absent["reason"] for absent in hello["absent"]))

    def test_hello_on_the_command_line_is_the_same_frame(self) -> None:
        printed = subprocess.run([sys.executable, str(AGENT), "hello"], capture_output=True, check=True)
        self.assertEqual((printed.stderr, printed.stdout.count(b"\n")), (b"", 1))
        with agent() as one:
            framed = one.receive()
        printed_frame = json.loads(printed.stdout)
        for frame in (framed, printed_frame):
            del frame["hello"]["clock_cost_ns"]
        self.assertEqual(printed_frame, framed)

    def test_without_its_descriptors_it_says_who_starts_it(self) -> None:
        run = subprocess.run([sys.executable, str(AGENT)], capture_output=True, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual((run.returncode, run.stdout), (2, b""))
        self.assertIn(b"which conbench starts", run.stderr)


class Lifecycle(unittest.TestCase):
    def test_from_job_to_bye(self) -> None:
        with agent() as one:
            hello = one.receive()["hello"]
            ready = one.ask("job", job([FAKE]))
            self.assertEqual(ready["pids"], [one.process.pid])
            self.assertIs(ready["gil"], hello["gil"])
            self.assertGreater(ready["startup_ns"], ready["first_task_ns"])
            block = one.ask("go", {**GO, "first_index": 7})
            self.assertEqual((block["block"], block["kind"], block["first_index"]), (1, "timed", 7))
            self.assertEqual(block["checksum"], sum((7 + task) % 16 for task in range(block["tasks"])))
            self.assertEqual(block["window_ns"], 5_000_000)
            self.assertNotIn("results", block)
            limited = one.ask("go", {**GO, "block": 2, "most_tasks": 9})
            self.assertEqual(limited["tasks"], 9)
            bye = one.ask("bye", {})
            self.assertEqual(bye["left_behind"], [])
            self.assertEqual((one.receive(), one.end()), ({}, 0))
            self.assertEqual(one.process.communicate(), (b"", b""))

    def test_a_batch_runs_all_its_tasks(self) -> None:
        with agent() as one:
            one.receive()
            one.ask("job", job([FAKE], load={"mode": "batch", "tasks": 40, "max_in_flight": 4}))
            block = one.ask("go", GO)
            self.assertEqual((block["tasks"], block["tasks_in_window"]), (40, 40))
            self.assertEqual(block["window_ns"], block["elapsed_ns"])

    def test_the_payload_crosses_and_is_part_of_the_reference(self) -> None:
        request = job([FAKE, FAKE], payload={"input_bytes": 99, "output_bytes": 7})
        with agent() as one:
            one.receive()
            reference = one.ask("reference", {"job": request, "budget_ns": 0})
            self.assertEqual([len(table) for table in reference["tables"]], [16, 16, 16])
            one.ask("job", request)
            block = one.ask("go", {**GO, "first_index": 3, "most_tasks": 5})
            expected = sum(table[index % 16] for table in reference["tables"] for index in range(3, 8))
            self.assertEqual(block["checksum"], expected % 2**64)

    def test_results_of_user_code_are_digested_in_verify_blocks(self) -> None:
        with agent() as one:
            one.receive()
            reference = one.ask("reference", {"job": job([FAKE, ECHO]), "budget_ns": 0})
            self.assertEqual(reference["results"], [100, 101, 102, 103, 104])
            self.assertEqual(reference["notes"], [{"mutates": {"item": 3}}])
            self.assertEqual(reference["tables"][1], [0] * 16)
            one.ask("job", job([FAKE, ECHO]))
            block = one.ask("go", {**GO, "kind": "verify", "first_index": 3, "most_tasks": 4})
            self.assertEqual(block["results"], [103, 104, 100, 101])
            self.assertNotIn("results", one.ask("go", GO))

    def test_the_end_of_the_requests_is_the_end(self) -> None:
        one = agent()
        one.receive()
        one.ask("job", job([FAKE]))
        one.__exit__(None, None, None)
        self.assertIsNotNone(one.process.returncode)


class Failures(unittest.TestCase):
    def fails(self, *requests: Any) -> Dict[str, Any]:
        """The failure that answers the last request, after which the agent has ended."""
        with agent() as one:
            one.receive()
            for name, body in requests[:-1]:
                self.assertNotIn("failed", one.ask(name, body))
            frame: Dict[str, Any] = one.ask(*requests[-1])
            self.assertEqual((one.receive(), one.end()), ({}, 1))
        failed: Dict[str, Any] = frame["failed"]
        return failed

    def test_a_failed_task_is_the_answer(self) -> None:
        failed = self.fails(("job", job([{**FAKE, "round_trips": 1}])), ("go", GO))
        self.assertEqual((failed["kind"], failed["where"]), ("task", "step 1 (fake)"))
        self.assertEqual(failed["message"], "ValueError: bad item 3")
        self.assertEqual(failed["traceback"], ["  File ..", "    bad()"])

    def test_an_unforeseen_error_names_its_place(self) -> None:
        failed = self.fails(("job", job([{**FAKE, "round_trips": 2}])))
        self.assertEqual(failed["kind"], "agent")
        self.assertRegex(failed["message"], r"^KeyError: 'unforeseen', in _raise \(fake_steps\.py:\d+\)$")

    def test_what_is_not_understood_is_refused(self) -> None:
        for name, body, words in [
            ("come", {}, "unknown request `come`"),
            ("go", {**GO, "surprise": 1}, "unknown field `surprise` in `go`"),
            ("go", {**GO, "kind": "idle"}, "unknown kind of block `idle`"),
            ("go", GO, "`go` came before `job`"),
            ("job", job([{**FAKE, "surprise": 1}]), "unknown field `surprise` in `job.steps[0].step`"),
            ("calibrate", {"target": {"cores": {"loops": 2}}, "budget_ns": 1}, "cores"),
        ]:
            with self.subTest(words):
                failed = self.fails((name, body))
                self.assertEqual(failed["kind"], "protocol")
                self.assertIn(words, failed["message"])

    def test_an_engine_that_is_absent_says_why(self) -> None:
        failed = self.fails(("job", job([FAKE], engine="warp")))
        self.assertEqual(failed["kind"], "setup")
        self.assertIn("warp", failed["message"])


class Robustness(unittest.TestCase):
    def test_threads_left_behind_are_named_and_do_not_keep_it_alive(self) -> None:
        with agent() as one:
            one.receive()
            one.ask("job", job([{**FAKE, "round_trips": 3}]))
            one.ask("go", {**GO, "most_tasks": 2, "first_index": 10})
            bye = one.ask("bye", {})
            self.assertEqual(bye["left_behind"], [{"kind": "thread", "name": "stray-N", "count": 2}])
            self.assertEqual(one.end(), 0)

    def test_child_processes_left_behind_are_named(self) -> None:
        with agent() as one:
            one.receive()
            one.ask("job", job([{**FAKE, "round_trips": 5}]))
            bye = one.ask("bye", {})
            self.assertEqual(bye["left_behind"], [{"kind": "process", "name": "sleep", "count": 2}])

    def test_what_tasks_print_comes_out_and_is_not_taken_for_a_frame(self) -> None:
        with agent() as one:
            one.receive()
            one.ask("job", job([{**FAKE, "round_trips": 6}]))
            self.assertEqual(one.ask("bye", {})["left_behind"], [])
            self.assertEqual(one.process.communicate()[0], b'{"failed":{}}\n' * 2)

    def test_a_task_that_closes_the_pipe_ends_the_agent_with_a_word(self) -> None:
        for round_trips in (7, 8):
            with self.subTest(round_trips), agent() as one:
                one.receive()
                self.assertEqual(one.send("job", job([{**FAKE, "round_trips": round_trips}])), {})
                self.assertEqual(one.end(), 1)
                self.assertIn(
                    b"the agent lost its controller: your code closed descriptors that it did not open (3 and 4, the",
                    one.process.communicate()[1],
                )

    def test_nothing_is_imported_that_belongs_to_some_candidates_alone(self) -> None:
        heavy = "asyncio", "concurrent.futures", "multiprocessing", "inspect"
        code = f"""if True:
            import sys
            sys.path.insert(0, {str(AGENT.parent)!r})
            import conbench_agent.agent, conbench_agent.running
            print([name for name in {heavy} if name in sys.modules])"""
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        self.assertEqual(run.stdout, b"[]\n")

    def test_standard_streams_may_be_closed(self) -> None:
        command = f"exec '{sys.executable}' '{AGENT}' 3<&0 4>&1 <&- >&- 2>&-"
        run = subprocess.run(["sh", "-c", command], input=b'{"bye":{}}\n', capture_output=True, check=True)
        frames = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual([next(iter(frame)) for frame in frames], ["hello", "bye"])


if __name__ == "__main__":
    unittest.main()
