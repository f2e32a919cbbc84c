"""The engines of threads, worker processes and interpreters, each in a real agent and with real workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, cast
from unittest import mock

import support
from conbench_agent import steps, worker
from conbench_agent.engines import threads
from conbench_agent.engines.base import Engine
from conbench_agent.engines.executors import ExecutorEngine
from conbench_agent.engines.processes import Crew
from conbench_agent.meter import Usage
from conbench_agent.protocol import Job
from conbench_agent.sampler import Sampler, Settings, Window
from conbench_agent.user.values import digest
from support import AgentProcess
from user_support import FIXTURES

GO: Dict[str, Any] = {"block": 1, "kind": "timed", "window_ns": 20_000_000, "first_index": 0}
CPU: Dict[str, Any] = {"kind": "cpu", "kernel": "sort", "input_bytes": 400}

LOADS: List[Dict[str, Any]] = [
    {"mode": "closed", "max_in_flight": 4},
    {"mode": "batch", "tasks": 10, "max_in_flight": 4},
]


class Case(NamedTuple):
    """An engine with small sizes."""

    engine: str
    sizes: Dict[str, int]
    start_method: Optional[str] = None

    def job(self, *steps: Dict[str, Any], **fields: Any) -> Dict[str, Any]:
        made = support.job([CPU, *steps], engine=self.engine, sizes=self.sizes, **fields)
        if self.start_method is not None:
            made["candidate"]["start_method"] = self.start_method
        return made


def python(function: str, **fields: Any) -> Dict[str, Any]:
    return {"kind": "python", "path": str(FIXTURES), "check": "results", "function": function, **fields}


THREADS = [Case("ThreadPoolExecutor", {"workers": 3}), Case("Thread", {"in_flight": 3})]
METHODS = ["fork", "spawn", "forkserver"]
EXECUTORS = [Case("ProcessPoolExecutor", {"workers": 2}, method) for method in METHODS]
CHUNKS = [Case("ProcessPoolExecutor", {"workers": 2, "chunk": 3}, method) for method in METHODS[:2]]
POOLS = [Case("multiprocessing.Pool", {"workers": 2, "chunk": 3}, method) for method in METHODS]
PROCESSES = [Case("Process", {"in_flight": 2}, method) for method in METHODS]
INTERPRETERS = [Case("InterpreterPoolExecutor", {"workers": 2})] if sys.version_info >= (3, 14) else []
EVERY = [*THREADS, *EXECUTORS, *CHUNKS, *POOLS, *PROCESSES, *INTERPRETERS]


def of_session(agent: int) -> Set[int]:
    """The processes, beside an agent, of the session that it leads, orphans too."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != agent:
            with suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if state != "Z" and int(session) == agent:
                    found.add(int(entry.name))
    return found


class WorkerCase(unittest.TestCase):
    def each(self, cases: List[Case], check: Callable[[Case], None]) -> None:
        for case in cases:
            with self.subTest(engine=case.engine, start_method=case.start_method, **case.sizes):
                check(case)

    def check_nothing_survives(self, agent: int) -> None:
        """Helpers end when they see that the agent did, which takes them a moment."""
        deadline = time.monotonic() + 20
        while of_session(agent) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(of_session(agent), set())


