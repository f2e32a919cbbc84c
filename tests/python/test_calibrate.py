"""Calibration, and the reference of built-in steps."""

from __future__ import annotations

import json
import math
import unittest

from conbench_agent import steps
from conbench_agent.calibrate import calibrate, reference
from conbench_agent.protocol import Calibrate, Cpu, Job, Reference, Target
from conbench_agent.task import MODULUS
from support import job


class Iteration(unittest.TestCase):
    def test_one_is_measured_even_without_a_budget(self) -> None:
        for kernel in "loop", "primes", "sha256", "json", "deflate", "sort", "matrix":
            target = Target(Cpu(kernel, input_bytes=100, time_ns=1_000_000))
            body = calibrate(Calibrate(target, budget_ns=0))["iteration"]
            assert isinstance(body, dict)
            self.assertTrue(math.isfinite(body["best_ns"]) and body["best_ns"] > 0, kernel)


class References(unittest.TestCase):
    def test_the_reference_predicts_any_run_of_tasks(self) -> None:
        described = job(
            [{"kind": "cpu", "kernel": "loop", "input_bytes": 100}, {"kind": "wait", "time": {}}],
            payload={"input_bytes": 9, "output_bytes": 3},
        )
        described["steps"][1]["draws"] = [[1000, 2000]]
        read_job = Job.parse(json.dumps(described))
        body = reference(Reference(read_job, 0))
        tables = body["tables"]
        assert isinstance(tables, list)
        self.assertEqual([len(table) for table in tables], [16] * 3)
        self.assertEqual((body["results"], body["notes"]), ([], []))
        task = steps.build(read_job, steps.Place.agent())
        for index in (0, 5, 40):
            checksum, result = task.blocking(index, task.given(index))
            expected = sum(table[index % 16] for table in tables)
            self.assertEqual((checksum + task.received(result)) % MODULUS, expected % MODULUS)


if __name__ == "__main__":
    unittest.main()
