"""What cannot cross to another process is named, with the way to it; and what crossing costs."""

from __future__ import annotations

import functools
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import unittest
from typing import Any, List, Optional, Tuple
from unittest import mock

from conbench_agent.steps import Place
from conbench_agent.task import Step
from conbench_agent.user.pickling import can_cross, can_return, cannot_send, explain, price
from user_support import FIXTURES, WHERE, FixtureCase, user_step

BY_PICKLING = "a process pool hands each item over by pickling: pass an identifier (a path, a URL, a key) instead"
ON_TOP = "write a function of its own name with `def`, at the top level of its module"


class CanCross(FixtureCase):
    def message(self, start_method: Optional[str] = "fork", **fields: Any) -> str:
        failure = can_cross(user_step(**fields), start_method)
        assert failure is not None
        self.assertEqual((failure.kind, failure.where), ("setup", WHERE))
        return failure.message

    def test_what_can(self) -> None:
        for fields in (
            {"function": "work:add_up", "items": "work:items"},
            {"function": "work:sha256"},
            {"function": "shop.scrape:fetch_and_parse", "items": "shop.scrape:items"},
            {"function": "unpicklable:shadowed"},
            {"function": "math:sqrt", "items": [4.0]},
        ):
            for start_method in ("fork", "spawn", "forkserver", None):
                self.assertIsNone(can_cross(user_step(**fields), start_method))

    def test_other_steps_have_nothing_to_hand_over(self) -> None:
        self.assertIsNone(can_cross(Step(), "spawn"))

    def test_functions(self) -> None:
        for name, says in [
            (
                "first_shadowed",
                ": it is not the same object as unpicklable.shadowed, the name by which another process would look for "
                f"it: a decorator or a later definition took that name; {ON_TOP}",
            ),
            (
                "a_bound_method",
                ".__self__._lock: cannot pickle '_thread.lock' object; a process pool pickles what it calls, with all "
                "that this holds: name a function written with `def`, and make what it needs in `setup`",
            ),
            (
                "a_partial",
                ".args[0]._lock: cannot pickle '_thread.lock' object; a process pool pickles what it calls, with all "
                "that this holds: name a function written with `def`, and make what it needs in `setup`",
            ),
        ]:
            self.assertEqual(self.message(function=f"unpicklable:{name}"), f"`function` unpicklable:{name}{says}")

    def test_functions_without_a_name_in_the_words_of_python(self) -> None:
        for name, says in [
            ("a_lambda", "a lambda has no name by which another process could find it"),
            (
                "a_local_function",
                "the function `inner` is defined inside `_make`, where another process cannot find it",
            ),
        ]:
            message = self.message(function=f"unpicklable:{name}")
            self.assertTrue(message.startswith(f"`function` unpicklable:{name}: {says} ("), message)
            self.assertRegex(
                message, r"Error: Can't (pickle|get) (local object )?['<](function )?(<lambda>|_make\.<locals>\.inner)"
            )
            self.assertTrue(message.endswith(f"; {ON_TOP}"), message)
            self.assertNotIn("0x", message)

    def test_nothing_is_asked_of_a_worker_that_inherits_its_task(self) -> None:
        for fields in ({"function": "unpicklable:a_lambda"}, {"function": "unpicklable:task", "items": [1]}):
            self.assertIsNone(can_cross(user_step(**fields), "fork", pickles_given=False))

    def test_items(self) -> None:
        self.assertEqual(
            self.message(function="unpicklable:task", items="unpicklable:items"),
            f"items[2].lines[0]['session']._lock: cannot pickle '_thread.lock' object; {BY_PICKLING}, or make it in "
            "`setup`",
        )

    def test_async_functions_need_a_loop(self) -> None:
        self.assertIn("only an `async_function`", self.message(async_function="wrong_async:afetch"))

    def test_a_module_that_starts_processes_on_import(self) -> None:
        with mock.patch.dict(os.environ, {"FIXTURE_START_METHOD": "fork"}):
            step = user_step(function="starts_processes:task")
        self.assertIsNone(can_cross(step, "fork"))
        self.assertIsNone(can_cross(step, None))
        for start_method in ("spawn", "forkserver"):
            failure = can_cross(step, start_method)
            assert failure is not None
            self.assertEqual(
                failure.message,
                "starts_processes starts processes when it is imported, and under `spawn` and `forkserver` every "
                'worker imports it again: put what starts them under `if __name__ == "__main__":`, or into `setup`',
            )


