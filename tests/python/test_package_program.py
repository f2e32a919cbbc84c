"""Finding the program, and what it says at its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

import conbench_cli
from conbench_cli import asking, program, running
from conbench_cli.errors import BadInput, InsideAgent, ProgramFailed, ProgramNotFound


def write_program(folder: str, script: str = "exit 0", name: str = "conbench") -> str:
    path = Path(folder) / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name


class Found(Case):
    def test_what_the_environment_names(self) -> None:
        path = write_program(self.folder, name="other")
        with mock.patch.dict(os.environ, {"CONBENCH": path}):
            self.assertEqual(program.find(), path)
        said = self.assertRaisesRegex(ProgramNotFound, "CONBENCH names `.*`, which is no program")
        with mock.patch.dict(os.environ, {"CONBENCH": self.folder}), said:
            program.find()

    def test_beside_the_interpreter_before_path(self) -> None:
        beside, path = os.path.join(self.folder, "beside"), os.path.join(self.folder, "path")
        os.mkdir(beside)
        os.mkdir(path)
        on_path = write_program(path)
        with mock.patch.dict(os.environ, {"PATH": path}), mock.patch.object(program, "_schemes", return_value=iter(())):
            os.environ.pop("CONBENCH", None)
            with mock.patch.object(sys, "executable", os.path.join(beside, "python3")):
                self.assertEqual(program.find(), on_path)
                self.assertEqual(program.find(), on_path)
                its_own = write_program(beside)
                self.assertEqual(program.find(), its_own)

    def test_nowhere(self) -> None:
        said = self.assertRaisesRegex(ProgramNotFound, "neither beside .* nor on PATH: install this package")
        with (
            mock.patch.dict(os.environ, {"PATH": self.folder}),
            mock.patch.object(program, "_schemes", return_value=[]),
        ):
            os.environ.pop("CONBENCH", None)
            with mock.patch.object(sys, "executable", os.path.join(self.folder, "python3")), said:
                program.find()

    def test_as_a_module_it_becomes_the_program(self) -> None:
        path = write_program(self.folder, 'echo "$$ $*"; exit 7')
        environment = {**os.environ, "CONBENCH": path, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "conbench_cli", "a", "b c"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            out, _ = process.communicate()
        self.assertEqual((process.returncode, out), (7, f"{process.pid} a b c\n"))
        environment["CONBENCH"] = "/nowhere"
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual((ran.returncode, ran.stderr), (127, "error: CONBENCH names `/nowhere`, which is no program\n"))


class Imported(Case):
    def test_it_imports_nothing_else(self) -> None:
        script = "import sys; before = set(sys.modules); import conbench_cli; print(*sorted(set(sys.modules) - before))"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ran = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        small = {"conbench_cli", "__future__", "importlib", "warnings", "typing", "importlib._bootstrap"}
        heavy = {"json", "subprocess", "asyncio", "multiprocessing", "concurrent.futures", "tempfile", "inspect"}
        found = set(ran.stdout.split())
        self.assertEqual(found & heavy, set())
        self.assertIn("conbench_cli", found & small)

    def test_names_are_there_and_others_are_not(self) -> None:
        for name in conbench_cli.__all__:
            self.assertIsNotNone(getattr(conbench_cli, name))
            self.assertIn(name, dir(conbench_cli))
        with self.assertRaisesRegex(AttributeError, "no attribute 'recomend'"):
            conbench_cli.recomend  # noqa: B018


class Ends(Case):
    def run_it(self, script: str) -> running.Ended:
        return running.run([write_program(self.folder, script)], dict(os.environ), shows_progress=False)

    def test_what_it_says_is_told_apart(self) -> None:
        script = "echo table; echo 'warning: slow' >&2; printf 'error: no\\n  such\\n\\nUsage: x\\n' >&2; exit 2"
        self.assertEqual(self.run_it(script), (2, "table\n", ["slow"], "no\n  such", False))

    def test_its_codes_are_exceptions(self) -> None:
        def raised(script: str) -> None:
            asking._raise_for(self.run_it(script), self.folder)

        for code in (0, 1, 3, 4, 130):
            raised(f"exit {code}")
        with self.assertRaisesRegex(BadInput, "^no such engine$"):
            raised("echo 'error: no such engine' >&2; exit 2")
        with self.assertRaisesRegex(BadInput, "^workload.toml:3 is wrong$"):
            raised(f"echo 'error: {self.folder}/workload.toml:3 is wrong' >&2; exit 2")
        with self.assertRaisesRegex(ProgramFailed, "ended with code 70: a fault"):
            raised("echo 'error: a fault' >&2; exit 70")
        with self.assertRaisesRegex(ProgramFailed, f"was killed by signal {signal.SIGKILL.value}"):
            raised("kill -9 $$")


class Arguments(unittest.TestCase):
    def test_times_and_lists(self) -> None:
        self.assertEqual([asking._time(each) for each in ("10s", 2, 0.25, None)], ["10s", "2000ms", "250ms", None])
        with self.assertRaisesRegex(BadInput, "more than 0"):
            asking._time(0)
        self.assertEqual(
            [asking._listed(each) for each in ("a,b", ["a", "b"], 3, (1, 2), None)][1:4], ["a,b", "3", "1,2"]
        )

    def test_a_workload_is_written_as_toml(self) -> None:
        text = asking._toml(
            {"name": 'a"\x7f\n', "max_calls": 3, "objective": {"goal": "p99"}}, {"path": "/ü", "items": None}
        )
        expected = 'name = "a\\"\\u007F\\n"\nmax_calls = 3\nobjective = { goal = "p99" }\n[[step]]\nkind = "python"\n'
        self.assertEqual(text, expected + 'path = "/ü"\n')

    def test_a_cluster_is_named_as_on_the_command_line(self) -> None:
        class Asked(Exception):
            pass

        def run(arguments: List[str], *_: object) -> None:
            raise Asked(arguments)

        options: Dict[str, Any] = {
            "cluster": "dask://far:8786",
            "cluster_upload": ["a.py", "b.zip"],
            "allow_remote": True,
        }
        with (
            mock.patch.object(asking, "run", run),
            mock.patch.object(program, "find", return_value="conbench"),
            self.assertRaises(Asked) as raised,
        ):
            asking.recommend(len, ["a"], **options)
        said = raised.exception.args[0]
        wanted = {"--cluster=dask://far:8786", "--cluster-upload=a.py", "--cluster-upload=b.zip", "--allow-remote"}
        self.assertEqual(wanted - set(said), set())

    def test_inside_of_an_agent_it_refuses(self) -> None:
        with mock.patch.dict(os.environ, {"CONBENCH_AGENT": "1"}), self.assertRaises(InsideAgent):
            asking.recommend(len, ["a"])

    def test_something_must_be_given(self) -> None:
        with self.assertRaisesRegex(BadInput, "neither `fn` nor `async_fn`"):
            asking.recommend()


if __name__ == "__main__":
    unittest.main()
