from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

from conbench_agent import steps
from conbench_agent.protocol import Failure, Job
from conbench_agent.steps.ipc import Handles, Shared, is_shared
from step_jobs import WAIT, StepCase, cpu, expected, in_agent, job

METHODS = ["fork", "spawn", "forkserver"]
QUEUE = {"kind": "queue", "capacity": 2, "stage": cpu()}
LOCK = {"kind": "lock", "hold": WAIT}
EVENT = {"kind": "event", "round_trips": 3}
TASKS = 12

Answer = Tuple[int, Union[int, Failure]]


def work(text: str, slot: Optional[int], handles: Handles, indices: List[int], answers: Any) -> None:
    """A worker process: runs some tasks and sends what each gave."""
    task = steps.build(Job.parse(text), steps.Place.worker(handles.claim() if slot is None else slot, handles))
    for index in indices:
        try:
            answers.put((index, task.blocking(index, None)[0]))
        except Failure as failure:
            answers.put((index, failure))


def hold_for_ever(text: str, handles: Handles, held: Any) -> None:
    """A worker that takes the lock and keeps it."""
    handles.locks[1].acquire()
    held.set()
    time.sleep(600)


class Workers(StepCase):
    """Workers of one job, which share what `Shared` made for them."""

    def start(self, method: str, of: Job, slots: int = 2) -> Shared:
        self.context: Any = multiprocessing.get_context(method)
        shared = Shared(of, self.context, slots)
        self.addCleanup(shared.close)
        self.answers = self.context.SimpleQueue()
        return shared

    def worker(self, *arguments: Any, target: Any = work) -> Any:
        process = self.context.Process(target=target, args=arguments)
        process.start()
        self.addCleanup(process.join)
        self.addCleanup(process.kill)
        return process

    def gather(self, count: int) -> Dict[int, Union[int, Failure]]:
        return dict(self.answers.get() for _ in range(count))


class Sharing(Workers):
    def test_workers_give_what_the_agent_gives_under_every_start_method(self) -> None:
        described = job(LOCK, QUEUE, EVENT, {"kind": "queue", "capacity": 1, "stage": WAIT}, {**LOCK, "hold": cpu()})
        sums = expected(in_agent(described))
        for method in METHODS:
            with self.subTest(method):
                shared = self.start(method, described)
                # As pools start their workers, and as a process is started for each task.
                self.worker(described.text(), None, shared.handles, list(range(0, TASKS, 2)), self.answers)
                self.worker(described.text(), None, shared.handles, list(range(1, TASKS, 2)), self.answers)
                self.assertEqual(self.gather(TASKS), {index: sums[index] for index in range(TASKS)})
                self.worker(described.text(), 1, shared.handles.only(1), [3], self.answers)
                self.assertEqual(self.gather(1), {3: sums[3]})
                shared.close()

    def test_each_worker_claims_another_slot(self) -> None:
        handles = self.start("fork", job(LOCK), slots=3).handles
        self.assertEqual([handles.claim() for _ in range(4)], [0, 1, 2, 0])

    def test_one_worker_at_a_time_holds_the_lock(self) -> None:
        described = job(LOCK, draw_ns=20_000_000)
        shared = self.start("fork", described)
        start_ns = time.monotonic_ns()
        self.worker(described.text(), 0, shared.handles, [0, 1, 2], self.answers)
        self.worker(described.text(), 1, shared.handles, [3, 4, 5], self.answers)
        self.gather(6)
        self.assertGreaterEqual(time.monotonic_ns() - start_ns, 6 * 20_000_000)

    def test_only_queues_and_events_have_peers(self) -> None:
        self.assertEqual(len(self.start("fork", job(LOCK, cpu(), WAIT)).pids()), 0)
        shared = self.start("fork", job(LOCK, QUEUE, EVENT))
        pids = shared.pids()
        self.assertEqual(len(set(pids)), 2)
        shared.close()
        self.assertEqual(shared.pids(), [])
        self.assertEqual([pid for pid in pids if Path(f"/proc/{pid}").exists()], [])

    def test_what_was_shared_is_given_back(self) -> None:
        for method in METHODS:
            with self.subTest(method):
                run = run_here(f"share_and_leave({method!r})", stderr=subprocess.PIPE)
                # A helper of multiprocessing complains of what a process did not give back.
                self.assertEqual((run.communicate(), run.returncode), ((b"left\n", b""), 0))

    def test_a_mixed_engine_shares_only_what_leaves_its_loop(self) -> None:
        described = job(LOCK, QUEUE, EVENT, cpu(), {**LOCK, "hold": cpu()}, {**QUEUE, "stage": WAIT})
        mixed = described._replace(candidate=described.candidate._replace(engine="asyncio+ProcessPoolExecutor"))
        found = [[is_shared(of, step_job) for step_job in of.steps] for of in (described, mixed)]
        self.assertEqual(found, [[True, True, True, False, True, True], [False, True, False, False, True, False]])
        # Workers make what they never run as the agent does.
        steps.build(mixed, steps.Place.worker(0, self.start("fork", mixed).handles))

    def test_a_reply_to_a_process_that_died_is_not_taken_for_ones_own(self) -> None:
        described = job(QUEUE)
        handles = self.start("fork", described).handles
        requests = handles.queues[1].requests
        # Closed at the end, with the thread that feeds it: other tests fork.
        self.addCleanup(requests.join_thread)
        self.addCleanup(requests.close)
        requests.put((0, 7))
        task = steps.build(described, steps.Place.worker(0, handles))
        for index in [5, 6]:
            self.assertEqual(task.blocking(index, None)[0], task.reference(index)[0])

    def test_a_worker_without_handles_is_told_so(self) -> None:
        descriptions: List[Dict[str, Any]] = [LOCK, QUEUE, EVENT]
        for description in descriptions:
            with self.assertRaises(Failure) as caught:
                steps.build(job(description), steps.Place.worker(0))
            self.assertEqual(caught.exception.kind, "setup")

    def test_failures_of_the_consumer_cross(self) -> None:
        failure = pickle.loads(pickle.dumps(Failure("task", "ValueError: no", "step 1 (queue)")))
        self.assertEqual((failure.kind, str(failure)), ("task", "step 1 (queue): ValueError: no"))


