"""Executors of the user's own, each in a real agent: what a probe finds, and what a candidate does."""

from __future__ import annotations

import os
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, Iterator, List
from unittest import mock

import support
from conbench_agent.engines import own_factory, own_probe, own_worker
from conbench_agent.protocol import Failure
from support import AgentProcess

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "executors"
IS_REQUIRED = "CONBENCH_REQUIRE_ENGINES" in os.environ
MS = 10**6

PEBBLE = """
from pebble import ProcessPool


class Pool:
    def __init__(self, workers):
        self._pool = ProcessPool(max_workers=workers)

    def submit(self, fn, *args):
        return self._pool.schedule(fn, args=args)

    def shutdown(self, wait=True):
        self._pool.close()
        if wait:
            self._pool.join()
"""


@contextmanager
def agent(directory: Path = FIXTURES) -> Iterator[AgentProcess]:
    with AgentProcess(cwd=str(directory)) as one:
        one.receive()
        yield one


def probe(factory: str, directory: Path = FIXTURES) -> Dict[str, Any]:
    with agent(directory) as one:
        found: Dict[str, Any] = one.ask("probe", {"factory": factory})
        return found


def job(factory: str, model: str, workers: int, **fields: Any) -> Dict[str, Any]:
    step = {
        "kind": "python",
        "path": str(FIXTURES),
        "check": "none",
        "items": {"named": "work:items"},
        "function": "work:wait",
    }
    step.update(fields.pop("step", {}))
    one = support.job([step], sizes={"workers": workers}, **fields)
    one["candidate"]["engine"] = {"own": {"factory": factory, "model": model}}
    return one


def go(number: int, kind: str = "timed", **fields: Any) -> Dict[str, Any]:
    return {"block": number, "kind": kind, "window_ns": 100 * MS, "first_index": 0, **fields}


class Probes(unittest.TestCase):
    def test_what_an_executor_is_shows_in_what_it_does(self) -> None:
        self.assertEqual(probe("pools:threads"), {"model": "threads", "is_context": True})
        self.assertEqual(probe("pools:processes"), {"model": "processes", "is_context": True})
        self.assertEqual(probe("pools:Plain"), {"model": "threads", "is_context": False})
        self.assertEqual(probe("executors/pools.py:Plain", FIXTURES.parent), {"model": "threads", "is_context": False})

    def test_who_ignores_the_number_of_workers_is_found(self) -> None:
        self.assertEqual(probe("pools:one_thread")["fixed_workers"], 1)
        found = probe("pools:three_processes")
        self.assertEqual((found["model"], found["fixed_workers"]), ("processes", 3))

    def test_who_runs_tasks_on_another_host_is_found(self) -> None:
        self.assertEqual(probe("pools:another_host")["host"], "elsewhere")

    def test_whatever_is_wrong_is_told_in_one_error(self) -> None:
        wrong = {
            "pools:Endless": "did not hand back a task within 10 s",
            "pools:raises": "`pools:raises` raised ValueError: no 1 workers here when it was asked for 1 worker",
            "pools:without_arguments": "takes 0 positional arguments but 1 was given",
            "pools:gives_a_list": "gave a value of type list, which has no `submit` and `shutdown`",
            "pools:number": "is of type int, which cannot be called",
            "pools:nothing": "names `nothing`, which the module pools does not have",
            "polls:threads": "there is no module `polls`",
            "nowhere/pools.py:threads": "there is no such file",
            "pools:Futureless": "`submit` returns a value of type function",
            "pools:Forgetful": "futures give NoneType, not what the task returned",
            "pools:Inline": "runs a task within `submit`: that is a plain loop",
            "pools:Unbounded": "has no bound",
            "pools:Doubled": "does not heed the number of workers: asked for 1 it runs 2 tasks at once",
        }
        with ThreadPoolExecutor(max_workers=3) as at_once:
            found = dict(zip(wrong, at_once.map(probe, wrong)))
        for factory, words in wrong.items():
            with self.subTest(factory):
                failed = found[factory]["failed"]
                self.assertIn(words, failed["message"])
                is_name = factory in ("pools:nothing", "polls:threads")
                self.assertEqual(failed["kind"], "name" if is_name else "setup")

    def test_a_factory_that_hangs_is_given_up(self) -> None:
        factory = own_factory.Factory("pools.py:never_built", str(FIXTURES))
        with mock.patch.object(own_probe, "BUILD_S", 0.1), self.assertRaisesRegex(Failure, "within 0.1 s: it hangs"):
            own_probe._build(factory, 1)


