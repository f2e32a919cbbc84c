"""Frames: what is read, what is refused, and failures that cross."""

from __future__ import annotations

import json
import pickle
import unittest
from typing import Any, Dict

from conbench_agent.protocol import Bye, Cluster, Failure, Go, Job, Joined, Own, OwnExecutor, Probe, Server, parse
from support import job

WAIT: Dict[str, Any] = {"kind": "wait", "time": {"distribution": "fixed", "time_ns": 5}}


def read(name: str, body: Any) -> Any:
    return parse(json.dumps({name: body}).encode())


class Requests(unittest.TestCase):
    def test_requests_are_read_into_their_types(self) -> None:
        go = read("go", {"block": 1, "kind": "timed", "window_ns": 5, "first_index": 2})
        self.assertEqual(go, Go(1, "timed", 5, 2, None))
        self.assertEqual(read("go", {**go._asdict(), "most_tasks": 9}).most_tasks, 9)
        self.assertIsInstance(read("bye", {}), Bye)
        read_job = read("job", job([WAIT], server={"http_port": 1, "tcp_port": 2, "pid": 3}, sizes={"workers": 4}))
        self.assertEqual(read_job.server, Server(1, 2, 3))
        self.assertEqual((read_job.candidate.sizes.workers, read_job.candidate.sizes.concurrency), (4, 4))
        self.assertEqual((read_job.steps[0].step["kind"], read_job.directory), ("wait", None))

    def test_an_executor_of_the_users_is_read(self) -> None:
        body = job([WAIT], executor_path="/shop")
        body["candidate"]["engine"] = {"own": {"factory": "pools:make", "model": "threads", "fixed_workers": 2}}
        read_job = read("job", body)
        self.assertEqual(read_job.candidate.engine, Own(OwnExecutor("pools:make", "threads", False, 2)))
        self.assertEqual(Job.parse(read_job.text()), read_job)
        body["candidate"]["engine"] = {"own": {"factory": "pools:make"}}
        with self.assertRaisesRegex(Failure, "has no field `model`"):
            read("job", body)
        self.assertEqual(read("probe", {"factory": "pools:make"}), Probe("pools:make"))

    def test_a_cluster_is_read(self) -> None:
        body = {"workers": 2, "directory": "/tmp", "allow_remote": False, "budget_ns": 5}
        self.assertEqual(read("cluster", body), Cluster(2, "/tmp", False, 5, None))
        self.assertEqual(read("cluster", {**body, "address": "tcp://a:1"}).address, "tcp://a:1")
        joined = {"address": "tcp://a:1", "threads": 2, "upload": ["/shop.py"]}
        read_job = read("job", job([WAIT], cluster=joined))
        self.assertEqual(read_job.cluster, Joined("tcp://a:1", 2, ["/shop.py"]))
        self.assertEqual(Job.parse(read_job.text()), read_job)
        with self.assertRaisesRegex(Failure, "unknown field `port` in `cluster`"):
            read("cluster", {**body, "port": 1})

    def test_a_job_survives_its_text(self) -> None:
        server = {"http_port": 1, "tcp_port": 2, "pid": 3}
        for body in job([WAIT, WAIT]), job([WAIT], directory="/tmp", server=server):
            read_job = read("job", body)
            self.assertEqual(Job.parse(read_job.text()), read_job)

    def test_what_is_not_as_described_is_refused_by_its_path(self) -> None:
        good = job([WAIT])
        for name, body, words in [
            ("job", {**good, "surprise": 1}, "unknown field `surprise` in `job`"),
            ("job", {**good, "seed": True}, "`job.seed` is not of type int"),
            ("job", {**good, "seed": "1"}, "`job.seed` is not of type int"),
            ("job", {**good, "payload": []}, "`job.payload` is not an object"),
            ("job", {**good, "payload": {"input_bytes": 1}}, "`job.payload` has no field `output_bytes`"),
            ("job", {**good, "steps": [{"step": WAIT, "iterations": 1, "draws": [["x"]]}]}, "draws[0][0]` is not of"),
            ("job", job([{"kind": "warp"}]), "is not the kind of any step: 'warp'"),
            ("job", job([{**WAIT, "more": 1}]), "unknown field `more` in `job.steps[0].step`"),
            ("job", job([{"kind": "wait"}]), "`job.steps[0].step` has no field `time`"),
            ("bye", {"now": 1}, "unknown field `now` in `bye`"),
        ]:
            with self.subTest(words), self.assertRaises(Failure) as refused:
                read(name, body)
            self.assertEqual(refused.exception.kind, "protocol")
            self.assertIn(words, refused.exception.message)

    def test_what_is_no_frame_is_refused(self) -> None:
        for line in b"", b"{", b"[]", b"{}", b'{"bye":{},"go":{}}', b"\xff":
            with self.subTest(line), self.assertRaisesRegex(Failure, "does not understand"):
                parse(line)


class Failures(unittest.TestCase):
    def test_a_failure_crosses_by_pickling(self) -> None:
        failure = Failure("task", "ValueError: bad", "step 1 (python)", ["  File .."])
        crossed = pickle.loads(pickle.dumps(failure))
        self.assertEqual(crossed.to_frame(), failure.to_frame())
        self.assertEqual(str(crossed), "step 1 (python): ValueError: bad")
        self.assertEqual(str(Failure("setup", "no")), "no")

    def test_a_frame_has_a_traceback_only_where_there_is_one(self) -> None:
        body = Failure("setup", "no").to_frame()["failed"]
        self.assertEqual(body, {"kind": "setup", "message": "no", "where": ""})

    def test_a_failure_stands_for_itself_and_another_error_names_its_last_frame(self) -> None:
        failure = Failure("task", "bad")
        self.assertIs(Failure.of(failure), failure)
        try:
            raise KeyError("key")
        except KeyError as error:
            self.assertRegex(
                Failure.of(error).message, r"^KeyError: 'key', in test_a_fail.+ \(test_protocol\.py:\d+\)$"
            )


if __name__ == "__main__":
    unittest.main()
