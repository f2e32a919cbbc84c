"""What a step names is found, or it is said what to do."""

from __future__ import annotations

import functools
import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, List
from unittest import mock

from conbench_agent.user import caller
from conbench_agent.user.items import Reading
from conbench_agent.user.loading import Loader, put_first
from user_support import FIXTURES, WHERE, FixtureCase, user_step


def load(name: str, path: str = str(FIXTURES)) -> object:
    return Loader(path, WHERE).load(name, "function")


class Found(FixtureCase):
    def test_functions_in_packages_and_attributes_of_attributes(self) -> None:
        self.assertEqual(load("shop.scrape:fetch_and_parse").__name__, "fetch_and_parse")  # type: ignore[attr-defined]
        self.assertEqual(load("unpicklable:Session.fetch").__name__, "fetch")  # type: ignore[attr-defined]
        self.assertIs(load("os.path:join"), os.path.join)

    def test_the_path_stands_first_and_once(self) -> None:
        load("work:sha256")
        load("work:pause")
        self.assertEqual(sys.path[0], str(FIXTURES))
        self.assertEqual(sys.path.count(str(FIXTURES)), 1)
        put_first("/other")
        put_first(str(FIXTURES))
        self.assertEqual(sys.path[:2], [str(FIXTURES), "/other"])

    def test_main_is_what_crossed_from_a_caller(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(sys, "path", [*sys.path, folder]):
            self.assertFalse(caller.has_crossed())
            Path(folder, caller.CALLERS_MAIN + ".py").write_text("def work(): pass\n")
            self.assertTrue(caller.has_crossed())
            found = load("__main__:work")
            self.addCleanup(sys.modules.pop, caller.CALLERS_MAIN)
        self.assertEqual(getattr(found, "__module__", None), caller.CALLERS_MAIN)

    def test_what_crossed_objects_need_is_imported_ahead(self) -> None:
        with mock.patch.dict(os.environ, {"CONBENCH_NEEDS": "wave"}), mock.patch.dict(sys.modules):
            sys.modules.pop("wave", None)
            caller.warm_up()
            self.assertIn("wave", sys.modules)
        with mock.patch.dict(os.environ, {"CONBENCH_NEEDS": "no_such_module"}):
            caller.warm_up()

    def test_a_relative_path_is_made_absolute(self) -> None:
        before = os.getcwd()
        os.chdir(FIXTURES)
        try:
            load("work:sha256", ".")
        finally:
            os.chdir(before)
        self.assertEqual(sys.path[0], str(FIXTURES))

    def test_what_awaits_is_told_from_what_runs(self) -> None:
        loader = Loader(str(FIXTURES), WHERE)
        for name in ("afetch", "client", "a_partial", "decorated", "made_blocking"):
            loader.async_function(f"wrong_async:{name}", "async_function")
        # These may be blocking for all that can be told: what they give says so, when they are called.
        for name in ("gives_a_coroutine", "decorated", "made_blocking", "not_async"):
            loader.function(f"wrong_async:{name}", "function")


class NotFound(FixtureCase):
    def message(self, name: str, kind: str, field: str = "function") -> str:
        return self.failure(lambda: Loader(str(FIXTURES), WHERE).function(name, field), kind).message

    def test_no_name(self) -> None:
        for name in ("work", "work.sha256", "work:", ":sha256", "work.py:sha256()", "work:a b", "./work:x"):
            self.assertEqual(
                self.message(name, "name"),
                f"`function` is {name!r}, which names nothing: write it as `package.module:function`",
            )

    def test_main_is_the_agent(self) -> None:
        self.assertIn("name your file's module", self.message("__main__:f", "name"))

    def test_no_such_module(self) -> None:
        self.assertEqual(
            self.message("wrok:sha256", "name"),
            f"`function` names the module wrok, but there is no module `wrok` in {FIXTURES} (the step's `path`) or "
            "anywhere else on sys.path: did you mean `work`",
        )
        self.assertIn("set `path` to the folder that holds it", self.message("quite_another:sha256", "name"))
        self.assertEqual(
            self.message("shop.scrap:parse", "name"),
            "`function` names the module shop.scrap, but the package shop has no module `scrap`: did you mean `scrape`",
        )
        self.assertIn("but work is a module and no package", self.message("work.sha256:x", "name"))

    def test_a_module_that_imports_what_is_not_there(self) -> None:
        failure = self.failure(lambda: load("imports_missing:task"), "setup")
        self.assertEqual(
            failure.message,
            f"imports_missing imports `a_package_that_nobody_has`, which {sys.executable} does not have: install "
            "`a_package_that_nobody_has` for it, set `path` to where it is, or choose another interpreter",
        )
        self.assertIn("import a_package_that_nobody_has", "\n".join(failure.traceback or []))

    def test_a_module_that_raises_on_import(self) -> None:
        failure = self.failure(lambda: load("raises_on_import:task"), "setup")
        self.assertEqual(failure.message, "raises_on_import raised on import: ValueError: no settings for stage 'test'")
        lines = failure.traceback or []
        self.assertEqual(len([line for line in lines if line.startswith("  File")]), 2, lines)
        self.assertTrue(all("conbench_agent" not in line and "importlib" not in line for line in lines), lines)
        self.assertIn("_read_settings()", lines[1])

    def test_a_module_that_is_not_python(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "broken_module.py").write_text("x = 1\ndef f(:\n    pass\n")
            failure = self.failure(lambda: load("broken_module:f", folder), "setup")
        self.assertIn("broken_module raised on import: SyntaxError", failure.message)
        lines = failure.traceback or []
        self.assertIn("broken_module.py", lines[0])
        self.assertIn("line 2", lines[0])
        self.assertIn("def f(:", lines[1])

    def test_a_module_that_ends_the_program(self) -> None:
        failure = self.failure(lambda: load("exits_on_import:task"), "setup")
        self.assertEqual(
            failure.message,
            "exits_on_import ends the program when it is imported (SystemExit: usage: exits_on_import FILE): put what "
            'runs the program under `if __name__ == "__main__":`',
        )
        self.assertIn('sys.exit("usage: exits_on_import FILE")', "\n".join(failure.traceback or []))

    def test_no_such_attribute(self) -> None:
        self.assertEqual(
            self.message("work:sha265", "name"),
            "`function` names `sha265`, which the module work does not have: did you mean `sha256`",
        )
        self.assertEqual(
            self.message("unpicklable:Session.fetsch", "name"),
            "`function` names `fetsch`, which unpicklable:Session does not have: did you mean `fetch`",
        )
        self.assertIn("does not have: mend the name", self.message("work:zzz", "name"))

    def test_not_a_function(self) -> None:
        self.assertEqual(
            self.message("work:items", "setup"),
            "`function` work:items is of type list, which cannot be called: name a function",
        )

    def test_a_function_that_runs_nothing_when_it_is_called(self) -> None:
        for name, hint in [
            ("afetch", "is async, so that a call runs nothing of it: name it in `async_function`"),
            ("client", "is async, so that a call runs nothing of it: name it in `async_function`"),
            ("a_partial", "is async, so that a call runs nothing of it: name it in `async_function`"),
            ("a_generator", "is a generator function, so that a call runs nothing of it: return a list"),
            ("an_async_generator", "is an async generator, so that a call runs nothing of it"),
        ]:
            message = self.message(f"wrong_async:{name}", "setup")
            self.assertTrue(message.startswith(f"`function` wrong_async:{name} {hint}"), message)
        self.assertIn("name it in `async_setup`", self.message("wrong_async:afetch", "setup", field="setup"))
        self.assertIn("write it as `def`", self.message("wrong_async:afetch", "setup", field="setup_thread"))

    def test_an_async_function_that_is_not(self) -> None:
        loader = Loader(str(FIXTURES), WHERE)
        for name in ("not_async", "gives_a_coroutine", "a_generator"):
            load_it = functools.partial(loader.async_function, f"wrong_async:{name}", "async_function")
            failure = self.failure(load_it, "setup")
            self.assertEqual(
                failure.message,
                f"`async_function` wrong_async:{name} is not a coroutine function: write `async def`, or name it in "
                "`function`",
            )
        message = self.failure(
            lambda: loader.async_function("wrong_async:an_async_generator", "async_function"), "setup"
        ).message
        self.assertIn("is an async generator, which cannot be awaited", message)


class Items(FixtureCase):
    def items(self, name: str, **reading: Any) -> List[object]:
        return Loader(str(FIXTURES), WHERE).items(name, Reading(**reading)).read

    def test_an_iterable_or_what_gives_one(self) -> None:
        self.assertEqual(self.items("shop.scrape:items"), list(range(40)))
        self.assertEqual(self.items("work:items"), [20_000] * 8)
        self.assertEqual(len(self.items("unpicklable:items")), 3)

    def test_an_endless_iterable_is_its_beginning(self) -> None:
        with mock.patch("conbench_agent.user.items.MOST_READ", 10):
            self.assertEqual(self.items("itertools:count"), list(range(10)))
        with mock.patch("conbench_agent.user.items.READ_S", 0.0):
            self.assertEqual(self.items("itertools:count"), [0])
        self.assertEqual(self.items("itertools:count", tasks=7), list(range(7)))

    def test_what_another_agent_read_is_read_as_it_is_needed(self) -> None:
        step = user_step(function="unpicklable:task", items="itertools:count", known=5)
        self.assertEqual((step.distinct, step.item(0), step.item(7), step.item(12)), (5, 0, 2, 2))
        self.assertEqual(step._items.read, [0, 1, 2])  # type: ignore[union-attr]
        step.read_items()
        self.assertEqual(step._items.read, [0, 1, 2, 3, 4])  # type: ignore[union-attr]

    def test_fewer_than_another_agent_read_are_used_in_turns(self) -> None:
        step = user_step(function="unpicklable:task", items="half:three", known=5)
        self.assertEqual([step.item(index) for index in range(5)], [0, 1, 2, 0, 1])
        self.assertEqual(step.distinct, 3)

    def test_it_is_told_where_there_may_be_more(self) -> None:
        for items, tasks, told in [
            ("itertools:count", None, [{"items_repeat": {"items": 10_000}}]),
            ("itertools:count", 20, []),
            ("half:three", None, []),
            ("half:three", 20, []),
        ]:
            with mock.patch("conbench_agent.user.items.READ_S", 60.0):
                step = user_step(function="unpicklable:task", items=items, tasks=tasks)
            self.assertEqual(step.verify(1, 10**9).notes, told, (items, tasks))

    def test_it_is_told_where_the_kernel_reaps_children(self) -> None:
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGCHLD, before)
        self.assertEqual(
            user_step(function="unpicklable:task", items=[1]).verify(1, 10**9).notes, [{"children_uncounted": {}}]
        )

    def test_items_that_stop_coming_are_those_that_came(self) -> None:
        with mock.patch("conbench_agent.user.items.STALLED_S", 0.05):
            step = user_step(function="unpicklable:task", items="half:stalls")
            self.assertEqual(step.distinct, 30)
            self.assertEqual(step.verify(1, 10**9).notes, [{"items_repeat": {"items": 30}}])
            # A batch wants as many as it has tasks.
            step = user_step(function="unpicklable:task", items="half:stalls", tasks=20)
            self.assertEqual((step.distinct, step.verify(1, 10**9).notes), (20, []))
        self.assertIs(signal.getsignal(signal.SIGALRM), signal.SIG_DFL)
        self.assertEqual(signal.getitimer(signal.ITIMER_REAL), (0.0, 0.0))

    def test_what_gives_no_items(self) -> None:
        for name, says in [
            ("shop.scrape:DELAY_S", "is of type float: name an iterable, or what gives one"),
            ("os:sep", "is of type str, one item for each letter: name a list"),
            ("os:getpid", "gave a value of type int: let it give an iterable"),
            ("shop.scrape:PRICES", "is empty: give one item at least, or leave `items` out"),
            ("wrong_async:afetch", "is async, so that a call runs nothing of it: write it as `def`"),
            ("faults:raises", "raised ValueError: bad item 3"),
            ("faults:ends_program", "raised SystemExit: 7"),
        ]:
            message = self.failure(functools.partial(self.items, name), "setup").message
            self.assertEqual(message, f"`items` {name} {says}")

    def test_items_that_raise_on_the_way(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "half_items.py").write_text("def items():\n    yield 1\n    raise OSError('gone')\n")
            failure = self.failure(lambda: Loader(folder, WHERE).items("half_items:items", Reading()), "setup")
        self.assertEqual(failure.message, "`items` half_items:items raised at item 1: OSError: gone")
        self.assertEqual(len(failure.traceback or []), 1 + 1, failure.traceback)

    def test_listed_items(self) -> None:
        step = user_step(function="unpicklable:task", items=[1, {"a": None}])
        self.assertEqual((step.distinct, step.item(0), step.item(3)), (2, 1, {"a": None}))
        message = self.failure(lambda: user_step(function="unpicklable:task", items=[]), "setup").message
        self.assertEqual(message, "`items` is empty: give one item at least, or leave `items` out")


if __name__ == "__main__":
    unittest.main()