class Deaths(Workers):
    def test_a_peer_that_dies_is_named(self) -> None:
        for method in METHODS:
            for description, message in [
                (QUEUE, "the queue's consumer process ended before its item was done"),
                (EVENT, "the event's partner process ended before its answer"),
            ]:
                with self.subTest(method, kind=description["kind"]):
                    described = job(description)
                    shared = self.start(method, described)
                    self.worker(described.text(), 0, shared.handles, [0], self.answers)
                    self.assertIsInstance(self.gather(1)[0], int)
                    [pid] = shared.pids()
                    kill(pid)
                    self.worker(described.text(), 0, shared.handles, [1], self.answers)
                    failure = self.gather(1)[1]
                    assert isinstance(failure, Failure)
                    self.assertEqual((failure.kind, failure.message), ("worker", message))
                    shared.close()

    def test_a_lock_whose_holder_died_is_not_waited_for_without_end(self) -> None:
        described = job(LOCK, task_timeout_ns=300_000_000)
        shared = self.start("fork", described)
        held = self.context.Event()
        holder = self.worker(described.text(), shared.handles, held, target=hold_for_ever)
        held.wait()
        holder.kill()
        holder.join()
        self.worker(described.text(), 1, shared.handles, [0], self.answers)
        failure = self.gather(1)[0]
        assert isinstance(failure, Failure)
        self.assertEqual((failure.kind, failure.where), ("hang", "step 1 (lock)"))
        self.assertRegex(failure.message, "^the shared lock was not free within the task's timeout of 0.3 s")

    def test_a_peer_ends_with_its_agent(self) -> None:
        for method in METHODS:
            # A helper of multiprocessing complains of what a killed process could not give back.
            agent = run_here(f"be_an_agent({method!r})", stderr=subprocess.DEVNULL)
            with self.subTest(method), agent:
                assert agent.stdout is not None
                peers = [os.open(f"/proc/{int(pid)}", os.O_DIRECTORY) for pid in agent.stdout.readline().split()[1:]]
                self.assertEqual(len(peers), 2)
                agent.kill()
                for peer in peers:
                    while not has_ended(peer):
                        time.sleep(0.01)
                    os.close(peer)


def kill(pid: int) -> None:
    """Kills a process and waits until it has let go of its files, which a busy host may do a while later."""
    directory = os.open(f"/proc/{pid}", os.O_DIRECTORY)
    os.kill(pid, signal.SIGKILL)
    while not has_ended(directory):
        time.sleep(0.001)
    os.close(directory)


def has_ended(directory: int) -> bool:
    """Whether the process behind an open directory of /proc is gone, or waits to be reaped."""
    try:
        status = Path(f"/proc/self/fd/{directory}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(") ")[2].startswith("Z")


def run_here(call: str, stderr: int) -> subprocess.Popen[bytes]:
    """A Python process that calls one of the functions below."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import test_ipc; test_ipc.{call}"],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def share_and_leave(method: str) -> None:
    """Shares and closes while something else, as a pool would, still holds the handles; leaves as an agent does."""
    shared = Shared(job(LOCK, QUEUE, EVENT), multiprocessing.get_context(method), 2)
    handles = shared.handles
    shared.close()
    print("left", flush=True)  # noqa: T201
    del shared
    assert handles
    os._exit(0)


def be_an_agent(method: str) -> None:
    """Starts peers, says which, and waits to be killed."""
    shared = Shared(job(QUEUE, EVENT), multiprocessing.get_context(method), 2)
    print("pids", *shared.pids(), flush=True)  # noqa: T201
    time.sleep(600)
