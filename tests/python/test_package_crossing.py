"""How functions and items cross from a caller's process to agents."""

from __future__ import annotations

import functools
import itertools
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import types
import unittest
from pathlib import Path
from typing import Any, Iterator, List, Optional
from unittest import mock

from conbench_cli import crossing
from conbench_cli.crossing import Crossing, importable_name, search_path
from conbench_cli.errors import BadInput, NeedsCloudpickle


def double(number: int) -> int:
    return 2 * number


def numbers() -> Iterator[int]:
    yield from range(3)


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    def __call__(self, number: int) -> int:
        return self.start + number

    def add(self, number: int) -> int:
        return self.start + number

    @classmethod
    def make(cls, start: int) -> Counter:
        return cls(start)


def of_main(name: str) -> Any:
    """A function that belongs to `__main__`, as a script's do."""
    made = types.FunctionType(double.__code__, {}, name)
    made.__module__, made.__qualname__ = "__main__", name
    return made


class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def crossing(self) -> Crossing:
        return Crossing(self.folder, sys._getframe(1))

    def crossed(self, expression: str) -> Any:
        """What an agent has of it, by an expression of the module that it imports."""
        script = f"import json, conbench_callers_main as main; print(json.dumps({expression}))"
        path = os.pathsep.join([*sys.path, self.folder])
        environment = {**os.environ, "PYTHONPATH": path}
        ran = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)

    def no_cloudpickle(self) -> None:
        patch = mock.patch.dict(sys.modules, {"cloudpickle": None})
        patch.start()
        self.addCleanup(patch.stop)


class Names(Case):
    def test_what_a_module_holds_goes_by_its_name(self) -> None:
        here = __name__
        self.assertEqual(importable_name(double), f"{here}:double")
        self.assertEqual(importable_name(Counter), f"{here}:Counter")
        self.assertEqual(importable_name(Counter.make), f"{here}:Counter.make")
        self.assertEqual(importable_name(json.dumps), "json:dumps")
        # A batch of its own would find nothing to write.
        crossing = self.crossing()
        self.assertEqual(crossing.name(double, "function"), f"{here}:double")
        crossing.close()
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_has_no_name_does_not(self) -> None:
        def inner(number: int) -> int:
            return number

        decorated = functools.wraps(double)(lambda number: number)
        for nameless in (
            inner,
            lambda number: number,
            Counter(1),
            Counter(1).add,
            functools.partial(double),
            decorated,
        ):
            self.assertIsNone(importable_name(nameless), nameless)
        self.assertIsNone(importable_name(of_main("work")))

    def test_what_cannot_be_called_is_refused(self) -> None:
        with self.assertRaisesRegex(BadInput, "`function` is of type int, which cannot be called: give a function"):
            self.crossing().name(3, "function")

    def test_agents_look_where_this_process_does(self) -> None:
        with mock.patch.object(sys, "path", ["", "/a", "/b:c", "/a"]):
            first, path = search_path("/private")
        self.assertEqual(first, os.getcwd())
        self.assertEqual(path, os.pathsep.join([os.getcwd(), "/a", "/private"]))


class Objects(Case):
    def test_callables_of_a_module_are_pickled_as_pickle_does(self) -> None:
        counter = Counter(3)
        crossing = self.crossing()
        names = [crossing.name(counter, "function"), crossing.name(functools.partial(double, 4), "setup")]
        names.append(crossing.name(counter.add, "check"))
        names.append(crossing.name(Counter(5).add, "teardown"))
        crossing.close()
        # A method goes by its object's name, where that has one.
        self.assertEqual(names, ["__main__:counter", "__main__:setup", "__main__:counter.add", "__main__:teardown"])
        self.assertIsNone(crossing.needs)
        expression = "[main.counter(1), main.setup(), main.counter.add(2), main.teardown(1)]"
        self.assertEqual(self.crossed(expression), [4, 8, 5, 6])

    def test_one_object_has_one_name(self) -> None:
        first, second = Counter(1), Counter(2)
        crossing = self.crossing()
        self.assertEqual(crossing.name(first, "function"), crossing.name(first, "check"))
        with mock.patch.object(Crossing, "_called", return_value="same"):
            self.assertEqual(crossing.name(second, "setup"), "__main__:same")
            self.assertEqual(crossing.name(Counter(3), "teardown"), "__main__:same_2")

    def test_without_cloudpickle_it_is_said_what_to_do(self) -> None:
        self.no_cloudpickle()
        ways = "`pip install cloudpickle`, or put it into a module and import it from there"
        work = of_main("work")
        with mock.patch.object(sys.modules["__main__"], "work", work, create=True):
            said = {
                work: "`work` belongs to `__main__`, which no other process can import: ",
                functools.partial(work): "`function` holds `work`, which belongs to `__main__`, which no other process",
            }
            for function, words in said.items():
                crossing = self.crossing()
                crossing.name(function, "function")
                with self.assertRaises(NeedsCloudpickle) as raised:
                    crossing.close()
                self.assertTrue(str(raised.exception).startswith(words), raised.exception)
                self.assertTrue(str(raised.exception).endswith(ways), raised.exception)
        crossing = self.crossing()
        crossing.name(lambda number: number, "function")
        with self.assertRaisesRegex(NeedsCloudpickle, "`task` is a lambda or a closure, which has no name by which"):
            crossing.close()
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_callable_that_holds_too_much_is_refused(self) -> None:
        crossing_ = self.crossing()
        crossing_.name(functools.partial(print, "x" * 1000), "function")
        with mock.patch.object(crossing, "MOST_BYTES", 500), self.assertRaisesRegex(BadInput, "with what it holds"):
            crossing_.close()


