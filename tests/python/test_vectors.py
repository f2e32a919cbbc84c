"""What this agent makes of the vectors: the same as the native one, whose tests make them."""

from __future__ import annotations

import json
import tempfile
import unittest
from typing import Any, Dict, List, Union

from conbench_agent import running
from conbench_agent.calibrate import reference
from conbench_agent.histogram import Histogram
from conbench_agent.meter import Usage
from conbench_agent.paced import Bucket
from conbench_agent.protocol import Failure, Go, Job, Rate, Reference, StepJob
from conbench_agent.sampler import Batch, Sampler, Settings, Window
from conbench_agent.steps.codec import Fault
from conbench_agent.steps.kernels import Input, input_seed
from conbench_agent.steps.stage import Draws
from conbench_agent.task import digest, pattern
from support import job
from test_codec import whole
from vectors import counts, inflated, load

GO_NS = 1_000_000_000


def arrival(told: Dict[str, Dict[str, int]]) -> Union[Batch, Window]:
    [(kind, fields)] = told.items()
    if kind == "window":
        return Window(**fields)
    return Batch(fields["tasks"], are_turns=kind == "turns")


class Steps(unittest.TestCase):
    def test_kernels(self) -> None:
        vectors = load("kernels")
        for case in vectors["patterns"]:
            made = pattern(case["bytes"], case["seed"])
            self.assertEqual((len(made), made[:8].hex()), (case["bytes"], case["begin"]), case)
            self.assertEqual(digest(made), case["digest"], case)
        for case in vectors["input_seeds"]:
            self.assertEqual(input_seed(case["seed"], case["step"], case["variant"]), case["input_seed"], case)
        for case in vectors["inputs"]:
            text = Input({"kernel": case["kernel"], "input_bytes": case["input_bytes"]}, case["seed"])._value
            self.assertEqual(digest(text), case["digest"], case)
        for case in vectors["kernels"]:
            made_input = Input({"kernel": case["kernel"], "input_bytes": case["input_bytes"]}, case["seed"])
            self.assertEqual(made_input.run(case["seed"], case["iterations"]), case["checksum"], case)

    def test_steps(self) -> None:
        for case in load("steps")["jobs"]:
            with tempfile.TemporaryDirectory() as directory:
                fields = {"seed": case["seed"], "payload": case["payload"], "directory": directory}
                whole_job = job([], server={"http_port": 1, "tcp_port": 2, "pid": 3}, **fields)
                whole_job["steps"] = case["steps"]
                made = reference(Reference(Job.parse(json.dumps(whole_job)), 0))
            self.assertEqual(made["tables"], case["tables"], case["steps"])

    def test_draws(self) -> None:
        for case in load("draws")["tables"]:
            # Every 16 entries have one of each sixteenth of the distribution; the others are not told.
            table: List[int] = (case["begin"] * 64)[:1024]
            for task, drawn in case["picks"]:
                table[task % 1024] = drawn
            draws = Draws(StepJob({}, 1, [table]), "")
            self.assertEqual([[task, draws.at(task)] for task, _ in case["picks"]], case["picks"])

    def test_http(self) -> None:
        for case in load("http")["streams"]:
            stream = case["stream"].encode()
            if "fault" in case:
                with self.assertRaises(Fault) as caught:
                    whole(stream)
                self.assertTrue(str(caught.exception).startswith(case["fault"]), (stream, caught.exception))
            else:
                self.assertEqual(whole(stream), (case["status"], case["body"].encode(), case["is_reusable"]), stream)


class Blocks(unittest.TestCase):
    def test_arrivals(self) -> None:
        for case in load("blocks")["arrivals"]:
            whole_job = Job.parse(json.dumps(job([], load=case["load"], turns=case["turns"])))
            found = running.arrival(Go(**case["go"]), whole_job, case["slots"], case["ramp_ns"])
            self.assertEqual(found, arrival(case["arrival"]), case)

    def test_ramps(self) -> None:
        for case in load("blocks")["ramps"]:
            found = running.ramp_ns(case["block"], case["mean_service_ns"], case["longest_service_ns"])
            self.assertEqual(found, case["ramp_ns"], case)

    def test_rates(self) -> None:
        for case in load("rates")["buckets"]:
            bucket = Bucket(Rate(**case["rate"]), case["empty_at_ns"])
            self.assertEqual([[tokens, bucket.holds_ns(tokens)] for tokens, _ in case["holds"]], case["holds"], case)
            taken = [[now, bucket.take(now), bucket.ready_ns] for now, _, _ in case["takes"]]
            self.assertEqual(taken, case["takes"], case)

    def test_histograms(self) -> None:
        for case in load("histograms")["histograms"]:
            histogram = Histogram()
            histogram.record_all(case["values"])
            text = histogram.encode()
            self.assertEqual(inflated(text).hex(), case["inflated"])
            self.assertEqual(counts(text), case["counts"])
            self.assertEqual([list(bucket) for bucket in histogram.buckets()], case["counts"])

    def test_sampler(self) -> None:
        for case in load("sampler")["blocks"]:
            with self.subTest(case["name"]):
                self.play(case)

    def play(self, case: Dict[str, Any]) -> None:
        """Has a sampler see what the native one saw, and compares what they make of it."""
        told = case["settings"]
        settings = Settings(**{**told, "arrival": arrival(told["arrival"]), "shards": told["slots"]})
        sampler = Sampler(settings, GO_NS)
        for event in case["events"]:
            self.see(sampler, event)
        for late_ns in case["stalls"]:
            sampler.stalled(late_ns)
        if "failed" in case["answer"]:
            with self.assertRaises(Failure) as raised:
                sampler.finish(3, "timed", Usage())
            self.assertEqual(raised.exception.to_frame(), case["answer"])
            return
        block = sampler.finish(3, "timed", Usage())
        del block["usage"]
        block.update({field: counts(str(block[field])) for field in ("service", "queueing")})
        expected = case["answer"]["block"]
        self.assertAlmostEqual(float(str(block.pop("tasks_in_window"))), expected.pop("tasks_in_window"), places=9)
        self.assertEqual(block, expected)

    def see(self, sampler: Sampler, event: Dict[str, Any]) -> None:
        """One event: a task begins, ends or fails, or there is none."""
        [(kind, what)] = event.items()
        if kind == "over":
            self.assertIsNone(sampler.next(), event)
        elif kind == "begin":
            slot, index, at_ns = what
            self.assertEqual(sampler.next(), index, event)
            sampler.lane(slot).begun_at(GO_NS + at_ns)
        else:
            slot, index, times = what[:3]
            done = (what[3], None) if kind == "end" else (0, Failure("task", "no"))
            submitted_ns, begin_ns, end_ns = (GO_NS + time for time in times)
            sampler.lane(slot).end(index, submitted_ns, begin_ns, end_ns, done)


if __name__ == "__main__":
    unittest.main()