class SetsStartMethod(FixtureCase):
    def test_a_module_that_is_refused_says_what_to_do(self) -> None:
        # As in a worker that began by `spawn`.
        multiprocessing.set_start_method("spawn", force=True)
        self.addCleanup(multiprocessing.set_start_method, None, force=True)
        message = self.failure(lambda: user_step(function="spawning_once:work"), "setup").message
        self.assertTrue(message.startswith("spawning_once calls `set_start_method` where one is set already"), message)
        self.assertIn("give it `force=True`", message)


class StartsProcesses(FixtureCase):
    """Modules that start processes when they are imported, by a method that would import them again."""

    def test_they_are_stopped(self) -> None:
        for start_method in ("spawn", "forkserver"):
            with mock.patch.dict(os.environ, {"FIXTURE_START_METHOD": start_method}):
                message = self.failure(lambda: user_step(function="starts_processes:task"), "setup").message
                self.assertTrue(message.startswith("starts_processes starts processes when it is imported"), message)
        self.assertEqual(multiprocessing.active_children(), [])
        start = multiprocessing.process.BaseProcess.start
        self.assertEqual(start.__module__, "multiprocessing.process", "nothing is left in its place")

    def test_also_where_multiprocessing_was_not_yet_imported(self) -> None:
        script = """
            import os, sys
            from user_support import user_step
            from conbench_agent.protocol import Failure
            from conbench_agent.user.loading import started_processes

            before = "multiprocessing.process" in sys.modules
            try:
                user_step(function="starts_processes:task")
                print(before, started_processes("starts_processes:task"))
            except Failure as failure:
                print(before, failure.message.split(",")[0])
            import multiprocessing.process
            print(multiprocessing.process.BaseProcess.start.__module__)
        """
        for start_method, says in [
            ("fork", "False True"),
            ("spawn", "False starts_processes starts processes when it is imported"),
        ]:
            paths = [str(FIXTURES.parents[1] / "python"), *sys.path]
            run = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(script)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "FIXTURE_START_METHOD": start_method},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            self.assertEqual(run.stdout.splitlines(), [says, "multiprocessing.process"])


class Results(FixtureCase):
    def message(self, name: str) -> str:
        step = user_step(Place.worker(0, None), function=f"unpicklable:{name}")
        failure = can_return((step.blocking(3, None)[1],), 3, WHERE)
        assert failure is not None
        self.assertEqual((failure.kind, failure.where), ("task", WHERE))
        return failure.message

    def test_what_cannot_be_handed_back(self) -> None:
        plain = "a process pool hands each result back by pickling: return plain data, what was read and not its source"
        for name, says in [
            ("gives_a_session", f"._lock: cannot pickle '_thread.lock' object; {plain}"),
            ("gives_a_generator", f": cannot pickle 'generator' object; {plain}"),
            (
                "gives_a_local_class",
                ": the class `Point` is defined inside `gives_a_local_class`, where another process cannot find it; "
                "define it under its own name at the top level of its module",
            ),
        ]:
            self.assertEqual(self.message(name), f"the result of task 3{says}")

    def test_what_cannot_be_made_again(self) -> None:
        message = self.message("gives_refused")
        self.assertTrue(
            message.startswith(
                "the result of task 3: an object of type unpicklable.Refused is pickled but cannot be made again: "
                "TypeError: "
            ),
            message,
        )
        self.assertTrue(message.endswith("; give its class a `__reduce__` that says how it is made"), message)

    def test_what_can(self) -> None:
        self.assertIsNone(can_return((1, "a", None), 3))
        self.assertIsNone(cannot_send((), 3))
        self.assertIn("the item of task 3: cannot pickle", str(cannot_send((1, threading.Lock()), 3)))