class Candidates(unittest.TestCase):
    def test_tasks_run_once_each_under_every_load(self) -> None:
        for factory, model in [
            ("pools:threads", "threads"),
            ("pools:Plain", "threads"),
            ("pools:processes", "processes"),
        ]:
            for load in ({"mode": "closed", "max_in_flight": 64}, {"mode": "batch", "tasks": 30, "max_in_flight": 64}):
                with self.subTest(factory, load=load["mode"]), agent() as one:
                    ready = one.ask("job", job(factory, model, 3, load=load))
                    self.assertNotIn("failed", ready)
                    if model == "processes":
                        self.assertGreaterEqual(len(ready["pids"]), 4)
                    block = one.ask("go", go(1, most_tasks=30))
                    self.assertEqual(block["tasks"], 30)
                    self.assertEqual(len(one.ask("go", go(2, "verify", first_index=30, most_tasks=8))["results"]), 8)
                    if model == "processes":
                        self.assertGreater(one.ask("go", go(3, "memory"))["serialisation"]["bytes_per_task"], 0)
                    bye = one.ask("bye", {})
                    self.assertEqual(bye["left_behind"], [])
                    self.assertEqual(one.end(), 0)

    def test_a_rate_holds_tasks_back(self) -> None:
        for factory, model in [("pools:threads", "threads"), ("pools:processes", "processes")]:
            with self.subTest(factory), agent() as one:
                rate = {"tasks": 1, "period_ns": 5 * MS, "burst": 1}
                self.assertNotIn("failed", one.ask("job", job(factory, model, 2, rate=rate)))
                block = one.ask("go", go(1, most_tasks=12))
                self.assertEqual(block["tasks"], 12)

    def test_workers_are_set_up_and_torn_down(self) -> None:
        for factory, model in [("pools:threads", "threads"), ("pools:processes", "processes")]:
            with self.subTest(factory), agent() as one:
                step = {"function": "work:checked", "setup_thread": "work:ready", "teardown_thread": "work:ready"}
                self.assertNotIn("failed", one.ask("job", job(factory, model, 2, step=step)))
                self.assertEqual(one.ask("go", go(1, most_tasks=20))["tasks"], 20)
                self.assertNotIn("failed_teardown", one.ask("bye", {}))

    def test_a_task_that_runs_for_long_is_not_lost(self) -> None:
        for factory, model in [("pools:threads", "threads"), ("pools:processes", "processes")]:
            with self.subTest(factory), agent() as one:
                step = {"function": "work:long_at_last"}
                self.assertNotIn("failed", one.ask("job", job(factory, model, 2, step=step)))
                self.assertEqual(one.ask("go", go(1, most_tasks=8))["tasks"], 8)
                one.ask("bye", {})

    def test_who_runs_no_teardown_is_told(self) -> None:
        with agent() as one:
            step = {"function": "work:checked", "setup_thread": "work:ready", "teardown_thread": "work:ready"}
            self.assertNotIn("failed", one.ask("job", job("pools:Deaf", "processes", 2, step=step)))
            self.assertEqual(one.ask("go", go(1, most_tasks=20))["tasks"], 20)
            failed = one.ask("bye", {})["failed_teardown"]
            self.assertIn("`pools:Deaf` tore down 0 of 2 workers within 3 s: it runs no more calls", failed["message"])

    def test_another_number_of_tasks_at_once_is_no_such_size(self) -> None:
        cases = [
            ("pools:at_most_three", "threads", 4, "3 tasks"),
            ("pools:three_processes", "processes", 2, "more tasks"),
        ]
        for factory, model, workers, words in cases:
            with self.subTest(factory), agent() as one:
                failed = one.ask("job", job(factory, model, workers))["failed"]
                self.assertIn(f"`{factory}` was asked for {workers} workers and runs {words}", failed["message"])

    def test_who_misbehaves_later_is_found(self) -> None:
        cases = [
            ("pools:Loses", "threads", "hang", "it lost what it was given, or hangs"),
            ("pools:LosesInProcesses", "processes", "hang", "it lost what it was given, or hangs"),
            ("pools:Twice", "threads", "checksum", "more than once"),
            ("pools:TwiceInProcesses", "processes", "checksum", "ran tasks more than once"),
            ("pools:TwiceElsewhere", "processes", "checksum", "ran tasks more than once"),
        ]
        for factory, model, kind, words in cases:
            with self.subTest(factory), agent() as one:
                self.assertNotIn("failed", one.ask("job", job(factory, model, 2)))
                # So many tasks, however long a busy host takes for them: what it does wrong begins with the 80th.
                failed = one.ask("go", go(1, window_ns=60_000 * MS, most_tasks=200))["failed"]
                self.assertEqual(failed["kind"], kind)
                self.assertIn(words, failed["message"])
                self.assertIn(f"`{factory}`", failed["message"])


class Numbers(unittest.TestCase):
    def test_workers_that_join_at_once_have_numbers_of_their_own(self) -> None:
        with TemporaryDirectory() as folder, ThreadPoolExecutor(8) as workers:
            office = own_worker.Office(folder)
            claimed = sorted(workers.map(lambda _: office.claim(), range(800)))
        self.assertEqual(claimed, list(range(800)))


class Packages(unittest.TestCase):
    def test_real_packages_are_processes_and_run_every_task(self) -> None:
        missing: List[str] = []
        for package, factory in [("loky", "loky:ProcessPoolExecutor"), ("pebble", "pebbles:Pool")]:
            if find_spec(package) is None:
                self.assertFalse(IS_REQUIRED, f"{package} is missing")
                missing.append(package)
                continue
            with self.subTest(package), TemporaryDirectory() as directory:
                Path(directory, "pebbles.py").write_text(PEBBLE, encoding="utf-8")
                self.assertEqual(probe(factory, Path(directory))["model"], "processes")
                with agent(Path(directory)) as one:
                    self.assertNotIn("failed", one.ask("job", job(factory, "processes", 2)))
                    self.assertEqual(one.ask("go", go(1, most_tasks=30))["tasks"], 30)
                    self.assertEqual(one.ask("bye", {})["left_behind"], [])
        if missing:
            self.skipTest(f"missing: {', '.join(missing)}")


if __name__ == "__main__":
    unittest.main()
