"""A Dask cluster: what is found out of it, and tasks on its workers, with the real package.

Where it is missing, most of this is skipped; with CONBENCH_REQUIRE_ENGINES set, that is a failure.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any, Callable, ContextManager, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple
from unittest import mock

import support
import vectors
from conbench_agent import steps
from conbench_agent.engines import dask_client, dask_cluster, dask_install, dask_ship, dask_survey
from conbench_agent.protocol import Cluster, Failure, Job
from support import AgentProcess
from test_worker_engines import CPU, GO, LOADS, of_session, python

SECOND = 10**9
IS_HERE = find_spec("distributed") is not None
IS_REQUIRED = "CONBENCH_REQUIRE_ENGINES" in os.environ
ECHO = python("unpicklable:task", items={"listed": [1, "a", None]})
#: Longer than any test.
FOR_EVER = {**GO, "window_ns": 10**12}


def needs_dask(kind: Any) -> Any:
    return unittest.skipIf(not IS_HERE and not IS_REQUIRED, "not here: distributed")(kind)


def asked(directory: str, **fields: Any) -> Dict[str, Any]:
    """The body of a request for a cluster."""
    return {"workers": 2, "directory": directory, "allow_remote": False, "budget_ns": SECOND // 4, **fields}


def on(address: str, *steps: Dict[str, Any], in_flight: int = 6, chunk: int = 1, **fields: Any) -> Dict[str, Any]:
    """A job for two threads of a cluster."""
    cluster = {"address": address, "threads": 2, **fields.pop("cluster", {})}
    sizes = {"in_flight": in_flight, "chunk": chunk}
    return support.job(list(steps), engine="dask", sizes=sizes, cluster=cluster, **fields)


def sleeping(time_ns: int) -> Dict[str, Any]:
    return {"kind": "sleep", "time": {"distribution": "fixed", "time_ns": time_ns}}


@contextmanager
def agent(**options: Any) -> Iterator[AgentProcess]:
    with AgentProcess(**options) as one:
        one.receive()
        yield one


@contextmanager
def local_cluster() -> Iterator[str]:
    """The address of a cluster that an agent keeps."""
    with TemporaryDirectory() as place, agent() as keeper:
        found = keeper.ask("cluster", asked(place))
        assert "failed" not in found, found
        yield found["address"]
        keeper.ask("bye", {})


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def far_away(port: int, delay_s: float) -> Iterator[int]:
    """A port of this host's that leads to another one by a long way: what goes through comes so much later."""
    listening = socket.create_server(("127.0.0.1", 0))
    ends: List[socket.socket] = [listening]

    def accept() -> None:
        with suppress(OSError):
            while True:
                near = listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", port))
                ends.extend([near, far])
                for source, sink in (near, far), (far, near):
                    on_its_way: SimpleQueue[Tuple[float, bytes]] = SimpleQueue()
                    threading.Thread(target=take, args=(source, on_its_way), daemon=True).start()
                    threading.Thread(target=give, args=(sink, on_its_way), daemon=True).start()

    def take(source: socket.socket, on_its_way: SimpleQueue[Tuple[float, bytes]]) -> None:
        data = b"."
        while data:
            data = b""
            with suppress(OSError):
                data = source.recv(1 << 16)
            on_its_way.put((time.monotonic() + delay_s, data))

    def give(sink: socket.socket, on_its_way: SimpleQueue[Tuple[float, bytes]]) -> None:
        data = b"."
        with suppress(OSError):
            while data:
                due, data = on_its_way.get()
                time.sleep(max(due - time.monotonic(), 0))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Running:
    """A scheduler that somebody started, and workers.

    `tls` are the options that name certificates; `before` is what the scheduler's process does first.
    """

    def __init__(self, place: str, tls: Sequence[str] = (), before: str = "") -> None:
        self._place = place
        self._tls = tls
        self.port = free_port()
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self.port}"
        options = ["--host", self.address.rpartition(":")[0], "--port", str(self.port), "--no-dashboard", *tls]
        self.scheduler = self._start("dask_scheduler", *options, before=before)
        self.workers: List[subprocess.Popen[bytes]] = []
        self._wait(lambda: self._listens(self.port))

    def add_worker(self, threads: int) -> None:
        options = ["--no-nanny", "--nthreads", str(threads), "--no-dashboard", "--local-directory", self._place]
        options += self._tls
        self.workers.append(self._start("dask_worker", self.address, *options))

    def end(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def _start(self, module: str, *arguments: str, before: str = "") -> subprocess.Popen[bytes]:
        run = f"{before}\nimport runpy; runpy.run_module('distributed.cli.{module}', run_name='__main__')"
        return subprocess.Popen(
            [sys.executable, "-c", run, *arguments],
            cwd=self._place,
            env={**os.environ, "DASK_TEMPORARY_DIRECTORY": self._place},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _listens(self, port: int) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False


@contextmanager
def running(threads: Optional[int] = 2, before: str = "") -> Iterator[Running]:
    with TemporaryDirectory() as place:
        one = Running(place, before=before)
        try:
            if threads is not None:
                one.add_worker(threads)
                found: Any = None
                deadline = time.monotonic() + 30
                # It takes its time to come, and is waited for but shortly.
                while time.monotonic() < deadline and (found is None or "has no worker" in str(found)):
                    with agent() as looking:
                        found = looking.ask("cluster", asked(place, address=one.address))
                assert "failed" not in found, found
                assert "start_ns" not in found, found
            yield one
        finally:
            one.end()


def asked_of_workers(address: str, expression: str) -> List[Any]:
    """What an expression gives on each worker."""
    with dask_client.load().Client(address, timeout=10) as client:
        return list(client.run(eval, expression).values())


def mean_ns(histogram: str) -> float:
    buckets = vectors.counts(histogram)
    return sum(value * count for value, count in buckets) / sum(count for _, count in buckets)


def listening_in(pids: Iterable[int]) -> Set[Tuple[str, int]]:
    """Where these processes listen: hosts in words if they are of IPv4, with ports."""
    inodes = set()
    for pid in pids:
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    inodes.add(os.readlink(descriptor))
    found = set()
    for table in "tcp", "tcp6":
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in inodes:
                host, port = local.split(":")
                words = socket.inet_ntoa(bytes.fromhex(host)[::-1]) if table == "tcp" else host
                found.add((words, int(port, 16)))
    return found


def is_gone(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


class DaskCase(unittest.TestCase):
    def check_gone(self, session: int) -> None:
        deadline = time.monotonic() + 20
        while of_session(session) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(of_session(session), set())


@needs_dask
class OnALocalCluster(DaskCase):
    """Tasks on the workers of a cluster that was started for them."""

    _cluster: ContextManager[str]
    address: str

    @classmethod
    def setUpClass(cls) -> None:
        cls._cluster = local_cluster()
        cls.address = cls._cluster.__enter__()

    @classmethod
    def tearDownClass(cls) -> None:
        cls._cluster.__exit__(None, None, None)

    def test_tasks_are_done_and_nothing_is_left(self) -> None:
        for chunk in 1, 3:
            job = on(self.address, CPU, ECHO, chunk=chunk, payload={"input_bytes": 99, "output_bytes": 7})
            with self.subTest(chunk=chunk), agent() as one:
                reference = one.ask("reference", {"job": job, "budget_ns": SECOND})
                ready = one.ask("job", job)
                self.assertNotIn("failed", ready)
                self.assertEqual(ready["pids"], [one.process.pid], "workers that it did not start are not its own")
                for number, kind in enumerate(["timed", "memory"]):
                    block = one.ask("go", {**GO, "block": number, "kind": kind, "first_index": 5})
                    self.assertNotIn("failed", block)
                    expected = sum(
                        table[index % 16] for table in reference["tables"] for index in range(5, 5 + block["tasks"])
                    )
                    self.assertEqual(block["checksum"], expected % 2**64)
                    self.assertEqual("serialisation" in block, kind == "memory")
                limited = one.ask("go", {**FOR_EVER, "block": 2, "most_tasks": 7})
                self.assertEqual(limited["tasks"], 7)
                verify = one.ask("go", {**GO, "kind": "verify", "first_index": 1, "most_tasks": 5})
                results = reference["results"]
                self.assertEqual(verify["results"], [results[index % 3] for index in range(1, 6)])
                self.assertEqual(one.ask("bye", {})["left_behind"], [])
                self.assertEqual(one.end(), 0)
                self.check_gone(one.process.pid)
                self.assertEqual(one.process.communicate(), (b"", b""))

    def test_a_batch_is_done_whole(self) -> None:
        for chunk in 1, 3:
            job = on(self.address, CPU, chunk=chunk, load=LOADS[1])
            with self.subTest(chunk=chunk), agent() as one:
                reference = one.ask("reference", {"job": job, "budget_ns": SECOND})
                self.assertNotIn("failed", one.ask("job", job))
                block = one.ask("go", {**GO, "first_index": 3})
                expected = sum(reference["tables"][0][index % 16] for index in range(3, 13))
                self.assertEqual((block["tasks"], block["checksum"]), (10, expected % 2**64))
                one.ask("bye", {})

    def test_items_and_results_cross_by_value(self) -> None:
        items: List[Any] = [{"a": [1, 2.5]}, "text", None, [True, "\u00e4"]]
        job = on(self.address, python("unpicklable:task", items={"listed": items}), chunk=2)
        with agent() as one:
            reference = one.ask("reference", {"job": job, "budget_ns": SECOND})
            self.assertNotIn("failed", one.ask("job", job))
            verify = one.ask("go", {**GO, "kind": "verify", "most_tasks": 8})
            self.assertEqual(verify["results"], reference["results"] * 2)

    def test_the_computing_of_workers_is_counted(self) -> None:
        job = on(self.address, CPU)
        job["steps"][0]["iterations"] = 200
        with agent() as one:
            self.assertNotIn("failed", one.ask("job", job))
            block = one.ask("go", {**GO, "window_ns": 200_000_000})
            computed = block["usage"]["user_ns"] + block["usage"]["system_ns"]
            self.assertGreater(computed, block["busy_ns"] // 8)

    def test_waits_overlap_on_all_workers(self) -> None:
        job = on(self.address, sleeping(20_000_000))
        job["steps"][0]["draws"] = [[20_000_000] * 1024]
        with agent() as one:
            self.assertNotIn("failed", one.ask("job", job))
            block = one.ask("go", {**GO, "window_ns": 500_000_000})
            self.assertGreater(block["busy_ns"], block["window_ns"])

    def test_the_time_in_a_worker_is_service_and_the_rest_queueing(self) -> None:
        # Six in flight on two threads: each waits for two others.
        job = on(self.address, sleeping(20_000_000))
        job["steps"][0]["draws"] = [[20_000_000] * 1024]
        with agent() as one:
            self.assertNotIn("failed", one.ask("job", job))
            block = one.ask("go", {**GO, "window_ns": 500_000_000})
            service, queueing = mean_ns(block["service"]), mean_ns(block["queueing"])
            self.assertGreaterEqual(service, 0.99 * 20_000_000)
            self.assertGreater(queueing, 1.5 * service)

    def test_a_rate_holds(self) -> None:
        rate = {"tasks": 50, "period_ns": SECOND, "burst": 1}
        with agent() as one:
            self.assertNotIn("failed", one.ask("job", on(self.address, CPU, rate=rate)))
            block = one.ask("go", {**GO, "window_ns": 200_000_000})
            self.assertGreater(block["tasks"], 0)
            self.assertLessEqual(block["tasks"], 2 + block["elapsed_ns"] * 50 // SECOND)

    def test_a_task_that_raises_is_the_answer(self) -> None:
        step = python("worker_faults:raises_later", items={"listed": [0] * 9 + [1]})
        for chunk in 1, 3:
            with self.subTest(chunk=chunk), agent() as one:
                self.assertNotIn("failed", one.ask("job", on(self.address, step, chunk=chunk)))
                failed = one.ask("go", FOR_EVER)["failed"]
                self.assertEqual((failed["kind"], failed["where"]), ("task", "step 1 (python)"))
                self.assertIn("ValueError: bad item 1", failed["message"])
                self.assertIn("raises_later", "\n".join(failed["traceback"]))
                self.assertEqual(one.end(), 1)
                self.assertEqual(one.process.communicate(), (b"", b""))

    def test_errors_are_counted_where_they_are_tolerated(self) -> None:
        step = python("worker_faults:raises_later", items={"listed": [0] * 3 + [1]})
        with agent() as one:
            job = on(self.address, step, tolerates_errors=True, load=LOADS[1])
            self.assertNotIn("failed", one.ask("job", job))
            block = one.ask("go", GO)
            self.assertEqual((block["tasks"], block["errors"]), (10, 2))

    def test_what_a_task_cannot_hand_back_is_told(self) -> None:
        step = python("worker_faults:hands_back_a_lock_later", items={"listed": [0] * 9 + [1]})
        with agent() as one:
            self.assertNotIn("failed", one.ask("job", on(self.address, step)))
            failed = one.ask("go", FOR_EVER)["failed"]
            self.assertEqual(failed["kind"], "task")
            self.assertIn("lock", failed["message"])

    def test_each_thread_is_set_up_once_and_torn_down_once(self) -> None:
        step = python("named:needs_thread", setup_thread="named:enter", teardown_thread="named:leave")
        with agent() as one:
            self.assertNotIn("failed", one.ask("job", on(self.address, step)))
            self.assertNotIn("failed", one.ask("go", GO))
            bye = one.ask("bye", {})
            self.assertNotIn("failed_teardown", bye)
            self.assertEqual(bye["left_behind"], [])

    def test_candidates_take_turns_on_one_cluster(self) -> None:
        with agent() as one, agent() as other:
            for each in one, other:
                self.assertNotIn("failed", each.ask("job", on(self.address, CPU)))
            for number in range(2):
                for each in one, other:
                    self.assertNotIn("failed", each.ask("go", {**GO, "block": number}))

    def test_a_cluster_that_is_not_what_it_was_is_refused(self) -> None:
        with agent() as one:
            failed = one.ask("job", on(self.address, CPU, cluster={"threads": 5}))["failed"]
            self.assertEqual(failed["kind"], "worker")
            self.assertIn("has 2 threads, and had 5", failed["message"])


@needs_dask
class Deaths(DaskCase):
    """What dies in the midst of a block."""

    def test_a_worker_that_a_task_ends(self) -> None:
        step = python("named:dies_later", items={"listed": [0] * 20 + [1]})
        with local_cluster() as address, agent() as one:
            self.assertNotIn("failed", one.ask("job", on(address, step)))
            failed = one.ask("go", FOR_EVER)["failed"]
            self.assertEqual(failed["kind"], "worker", failed)
            self.assertEqual(one.end(), 1)
            self.assertEqual(one.process.communicate(), (b"", b""))

    def test_the_last_worker_and_then_the_scheduler(self) -> None:
        for victim, words in ("worker", "none is left"), ("scheduler", "does not answer any more"):
            with self.subTest(victim), running() as cluster, agent() as one:
                self.assertNotIn("failed", one.ask("job", on(cluster.address, CPU)))
                process = cluster.scheduler if victim == "scheduler" else cluster.workers[0]
                timer = threading.Timer(0.5, process.kill)
                timer.start()
                failed = one.ask("go", FOR_EVER)["failed"]
                timer.join()
                self.assertEqual(failed["kind"], "worker")
                self.assertIn(words, failed["message"])
                self.assertEqual(one.end(), 1)
                self.assertEqual(one.process.communicate(), (b"", b""))


@needs_dask
class Found(DaskCase):
    """What is found out of a cluster, and what is wrong with an address."""

    def test_a_local_cluster_is_described_and_nothing_of_it_survives(self) -> None:
        with TemporaryDirectory() as place, agent() as one:
            found = one.ask("cluster", asked(place))
            self.assertNotIn("failed", found)
            self.assertEqual(len(found["workers"]), 2)
            for worker in found["workers"]:
                self.assertEqual((worker["is_here"], worker["threads"]), (True, 1))
                self.assertEqual(worker["python"], ".".join(map(str, sys.version_info[:3])))
                self.assertEqual(worker["distributed"], found["distributed"])
                self.assertGreater(worker["speed"], 0)
                self.assertIn(worker["pid"], found["pids"])
                self.assertEqual(worker["cores"], worker["host_cores"])
                self.assertTrue(1 <= worker["cores"] <= len(os.sched_getaffinity(0)), worker)
            self.assertEqual(len({worker["pid"] for worker in found["workers"]}), 2)
            self.assertEqual(found["scheduler"], found["distributed"])
            # The scheduler and both workers.
            self.assertEqual(len(found["pids"]), 3)
            self.assertTrue(all(os.path.exists(f"/proc/{pid}") for pid in found["pids"]))
            self.assertEqual(found["dispatch"]["in_flight"], 16)
            rates = "bytes_per_s", "there_bytes_per_s", "back_bytes_per_s"
            for figure in ("start_ns", "connect_ns", "round_trip_ns", *rates):
                self.assertGreater(found[figure], 0)
            self.assertGreater(found["dispatch"]["tasks_per_s"], 0)
            listening = listening_in(of_session(one.process.pid))
            # The scheduler, its HTTP server, and each worker.
            self.assertGreaterEqual(len(listening), 3)
            self.assertEqual({host for host, _ in listening}, {"127.0.0.1"})
            self.assertNotIn(8787, {port for _, port in listening})
            one.ask("bye", {})
            self.assertEqual(one.end(), 0)
            self.check_gone(one.process.pid)
            self.assertEqual(os.listdir(place), [])
            self.check_refuses(found["address"])
            self.assertEqual(one.process.communicate(), (b"", b""))

    def test_nothing_survives_an_agent_that_is_killed(self) -> None:
        with TemporaryDirectory() as place, agent() as one:
            address = one.ask("cluster", asked(place))["address"]
            one.process.send_signal(signal.SIGKILL)
            one.process.wait()
            self.check_gone(one.process.pid)
            self.check_refuses(address)
            self.assertEqual(os.listdir(place), [])

    def test_nothing_survives_the_end_of_requests(self) -> None:
        with TemporaryDirectory() as place, agent() as one:
            one.ask("cluster", asked(place))
            os.close(one._requests)
            one._requests = os.dup(2)
            self.assertEqual(one.end(), 0)
            self.check_gone(one.process.pid)
            self.assertEqual(os.listdir(place), [])

    def test_what_is_wrong_with_an_address_is_told(self) -> None:
        with self.mute() as mute, self.web() as web, TemporaryDirectory() as place:
            for address, words in [
                ("localhost", "is no address of a Dask scheduler: write tcp://HOST:PORT"),
                ("http://127.0.0.1:8786", "is no address of a Dask scheduler"),
                ("tcp://127.0.0.1:99999", "is no address of a Dask scheduler"),
                (f"tcp://127.0.0.1:{free_port()}", "no Dask scheduler answers at"),
                (f"tcp://127.0.0.1:{mute}", "is no Dask scheduler"),
                (f"tcp://127.0.0.1:{web}", "is no Dask scheduler"),
                (f"tls://127.0.0.1:{web}", "by TLS"),
            ]:
                with self.subTest(address), agent() as one:
                    failed = one.ask("cluster", asked(place, address=address))["failed"]
                    self.assertEqual(failed["kind"], "setup")
                    self.assertIn(words, failed["message"])
                    self.assertEqual(one.end(), 1)
                    self.assertEqual(one.process.communicate(), (b"", b""))

    def test_a_scheduler_of_another_version_is_told(self) -> None:
        mismatch = "Mismatched versions found"
        before = f"import distributed.versions as it; it.error_message = lambda *_: {{'error': {mismatch!r}}}"
        with running(threads=None, before=before) as cluster, TemporaryDirectory() as place, agent() as one:
            failed = one.ask("cluster", asked(place, address=cluster.address))["failed"]
            self.assertEqual(failed["kind"], "setup")
            ours = dask_client.load().__version__
            words = f"is of another version than distributed {ours} here, .*{mismatch}.*same version at both ends"
            self.assertRegex(failed["message"], words)
            self.assertEqual(one.end(), 1)
            self.assertEqual(one.process.communicate(), (b"", b""))
        # One that still speaks with this is named as it is.
        with running(before="import distributed; distributed.__version__ = '1.2.3'") as cluster, agent() as one:
            found = one.ask("cluster", asked("/tmp", address=cluster.address))
            self.assertEqual((found["scheduler"], found["distributed"]), ("1.2.3", ours))
            self.assertEqual([worker["distributed"] for worker in found["workers"]], [ours])

    @unittest.skipIf(which("openssl") is None, "not here: openssl")
    def test_a_cluster_is_used_by_tls(self) -> None:
        with TemporaryDirectory() as place:
            key, certificate = (os.path.join(place, name) for name in ("key.pem", "certificate.pem"))
            make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
            subprocess.run([*make, "-keyout", key, "-out", certificate], capture_output=True, check=True)
            cluster = Running(place, ["--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key])
            named = {"CA_FILE": certificate, "CLIENT__CERT": certificate, "CLIENT__KEY": key}
            names = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in named.items()}
            try:
                cluster.add_worker(2)
                self.check_uses(cluster.address, {**os.environ, **names}, place)
                with agent() as one:
                    failed = one.ask("cluster", asked(place, address=cluster.address))["failed"]
                    self.assertIn("by TLS", failed["message"])
                    self.assertIn("`distributed.comm.tls`", failed["message"])
            finally:
                cluster.end()

    def check_uses(self, address: str, env: Dict[str, str], place: str) -> None:
        found: Any = None
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and (found is None or "has no worker" in str(found)):
            with agent(env=env) as one:
                found = one.ask("cluster", asked(place, address=address))
        self.assertNotIn("failed", found)
        self.assertTrue(found["workers"][0]["address"].startswith("tls://127.0.0.1:"), found)
        with agent(env=env) as one:
            listening = [worker["address"] for worker in found["workers"]]
            self.assertNotIn("failed", one.ask("job", on(address, CPU, cluster={"workers": listening})))
            self.assertGreater(one.ask("go", GO)["tasks"], 0)
            one.ask("bye", {})

    def test_a_scheduler_without_workers_is_told(self) -> None:
        with running(threads=None) as cluster, TemporaryDirectory() as place, agent() as one:
            failed = one.ask("cluster", asked(place, address=cluster.address))["failed"]
            self.assertEqual(failed["kind"], "setup")
            self.assertIn("has no worker: start one", failed["message"])

    def test_a_module_that_workers_lack_is_told_and_can_be_sent(self) -> None:
        with running() as cluster, TemporaryDirectory() as place, TemporaryDirectory() as elsewhere:
            module = Path(place, "only_sent.py")
            module.write_text("def task():\n    return 7\n")
            step = {**python("only_sent:task"), "path": elsewhere}
            job = on(cluster.address, step)
            beside = {**os.environ, "PYTHONPATH": place}
            with agent(env=beside) as one:
                failed = one.ask("job", job)["failed"]
                self.assertEqual(failed["kind"], "setup")
                self.assertIn("the workers cannot import `only_sent`", failed["message"])
                self.assertIn("--cluster-upload", failed["message"])
            for _ in range(2):
                with agent(env=beside) as one:
                    sent = on(cluster.address, step, cluster={"upload": [str(module)]})
                    self.assertNotIn("failed", one.ask("job", sent))
                    self.assertNotIn("failed", one.ask("go", GO))
                    one.ask("bye", {})

    def test_a_worker_that_is_stopped_is_named(self) -> None:
        with running() as cluster, TemporaryDirectory() as place:
            cluster.workers[0].send_signal(signal.SIGSTOP)
            try:
                with agent() as one:
                    failed = one.ask("cluster", asked(place, address=cluster.address))["failed"]
                with agent() as one:
                    job = one.ask("job", on(cluster.address, CPU))["failed"]
            finally:
                cluster.workers[0].send_signal(signal.SIGCONT)
            for told in failed, job:
                self.assertEqual(told["kind"], "setup")
                self.assertRegex(
                    told["message"], r"the worker tcp://127.0.0.1:\d+ of the Dask cluster did not answer within"
                )

    def test_a_worker_that_stops_in_the_midst_of_a_look_is_named(self) -> None:
        with running() as cluster, mock.patch.multiple(dask_client, TASKS_S=1.0, ANSWER_S=1.0):
            process = cluster.workers[0]
            request = Cluster(**asked("/tmp", address=cluster.address))
            looked_at = dask_survey._Measured.tasks_per_s

            def stopping(*given: Any) -> float:
                process.send_signal(signal.SIGSTOP)
                return looked_at(*given)

            is_named = self.assertRaisesRegex(Failure, "the worker tcp://.* did not answer within 1 s")
            with mock.patch.object(dask_survey._Measured, "tasks_per_s", stopping), is_named:
                dask_survey.survey(request, cluster.address)
            process.send_signal(signal.SIGCONT)

    def test_threads_of_one_worker_are_each_set_up(self) -> None:
        step = python("named:needs_thread", setup_thread="named:enter", teardown_thread="named:leave")
        with running() as cluster, agent() as one:
            self.assertNotIn("failed", one.ask("job", on(cluster.address, step)))
            self.assertNotIn("failed", one.ask("go", GO))
            self.assertNotIn("failed_teardown", one.ask("bye", {}))
            self.assertFalse(is_gone(cluster.workers[0].pid))

    def test_what_failed_is_given_up_by_workers_that_live_on(self) -> None:
        text = """
import os

HERE = os.path.dirname(__file__)


def note(name):
    with open(os.path.join(HERE, name), "a") as file:
        file.write("one ")


def task(item):
    if item:
        raise ValueError(item)


def enter():
    note("entered")


def leave():
    note("left")
"""
        with running() as cluster, TemporaryDirectory() as place:
            Path(place, "fails_later.py").write_text(text)
            step = python("fails_later:task", setup="fails_later:enter", teardown="fails_later:leave")
            step.update(path=place, items={"listed": [0] * 9 + [1]})
            with agent() as one:
                self.assertNotIn("failed", one.ask("job", on(cluster.address, step)))
                self.assertIn("ValueError", one.ask("go", FOR_EVER)["failed"]["message"])
                self.assertEqual(one.end(), 1)
            left = Path(place, "left")
            deadline = time.monotonic() + 10
            while not left.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            noted = left.read_text(), Path(place, "entered").read_text()
            self.assertEqual(noted, ("one ", "one "))
            self.check_forgotten(cluster.address, place)
            # One whose module is missing there was told to its workers, too.
            with agent(env={**os.environ, "PYTHONPATH": place}) as one:
                elsewhere = {**step, "path": "/nowhere"}
                self.assertIn("cannot import", one.ask("job", on(cluster.address, elsewhere))["failed"]["message"])
                self.assertEqual(one.end(), 1)
            self.check_forgotten(cluster.address, "/nowhere")

    def test_a_module_that_was_edited_is_read_anew(self) -> None:
        with running() as cluster, TemporaryDirectory() as place:
            # A library that was installed below the folder is no module of the user's to be edited.
            installed = Path(place, "env", "site-packages")
            installed.mkdir(parents=True)
            Path(installed, "lasting.py").write_text("")
            top = f"import sys\nsys.path.append({str(installed)!r})\nimport lasting\nimport edited_beside\n"
            for answer in 7, 1234:
                Path(place, "edited.py").write_text(f"{top}\n\ndef task():\n    return edited_beside.ANSWER\n")
                Path(place, "edited_beside.py").write_text(f"ANSWER = {answer}\n")
                step = {**python("edited:task"), "path": place}
                with agent() as one, agent() as other:
                    reference = one.ask("reference", {"job": on(cluster.address, step), "budget_ns": SECOND})
                    for each in one, other:
                        self.assertNotIn("failed", each.ask("job", on(cluster.address, step)))
                    # What another candidate still needs stays.
                    other.ask("bye", {})
                    verify = one.ask("go", {**GO, "kind": "verify", "most_tasks": 1})
                    self.assertEqual(verify["results"], reference["results"][:1])
                    one.ask("bye", {})
                self.check_forgotten(cluster.address, place)
                self.assertEqual(asked_of_workers(cluster.address, "'lasting' in __import__('sys').modules"), [True])

    def test_what_a_killed_agent_left_is_given_up_before_the_next_session(self) -> None:
        with running() as cluster, TemporaryDirectory() as place:
            for answer in 7, 1234:
                Path(place, "killed.py").write_text(f"def task():\n    return {answer}\n")
                step = {**python("killed:task"), "path": place}
                with agent() as looking, agent() as one:
                    self.assertNotIn("failed", looking.ask("cluster", asked(place, address=cluster.address)))
                    reference = one.ask("reference", {"job": on(cluster.address, step), "budget_ns": SECOND})
                    self.assertNotIn("failed", one.ask("job", on(cluster.address, step)))
                    verify = one.ask("go", {**GO, "kind": "verify", "most_tasks": 1})
                    self.assertEqual(verify["results"], reference["results"][:1])
                    # Who still lives keeps what is its own.
                    self.assertNotIn("failed", looking.ask("cluster", asked(place, address=cluster.address)))
                    self.assertNotIn("failed", one.ask("go", {**GO, "block": 1, "most_tasks": 1}))
                    one.process.send_signal(signal.SIGKILL)
                    one.process.wait()
            with agent() as looking:
                self.assertNotIn("failed", looking.ask("cluster", asked(place, address=cluster.address)))
            self.check_forgotten(cluster.address, place)

    def check_forgotten(self, address: str, folder: str) -> None:
        """That workers hold nothing for a candidate, and look for no module in this folder."""
        desks = "len(__import__('sys').modules['conbench_agent.engines.dask_worker']._desks)"
        deadline = time.monotonic() + 10
        while any(asked_of_workers(address, desks)) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(asked_of_workers(address, desks), [0])
        (path,) = asked_of_workers(address, "__import__('sys').path")
        self.assertNotIn(folder, path)
        (files,) = asked_of_workers(
            address, "[getattr(each, '__file__', None) for each in list(__import__('sys').modules.values())]"
        )
        below = [file for file in files if file and file.startswith(folder) and "site-packages" not in file]
        self.assertEqual(below, [])

    def test_a_cluster_far_away_is_measured_and_runs_tasks(self) -> None:
        """A round trip takes longer than any wait for a result."""
        with running() as cluster, TemporaryDirectory() as place, far_away(cluster.port, 0.15) as port:
            address = f"tcp://127.0.0.1:{port}"
            with agent() as looking:
                found = looking.ask("cluster", asked(place, address=address, budget_ns=2 * SECOND))
            self.assertNotIn("failed", found)
            # All that are in flight come back in a round trip, and not one alone.
            self.assertGreater(found["dispatch"]["tasks_per_s"] * found["round_trip_ns"] / SECOND, 3)
            # A payload of the least size alone would tell of the way's length.
            self.assertGreater(found["bytes_per_s"] * found["round_trip_ns"] / SECOND, 4 * (64 << 10))
            with agent() as one:
                self.assertNotIn("failed", one.ask("job", on(address, CPU)))
                block = one.ask("go", {**FOR_EVER, "most_tasks": 7})
                self.assertEqual(block["tasks"], 7)
                self.assertEqual(one.ask("bye", {})["left_behind"], [])

    def check_refuses(self, address: str) -> None:
        host, _, port = address.partition("://")[2].rpartition(":")
        self.assertEqual(host, "127.0.0.1")
        with self.assertRaises(OSError):
            socket.create_connection((host, int(port)), 5).close()

    @contextmanager
    def mute(self) -> Iterator[int]:
        """A port that takes connections and says nothing."""
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            one.listen()
            yield one.getsockname()[1]

    @contextmanager
    def web(self) -> Iterator[int]:
        """A port that answers each connection with words of its own."""
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            one.listen()

            def answer() -> None:
                with suppress(OSError):
                    while True:
                        line, _ = one.accept()
                        with line, suppress(OSError):
                            line.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

            threading.Thread(target=answer, daemon=True).start()
            yield one.getsockname()[1]
            one.shutdown(socket.SHUT_RDWR)


class Without(unittest.TestCase):
    """What needs no package."""

    def test_who_misses_the_package_says_so(self) -> None:
        with AgentProcess() as one:
            hello = one.receive()["hello"]
        absent = {each["engine"]: each["reason"] for each in hello["absent"]}
        if IS_HERE:
            self.assertIn({"engine": "dask"}, hello["engines"])
        else:
            self.assertEqual(absent["dask"], "the package distributed cannot be imported here")

    def test_a_package_that_cannot_be_imported_is_told(self) -> None:
        with TemporaryDirectory() as place:
            Path(place, "distributed.py").write_text("raise ImportError('it is broken')\n")
            for address in {}, {"address": "tcp://127.0.0.1:1"}:
                with self.subTest(**address), agent(env={**os.environ, "PYTHONPATH": place}) as one:
                    failed = one.ask("cluster", asked(place, **address))["failed"]
                    self.assertEqual(failed["kind"], "setup")
                    self.assertIn("install it with `pip install distributed`", failed["message"])

    def test_the_package_comes_into_a_process_without_it(self) -> None:
        """Another version takes its place, unless that one is at work."""
        digest, packed = dask_ship._package()
        text = """
import sys
space = {"__name__": "alone"}
exec(open(sys.argv[1]).read(), space)
packed = sys.stdin.buffer.read()
install, told = space["install"], []
told.append(install("one", packed))
worker = sys.modules["conbench_agent.engines.dask_worker"]
told.append(install("one", packed))
assert sys.modules["conbench_agent.engines.dask_worker"] is worker
told.append(install("two", packed))
worker = sys.modules["conbench_agent.engines.dask_worker"]
try:
    worker.get_ready("someone", 1, "{}", b"", None)
except BaseException:
    worker._desks["someone"] = None
told.append(install("three", packed))
print(told, sys.modules["conbench_agent"].DIGEST, sum(hasattr(each, "is_conbenchs") for each in sys.meta_path))
"""
        ran = subprocess.run(
            [sys.executable, "-I", "-c", text, dask_install.__file__], input=packed, capture_output=True, check=True
        )
        busy = "it runs tasks for another version of conbench"
        self.assertEqual(ran.stdout.decode().strip(), f"{['', '', '', busy]} two 1")
        self.assertEqual(len(digest), 64)

    def test_what_is_submitted_crosses_by_reference(self) -> None:
        """A scheduler without the package unpickles each task, and pickles it again for the worker."""

        class Client:
            def submit(self, *call: object, **options: object) -> Tuple[object, ...]:
                self.options = options
                return call

        client = Client()
        call = dask_ship.submit(client, "carry", "both", b"data", 4, workers=["a"])
        self.assertEqual((client.options["workers"], client.options["pure"]), (["a"], False))
        self.assertTrue(str(client.options["key"]).startswith("carry-"))
        text = """
import pickle, sys
function, *given = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps((function, *given)))
assert not [name for name in sys.modules if name.startswith("conbench")]
"""
        sent = pickle.dumps(call)
        ran = subprocess.run([sys.executable, "-I", "-c", text], input=sent, capture_output=True, check=True)
        function, *given = pickle.loads(ran.stdout)
        self.assertEqual(function(*given), b"data")

    def test_nothing_is_asked_of_workers_elsewhere(self) -> None:
        class Scheduler:
            """What it is asked beyond these is asked of workers."""

            def __init__(self, *addresses: str) -> None:
                self._addresses = addresses

            def wait_for_workers(self, count: int, timeout: float) -> None:
                pass

            def nthreads(self) -> Dict[str, int]:
                return dict.fromkeys(self._addresses, 1)

            @property
            def loop(self) -> None:
                raise LookupError("a worker was asked")

        request = Cluster(**asked("/tmp"))
        near, far = "tcp://127.0.0.1:4", "tcp://192.0.2.7:4"
        with self.assertRaisesRegex(Failure, f"the worker {far} is on another host.* needs --allow-remote"):
            dask_survey._survey(Scheduler(near, far), request, near, 1)
        for cluster, allow in (Scheduler(near, "tls://127.0.0.2:5"), False), (Scheduler(far), True):
            with self.assertRaises(LookupError):
                dask_survey._survey(cluster, request._replace(allow_remote=allow), near, 1)

    def test_nothing_is_sent_to_a_worker_elsewhere_that_came_after_the_look(self) -> None:
        near, far = "tcp://127.0.0.1:4", "tcp://192.0.2.7:4"

        class Client:
            """What it is asked beyond these is asked of workers."""

            id = "Client-1"

            def __init__(self, address: str) -> None:
                self.status = "running"
                self._address = address

            def nthreads(self) -> Dict[str, int]:
                return {self._address: 2}

            def close(self, timeout: float) -> None:
                self.status = "closed"

            @property
            def loop(self) -> None:
                raise LookupError("a worker was asked")

        def begun(there: str, found: Optional[List[str]]) -> None:
            job = Job.parse(json.dumps(on(near, CPU, cluster={"workers": found} if found else {})))
            with mock.patch.object(dask_client, "connect", return_value=Client(there)):
                dask_cluster.DaskCluster(job, steps.build(job, steps.Place.agent()))

        with self.assertRaisesRegex(Failure, f"the worker {far} came to the Dask cluster after it was looked at"):
            begun(far, [near])
        # One that was seen may be asked, and one on this host that took the place of another.
        for there, found in (far, [far]), (near, ["tcp://127.0.0.1:5"]), (far, None):
            with self.assertRaisesRegex(Failure, "LookupError: a worker was asked"):
                begun(there, found)

    def test_workers_that_cannot_be_used_are_refused(self) -> None:
        here = ".".join(map(str, sys.version_info[:3]))
        worker = dask_survey._Worker("tcp://10.0.0.2:1", "far", False, 1, here, "1")
        request = Cluster(**asked("/tmp"))
        with self.assertRaisesRegex(Failure, r"on another host \(far\).* needs --allow-remote"):
            dask_survey._check([worker], request)
        allowed = request._replace(allow_remote=True)
        dask_survey._check([worker], allowed)
        with self.assertRaisesRegex(Failure, "runs Python 2.7.18, and .* equal minor versions"):
            dask_survey._check([worker._replace(python="2.7.18")], allowed)


if __name__ == "__main__":
    unittest.main()