class Holder:
    """Something that holds whatever it is given."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("never")


class Explain(unittest.TestCase):
    def way(self, value: object) -> str:
        message = explain(value, "it")
        assert message is not None
        return message.partition(": ")[0]

    def test_the_way_to_what_fails(self) -> None:
        lock = threading.Lock()
        parent, child = Holder(), Holder()
        parent.child, child.parent, parent.lock = child, parent, lock  # type: ignore[attr-defined]
        for value, way in [
            (lock, "it"),
            ([0, (1, {"a": lock})], "it[1][1]['a']"),
            ({3: Holder(left=1, right=[lock])}, "it[3].right[0]"),
            (Holder(one=Unpicklable()), "it.one"),
            (parent, "it.lock"),
            (child, "it.parent.lock"),
            (ValueError("a", lock), "it"),
        ]:
            self.assertEqual(self.way(value), way)

    def test_what_nests_too_deeply(self) -> None:
        value: List[Any] = []
        for _ in range(100_000):
            value = [value]
        self.assertIn("it nests too deeply for pickling", explain(value, "it") or "")

    def test_the_error_of_a_class_of_the_users(self) -> None:
        self.assertIn("it: RuntimeError: never; ", explain(Unpicklable(), "it") or "")

    def test_modules(self) -> None:
        self.assertIn("it.os: a module (`os`) cannot be pickled", explain(Holder(os=os), "it") or "")

    def test_what_multiprocessing_knows_beside_pickle(self) -> None:
        self.assertIsNone(explain([1, "a", Holder(b=2)], "it"))
        self.assertIsNone(explain("a".join, "it"))


class Paused:
    """What takes so many milliseconds of a clock to be pickled, one time after the other."""

    now_ns = 0

    def __init__(self, pauses: List[int], text: str = "") -> None:
        self._pauses, self._text, self.calls = pauses, text, 0

    def __call__(self) -> None:
        pass

    @classmethod
    def clock(cls) -> int:
        return cls.now_ns

    def __reduce__(self) -> Tuple[Any, ...]:
        self.calls += 1
        Paused.now_ns += self._pauses[self.calls - 1] * 1_000_000
        return str, (self._text,)


class Prices(unittest.TestCase):
    def test_bytes_and_time_of_each_part(self) -> None:
        found = price([functools.partial(len, "y" * 500)], ["x" * 1000, "x" * 3000], [None, "z" * 100])
        assert found.callable
        assert found.item
        assert found.result
        self.assertTrue(500 < found.callable.bytes < 600, found)
        self.assertTrue(2000 < found.item.bytes < 2200, found)
        self.assertTrue(50 < found.result.bytes < 100, found)
        self.assertGreater(min(part.ns for part in (found.callable, found.item, found.result)), 0)
        body: Any = found.body(5)
        self.assertAlmostEqual(body["bytes_per_task"], found.callable.bytes / 5 + found.item.bytes + found.result.bytes)
        self.assertEqual(body["tasks_per_callable"], 5)

    def test_an_interruption_is_no_price(self) -> None:
        interrupted, slow, large = Paused([100, 1, 2]), Paused([40, 30]), Paused([40], "x" * (2 << 20))
        clock = mock.Mock(side_effect=Paused.clock)
        with mock.patch("conbench_agent.user.pickling.time.perf_counter_ns", clock):
            found = price([interrupted], [slow], [large])
        self.assertEqual((interrupted.calls, slow.calls, large.calls), (3, 2, 1))
        self.assertEqual([part and part.ns for part in found], [1_000_000, 30_000_000, 40_000_000])

    def test_nothing_costs_nothing_and_what_cannot_be_pickled_has_no_price(self) -> None:
        found = price([], [None] * 3, [threading.Lock()])
        self.assertEqual(found, (None, None, None))
        self.assertEqual(found.body(), {"bytes_per_task": 0, "ns_per_task": 0, "tasks_per_callable": 1})


if __name__ == "__main__":
    unittest.main()