class Items(Case):
    def draw(self, items: object, tasks: Optional[int] = None) -> crossing.Drawn:
        crossing = self.crossing()
        crossing.draw(items, tasks)
        crossing.close()
        assert crossing.items is not None
        return crossing.items

    def test_they_are_what_the_caller_gave_and_called_as_the_caller_calls_them(self) -> None:
        pages = [1, "two", {"three": [3.0]}]
        crossing = self.crossing()
        self.assertEqual(crossing.draw(pages, None), "__main__:pages")
        crossing.close()
        self.assertEqual(self.crossed("[list(main.pages), list(main.pages)]"), [pages, pages])

    def test_many_are_made_again_in_their_order(self) -> None:
        many = list(range(1000))
        crossing = self.crossing()
        crossing.draw(many, None)
        crossing.close()
        self.assertEqual(self.crossed("list(main.many)"), many)

    def test_no_file_is_left_open_between_them(self) -> None:
        self.draw([1, 2, 3])
        expression = "(lambda rest: (next(rest), [os.path.basename(os.readlink(f'/proc/self/fd/{each}'))"
        expression += (
            " for each in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{each}')]))(iter(main.items))"
        )
        item, opened = self.crossed(expression.replace("os.", "__import__('os')."))
        self.assertEqual((item, "items.pickle" in opened), (1, False))

    def test_a_function_is_called_here_and_there(self) -> None:
        drawn = self.draw(numbers)
        self.assertEqual(drawn, ("numbers", 3, False, True))
        self.assertEqual(self.crossed("list(main.numbers())"), [0, 1, 2])

    def test_an_endless_iterable_is_read_as_far_as_needed(self) -> None:
        endless = itertools.count()
        with mock.patch.object(crossing, "MOST_ITEMS", 5):
            self.assertEqual(self.draw(endless)[1:3], (5, True))
        self.assertEqual(next(endless), 5)

    def test_a_batch_reads_an_item_for_each_task(self) -> None:
        endless = itertools.count()
        self.assertEqual(self.draw(endless, 7)[1:3], (7, True))
        self.assertEqual(next(endless), 7)

    def test_slow_items_are_read_for_a_while(self) -> None:
        with mock.patch.object(crossing, "DRAWING_S", -1.0):
            self.assertEqual(self.draw(itertools.count())[1:3], (1, True))

    def test_large_items_are_read_up_to_a_number_of_bytes(self) -> None:
        with mock.patch.object(crossing, "MOST_BYTES", 2500):
            self.assertEqual(self.draw(["x" * 1000] * 9)[1:3], (2, True))
            self.assertEqual(pickle.loads((Path(self.folder) / "items.pickle").read_bytes()), "x" * 1000)

    def test_one_item_that_is_too_large_is_refused(self) -> None:
        crossing_ = self.crossing()
        with (
            mock.patch.object(crossing, "MOST_BYTES", 10),
            self.assertRaisesRegex(BadInput, "pass what it is read from"),
        ):
            crossing_.draw(["x" * 1000], None)

    def test_the_bounds_are_those_of_the_page(self) -> None:
        page = Path(__file__).resolve().parents[2].joinpath("docs", "python-package.md").read_text("utf-8")
        some = f"for {crossing.DRAWING_S:g} s, and up to {crossing.MOST_ITEMS:,}"
        batch = f"up to {crossing.MOST_ITEMS_OF_TASKS:,}, for {crossing.DRAWING_OF_TASKS_S:g} s"
        for bound in (some, batch, f"{crossing.MOST_BYTES >> 20} MiB"):
            self.assertIn(bound, page)

    def test_what_a_list_holds_in_all_is_known(self) -> None:
        with mock.patch.object(crossing, "MOST_ITEMS", 3):
            self.assertEqual(self.draw([1, 2, 3])[1:3], (3, False))

    def test_what_gives_none_is_told(self) -> None:
        def broken() -> Iterator[int]:
            yield 1
            raise RuntimeError("the disk is gone")

        def refuses() -> List[int]:
            raise RuntimeError("no")

        wrong = {
            "one item for each letter": "pages",
            "`items` is empty": [],
            "`items` is of type int: give an iterable": 3,
            "`items` raised at item 1: RuntimeError: the disk is gone": broken(),
            "`items` raised RuntimeError: no": refuses,
        }
        for words, items in wrong.items():
            with self.subTest(words), tempfile.TemporaryDirectory() as folder:
                with self.assertRaises(BadInput) as raised:
                    Crossing(folder, None).draw(items, None)
                self.assertIn(words, str(raised.exception))

    def test_an_item_that_cannot_be_pickled_is_named(self) -> None:
        with self.assertRaisesRegex(BadInput, r"items\[1\] cannot be pickled: TypeError: .*lock.*; pass an identif"):
            self.crossing().draw([1, threading.Lock()], None)

    def test_an_item_of_main_needs_cloudpickle(self) -> None:
        self.no_cloudpickle()
        work = of_main("work")
        said = self.assertRaisesRegex(NeedsCloudpickle, r"items\[0\] holds `work`, which belongs to `__main__`")
        with mock.patch.object(sys.modules["__main__"], "work", work, create=True), said:
            self.crossing().draw([{"call": work}], None)


if __name__ == "__main__":
    unittest.main()
