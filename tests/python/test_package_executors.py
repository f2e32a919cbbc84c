"""The tools that answers name: each gives what a plain loop gives."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import unittest
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, List, Optional

from conbench_cli.answer import Asked
from conbench_cli.errors import BadInput, ConbenchError
from conbench_cli.executors import Pool, pool

NUMBERS = list(range(11))
LOOPS = ["asyncio"] + (["TaskGroup"] if sys.version_info >= (3, 11) else [])
LOOPS += ["uvloop"] if find_spec("uvloop") else []
IN_PROCESS = ["sequential", "ThreadPoolExecutor", "Thread", "threaded-asyncio", "asyncio+ThreadPoolExecutor"]
PROCESSES = [
    "ProcessPoolExecutor",
    "multiprocessing.Pool",
    "Process",
    "sharded-asyncio",
    "asyncio+ProcessPoolExecutor",
]

#: What `set_up` has done in this process.
state: List[str] = []


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"no root: {number}")
    return number * number


async def square_async(number: int) -> int:
    await asyncio.sleep(0)
    return square(number)


async def square_on_trio(number: int) -> int:
    await import_module("trio").sleep(0)
    return square(number)


def add(one: int, other: int) -> int:
    return one + other


def set_up() -> None:
    state.append("up")


def tear_down() -> None:
    state.append("down")


def seen(_: int) -> List[str]:
    return state


def end(number: int) -> None:
    os._exit(number)


def tool(engine: str, start_method: Optional[str] = None, **asked: Any) -> Pool:
    answer: Any = SimpleNamespace(engine=engine, workers=2, in_flight=3, chunk=2, start_method=start_method)
    fields = {"function": square, "async_function": None, "setup": None, "teardown": None, "program": "", "items": 0}
    return pool(answer, Asked(**{**fields, **asked}))


def threads(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers)


def processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))


class OwnExecutors(unittest.TestCase):
    def test_the_users_factory_builds_it(self) -> None:
        expected = [square(number) for number in NUMBERS]
        for name, model in [("threads", "threads"), ("processes", "processes")]:
            for place in (__name__, __file__):
                answer: Any = SimpleNamespace(
                    engine=f"{place}:{name}", model=model, workers=2, in_flight=None, chunk=None, start_method=None
                )
                asked = Asked(square, None, set_up, None, "", 0)
                with self.subTest(name, place=place), pool(answer, asked) as found:
                    self.assertEqual(list(found.map(square, NUMBERS)), expected)
                    self.assertIn("up", next(found.map(seen, [0])))
                state.clear()

    def test_functions_of_its_own_file_reach_worker_processes(self) -> None:
        with TemporaryDirectory() as place:
            text = "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n\n"
            text += "def begun():\n    pass\n\n\ndef make(workers):\n"
            text += "    context = multiprocessing.get_context('spawn')\n"
            text += "    return ProcessPoolExecutor(workers, context, begun)\n"
            file = os.path.join(place, "pools_of_this_test.py")
            with open(file, "w") as opened:
                opened.write(text)
            answer: Any = SimpleNamespace(
                engine=f"{file}:make", model="processes", workers=1, in_flight=None, chunk=None, start_method=None
            )
            with pool(answer, Asked(square, None, None, None, "", 0)) as found:
                self.assertEqual(list(found.map(abs, [-3])), [3])
            sys.path.remove(place)
            del sys.modules["pools_of_this_test"]


#: Tools of packages, with what each needs.
OF_PACKAGES = {
    "multiprocessing.pool.ThreadPool": "multiprocessing",
    "joblib+threading": "joblib",
    "joblib+loky": "joblib",
    "joblib+loky+auto": "joblib",
    "loky": "loky",
    "anyio": "anyio",
    "gevent": "gevent",
    "trio": "trio",
}


class OfPackages(unittest.TestCase):
    def test_each_gives_what_a_plain_loop_gives(self) -> None:
        missing: List[str] = []
        for engine, package in OF_PACKAGES.items():
            if find_spec(package) is None:
                self.assertNotIn("CONBENCH_REQUIRE_ENGINES", os.environ, f"{package} is missing")
                missing.append(package)
                continue
            with self.subTest(engine), tool(engine, setup=set_up) as found:
                self.assertEqual(list(found.map(square, NUMBERS)), [square(number) for number in NUMBERS])
                self.assertEqual(list(found.map(add, NUMBERS, range(5), chunksize=3)), [0, 2, 4, 6, 8])
                self.assertIn("up", next(iter(found.map(seen, [0]))))
                with self.assertRaisesRegex(ValueError, "no root: -3"):
                    list(found.map(square, [1, -3, 2]))
            state.clear()
        if missing:
            self.skipTest(f"missing: {', '.join(missing)}")

    def test_a_loop_awaits_the_async_form(self) -> None:
        if find_spec("trio") is None:
            self.skipTest("missing: trio")
        with tool("trio", async_function=square_on_trio) as found:
            self.assertEqual(list(found.map(square, NUMBERS)), [square(number) for number in NUMBERS])


class Results(unittest.TestCase):
    def test_every_tool_gives_those_of_a_plain_loop(self) -> None:
        expected = [square(number) for number in NUMBERS]
        for engine in IN_PROCESS + PROCESSES + LOOPS:
            with self.subTest(engine), tool(engine, "fork" if engine in PROCESSES else None) as found:
                self.assertEqual(list(found.map(square, NUMBERS)), expected)
                self.assertEqual(list(found.map(add, NUMBERS, range(5), chunksize=3)), [0, 2, 4, 6, 8])
                self.assertEqual(list(found.map(square, [])), [])

    def test_worker_processes_begin_as_the_answer_says(self) -> None:
        for method in ("spawn", "forkserver"):
            with self.subTest(method), tool("ProcessPoolExecutor", method) as found:
                self.assertEqual(list(found.map(square, NUMBERS)), [square(number) for number in NUMBERS])

    def test_what_a_call_raises_is_raised(self) -> None:
        for engine in IN_PROCESS + PROCESSES + LOOPS:
            said = self.assertRaisesRegex(ValueError, "no root: -3")
            with self.subTest(engine), tool(engine, "fork" if engine in PROCESSES else None) as found, said:
                list(found.map(square, [1, -3, 2]))

    def test_nothing_is_left(self) -> None:
        threads = threading.active_count()
        for engine in IN_PROCESS + PROCESSES + LOOPS:
            with suppress(ValueError), tool(engine, "fork" if engine in PROCESSES else None) as found:
                list(found.map(square, [1, -3, 2]))
        self.assertEqual(multiprocessing.active_children(), [])
        self.assertEqual(threading.active_count(), threads)


class Forms(unittest.TestCase):
    def test_either_form_stands_for_both(self) -> None:
        expected = [square(number) for number in NUMBERS]
        for engine in ["sequential", "ThreadPoolExecutor", "asyncio+ThreadPoolExecutor", *LOOPS]:
            for form in (square, square_async):
                with self.subTest(engine=engine, form=form), tool(engine, async_function=square_async) as found:
                    self.assertEqual(list(found.map(form, NUMBERS)), expected)

    def test_loops_take_any_coroutine_function(self) -> None:
        async def double(number: int) -> int:
            return 2 * number

        with tool("asyncio") as found:
            self.assertEqual(list(found.map(double, [1, 2])), [2, 4])

    def test_tools_without_a_loop_refuse_it(self) -> None:
        with tool("ThreadPoolExecutor") as found, self.assertRaisesRegex(BadInput, "`fn` is async, and ThreadPool"):
            found.map(square_async, NUMBERS)

    def test_a_loop_that_runs_is_left_alone(self) -> None:
        async def main() -> List[int]:
            with tool("asyncio", async_function=square_async) as found:
                return list(found.map(square, NUMBERS))

        self.assertEqual(asyncio.run(main()), [square(number) for number in NUMBERS])


class SetUps(unittest.TestCase):
    def setUp(self) -> None:
        state.clear()
        self.addCleanup(state.clear)

    def test_this_process_is_set_up_once_and_torn_down(self) -> None:
        for engine in [*IN_PROCESS, "asyncio"]:
            if engine == "asyncio+ThreadPoolExecutor":
                continue
            state.clear()
            with self.subTest(engine), tool(engine, setup=set_up, teardown=tear_down) as found:
                self.assertEqual([list(each) for each in found.map(seen, [1, 2])], [["up"], ["up"]])
            self.assertEqual(state, ["up", "down"])

    def test_worker_processes_are_set_up_and_this_one_is_not(self) -> None:
        for engine in PROCESSES:
            with self.subTest(engine), tool(engine, "fork", setup=set_up) as found:
                self.assertEqual(list(found.map(seen, [1])), [["up"]])
        self.assertEqual(state, [])


class Failures(unittest.TestCase):
    def test_a_process_that_dies_is_told(self) -> None:
        with tool("Process", "fork") as found, self.assertRaisesRegex(ConbenchError, "ended with status 3"):
            found.map(end, [3])

    def test_a_result_that_cannot_be_handed_back_is_told(self) -> None:
        with tool("Process", "fork") as found, self.assertRaisesRegex(ConbenchError, "cannot hand back"):
            found.map(lambda _: threading.Lock(), [1])

    def test_an_engine_of_another_version_is_told(self) -> None:
        with self.assertRaisesRegex(ConbenchError, "does not know the engine Fibers"):
            tool("Fibers")


if __name__ == "__main__":
    unittest.main()