class Lifecycle(WorkerCase):
    def test_tasks_are_done_and_nothing_is_left(self) -> None:
        echo = python("unpicklable:task", items={"listed": [1, "a", None]})

        def check(case: Case) -> None:
            job = case.job(echo, payload={"input_bytes": 99, "output_bytes": 7})
            with AgentProcess() as one:
                one.receive()
                reference = one.ask("reference", {"job": job, "budget_ns": 10**9})
                ready = one.ask("job", job)
                self.assertNotIn("failed", ready)
                self.assertEqual(len(ready["pids"]), len(set(ready["pids"])))
                block = one.ask("go", {**GO, "first_index": 5})
                expected = sum(
                    table[index % 16] for table in reference["tables"] for index in range(5, 5 + block["tasks"])
                )
                self.assertEqual(block["checksum"], expected % 2**64)
                limited = one.ask("go", {**GO, "block": 2, "window_ns": 10**12, "most_tasks": 7})
                self.assertEqual(limited["tasks"], 7)
                verify = one.ask("go", {**GO, "kind": "verify", "first_index": 1, "most_tasks": 5})
                results = reference["results"]
                self.assertEqual(verify["results"], [results[index % 3] for index in range(1, 6)])
                memory = one.ask("go", {**GO, "kind": "memory", "most_tasks": 5})
                self.assertEqual("serialisation" in memory, case not in THREADS)
                self.assertEqual(one.ask("bye", {})["left_behind"], [])
                self.assertEqual(one.end(), 0)
                self.check_nothing_survives(one.process.pid)
                self.assertEqual(one.process.communicate(), (b"", b""))

        self.each(EVERY, check)

    def test_a_batch_is_done_whole(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                job = case.job(load=LOADS[1])
                reference = one.ask("reference", {"job": job, "budget_ns": 10**9})
                self.assertNotIn("failed", one.ask("job", job))
                block = one.ask("go", {**GO, "first_index": 3})
                expected = sum(reference["tables"][0][index % 16] for index in range(3, 13))
                self.assertEqual((block["tasks"], block["checksum"]), (10, expected % 2**64))
                self.assertEqual(one.ask("bye", {})["left_behind"], [])

        self.each(EVERY, check)

    def test_every_worker_is_there_when_it_is_ready(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                ready = one.ask("job", case.job())
                self.assertEqual(set(ready["pids"][1:]), of_session(one.process.pid))
                workers = ready["pids"][1:3]
                one.ask("go", {**GO, "most_tasks": 50})
                self.assertLessEqual(set(workers), of_session(one.process.pid), "they are the same after a block")

        self.each([*EXECUTORS, *POOLS], check)

    def test_all_threads_are_there_when_it_is_ready(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                one.ask("job", case.job())
                tasks = len(os.listdir(f"/proc/{one.process.pid}/task"))
                self.assertGreaterEqual(tasks, 1 + case.sizes["workers"])
                one.ask("go", GO)
                self.assertEqual(len(os.listdir(f"/proc/{one.process.pid}/task")), tasks)

        self.each([THREADS[0], *INTERPRETERS], check)

    def test_workers_do_not_hold_the_agents_pipes(self) -> None:
        def pipes(pid: int) -> Set[str]:
            folder = f"/proc/{pid}/fd"
            return {os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}

        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                ready = one.ask("job", case.job())
                ours = {os.readlink(f"/proc/{one.process.pid}/fd/{fd}") for fd in (3, 4)}
                for pid in ready["pids"][1:]:
                    self.assertEqual(pipes(pid) & ours, set())

        self.each([*EXECUTORS, *POOLS], check)

    def test_setup_runs_once_a_worker(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                one.ask("job", case.job(python("state:times_set_up", setup="state:setup")))
                block = one.ask("go", {**GO, "kind": "verify", "most_tasks": 6})
                self.assertEqual(block["results"], [digest(1)] * 6)

        self.each(EVERY, check)


class Recording(ThreadPoolExecutor):
    """Notes how many tasks each call holds."""

    def __init__(self) -> None:
        super().__init__(1)
        self.held: List[int] = []

    def submit(self, call: Any, /, *arguments: Any, **named: Any) -> Any:
        self.held.append(len(arguments[0]) if call is worker.run_chunk else 1)
        return super().submit(call, *arguments, **named)


class Mapping(ThreadPoolExecutor):
    """Has a `map` as CPython 3.14 has it, and notes what that is asked for, and how many tasks it takes ahead."""

    def __init__(self, workers: int = 1, **options: Any) -> None:
        super().__init__(workers, **options)
        self.asked: List[Dict[str, int]] = []
        self.most_ahead = 0

    def map(self, fn: Any, *iterables: Any, timeout: Any = None, chunksize: int = 1, buffersize: Any = None) -> Any:
        self.asked.append({"chunksize": chunksize, "buffersize": buffersize})

        def results() -> Iterator[Any]:
            ahead: List[Any] = []
            for arguments in zip(*iterables):
                ahead.append(self.submit(fn, *arguments))
                self.most_ahead = max(self.most_ahead, len(ahead))
                if len(ahead) == (buffersize or 10**9) * chunksize:
                    yield ahead.pop(0).result()
            for call in ahead:
                yield call.result()

        return results()


class Maps(unittest.TestCase):
    def setUp(self) -> None:
        job = Job.parse(json.dumps(support.job([CPU], engine="ThreadPoolExecutor", sizes={"workers": 2})))
        self.job, self.task = job, steps.build(job, steps.Place.agent())

    def check(self, engine: Engine, executor: Mapping, asked: Dict[str, int], ahead: int) -> None:
        settings = Settings(Window(10**12), 5, engine.slots, engine.shards, 10**12, most_tasks=40)
        sampler = Sampler(settings, time.monotonic_ns())
        engine.run(sampler)
        block = sampler.finish(1, "timed", Usage())
        expected = sum(sum(self.task.reference(index)) for index in range(5, 45))
        self.assertEqual((block["tasks"], block["checksum"]), (40, expected % 2**64))
        self.assertEqual((executor.asked, executor.most_ahead), ([asked], ahead))

    def test_where_code_maps_over_many_tasks_it_is_measured_so(self) -> None:
        mine = worker._worker
        self.addCleanup(setattr, worker, "_worker", mine)
        worker._worker = worker._Worker(self.task)
        for chunk in 1, 3:
            with self.subTest(chunk=chunk), Mapping() as executor:
                engine = ExecutorEngine(executor, self.task, 2, chunk)
                # A call is a chunk, as it is inside of `map(chunksize=)`.
                self.check(engine, executor, {"chunksize": 1, "buffersize": 4}, 4)

    def test_threads_too(self) -> None:
        with mock.patch.object(threads, "ThreadPoolExecutor", Mapping):
            engine = threads.ThreadPool(self.job, self.task)
        executor = cast(Mapping, engine._pool)
        with mock.patch.object(threads, "ThreadPoolExecutor", Mapping):
            self.check(engine, executor, {"chunksize": 1, "buffersize": 6}, 6)
        engine.close()


class Chunks(unittest.TestCase):
    def test_a_call_holds_a_chunk_and_what_is_left_at_the_end(self) -> None:
        job = Job.parse(json.dumps(support.job([CPU], engine="ProcessPoolExecutor")))
        task = steps.build(job, steps.Place.agent())
        mine = worker._worker
        self.addCleanup(setattr, worker, "_worker", mine)
        worker._worker = worker._Worker(task)
        for chunk, held in (1, [1] * 7), (3, [3, 3, 1]), (64, [7]):
            with self.subTest(chunk=chunk), Recording() as executor:
                engine = ExecutorEngine(executor, task, 1, chunk)
                engine.shows_map = False
                settings = Settings(Window(10**12), 5, 1, 1, 10**12, most_tasks=7, keep=20)
                sampler = Sampler(settings, time.monotonic_ns())
                engine.run(sampler)
                block = sampler.finish(1, "timed", Usage())
                expected = sum(sum(task.reference(index)) for index in range(5, 12))
                self.assertEqual((block["tasks"], block["checksum"]), (7, expected % 2**64))
                self.assertEqual(executor.held, held)


class Failures(WorkerCase):
    def fails(self, case: Case, step: Dict[str, Any], **fields: Any) -> Dict[str, Any]:
        """The failure of a job, or else of its first block; nothing survives it."""
        with AgentProcess() as one:
            one.receive()
            reply = one.ask("job", case.job(step, **fields))
            if "failed" not in reply:
                reply = one.ask("go", {**GO, "window_ns": 10**12})
            self.assertEqual(one.end(), 1)
            self.check_nothing_survives(one.process.pid)
        failed: Dict[str, Any] = reply["failed"]
        return failed

    def test_a_task_that_raises_is_the_answer(self) -> None:
        step = python("worker_faults:raises_later", items={"listed": [0] * 5 + [1]})

        def check(case: Case) -> None:
            for load in LOADS if case.start_method in (None, "fork") else LOADS[:1]:
                failed = self.fails(case, step, load=load)
                self.assertEqual((failed["kind"], failed["where"]), ("task", "step 2 (python)"), failed)
                self.assertEqual(failed["message"], "ValueError: bad item 1")
                self.assertTrue(failed["traceback"])

        self.each(EVERY, check)

    def test_a_worker_that_ends_is_named(self) -> None:
        def check(case: Case) -> None:
            failed = self.fails(case, python("faults:exits"))
            self.assertEqual(failed["kind"], "worker")
            # Under a fork server the status comes once, over a pipe. The pool's own thread and the agent both ask for
            # it, and who comes second finds the pipe empty (`Popen.poll` of `popen_forkserver` takes no lock): then
            # the agent says that it does not know.
            ends = "ended with status 7"
            unknown = case.start_method == "forkserver" and "how is not known" in failed["message"]
            self.assertTrue(unknown or ends in failed["message"], failed)
            if case.start_method == "fork":
                failed = self.fails(case, python("faults:crashes"))
                self.assertEqual(failed["kind"], "worker")
                self.assertIn("was killed by SIGSEGV", failed["message"])

        self.each([*EXECUTORS, *POOLS, *PROCESSES], check)

    def test_the_one_that_died_is_named_and_not_the_one_that_its_pool_terminated(self) -> None:
        def check(case: Case) -> None:
            of = Job.parse(json.dumps(case.job()))
            crew = Crew(of, steps.build(of, steps.Place.agent()), 2)
            self.addCleanup(crew.close)
            for target, argument in ((os._exit, 7), (time.sleep, 60)):
                worker = crew.context.Process(target=target, args=(argument,))  # type: ignore[attr-defined]
                worker.start()
                if target is time.sleep:
                    worker.terminate()
                worker.join()
                # Who looks at all live children, forgets those that are dead.
                self.assertNotIn(worker, multiprocessing.active_children())
            death = crew.find_death()
            assert death is not None
            self.assertIn("ended with status 7", death.message)

        self.each(EXECUTORS, check)

    def test_a_killed_worker_is_named_and_nothing_hangs(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                ready = one.ask("job", case.job(python("worker_faults:naps")))["pids"]
                over = threading.Event()
                killer = threading.Thread(target=kill_workers, args=(case, ready, over))
                killer.start()
                failed = one.ask("go", {**GO, "window_ns": 10**12})["failed"]
                over.set()
                killer.join()
                self.assertEqual(failed["kind"], "worker", failed)
                # The pool looks at its workers too, and the fork server tells each end once.
                lost = "how is not known" if case in POOLS and case.start_method == "forkserver" else "SIGKILL"
                self.assertRegex(failed["message"], f"was killed by SIGKILL|{lost}")
                self.assertEqual(one.end(), 1)
                self.check_nothing_survives(one.process.pid)

        self.each([*EXECUTORS, *CHUNKS[:1], *POOLS, *PROCESSES], check)

    def test_an_idle_worker_that_was_killed_is_found_in_the_next_block(self) -> None:
        def check(case: Case) -> None:
            with AgentProcess() as one:
                one.receive()
                ready = one.ask("job", case.job(python("worker_faults:naps")))["pids"]
                kill_a_worker(case, ready)
                failed = one.ask("go", {**GO, "window_ns": 10**12})["failed"]
                self.assertEqual((failed["kind"], "SIGKILL" in failed["message"]), ("worker", True), failed)
                self.assertEqual(one.end(), 1)

        self.each([*EXECUTORS[:1], *CHUNKS[:1], *POOLS[:1]], check)

    def test_what_cannot_cross_is_named(self) -> None:
        # A forked process inherits its item.
        cases = [*EXECUTORS[:1], *CHUNKS[:1], *POOLS[:1], *PROCESSES[1:2], *INTERPRETERS]

        def check(case: Case) -> None:
            failed = self.fails(case, python("unpicklable:task", items={"named": "unpicklable:items"}))
            self.assertEqual((failed["kind"], failed["where"]), ("setup", "step 2 (python)"))
            self.assertIn("items[2]", failed["message"])
            failed = self.fails(case, python("unpicklable:gives_a_session"))
            self.assertEqual(failed["kind"], "task")
            self.assertIn("the result of task 0._lock", failed["message"])

        self.each(cases, check)

    def test_a_result_that_cannot_be_handed_back_later_is_told_of(self) -> None:
        step = python("worker_faults:hands_back_a_lock_later", items={"listed": [0] * 5 + [1]})

        def check(case: Case) -> None:
            failed = self.fails(case, step)
            self.assertEqual(failed["kind"], "task")
            self.assertIn("cannot hand back", failed["message"])

        self.each([*EXECUTORS[:1], *CHUNKS[:1], *POOLS[:1], *PROCESSES[:1], *INTERPRETERS], check)

    def test_a_worker_that_cannot_be_made_says_why(self) -> None:
        def check(case: Case) -> None:
            if case.start_method == "fork":
                return  # It inherits what could be made.
            failed = self.fails(case, python("only_in_the_agent:task", setup="only_in_the_agent:setup"))
            self.assertEqual((failed["kind"], failed["where"]), ("setup", "step 2 (python)"))
            self.assertIn("RuntimeError: not here", failed["message"])

        self.each([*EXECUTORS, *POOLS, *PROCESSES], check)


def kill_a_worker(case: Case, ready: List[int]) -> None:
    """Kills one worker, with no time to say a word; of a process for each task, if there is one."""
    agent, workers = ready[0], set(ready[1 : 1 + case.sizes.get("workers", 0)])
    for pid in sorted(workers or of_session(agent) - set(ready))[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_workers(case: Case, ready: List[int], over: threading.Event) -> None:
    """Kills one worker after the other: a process of one task may have told what it ran."""
    while not over.wait(0.1):
        kill_a_worker(case, ready)


if __name__ == "__main__":
    unittest.main()
