"""What libraries compute with, and what they may."""

from __future__ import annotations

import _thread
import hashlib
import json
import os
import subprocess
import sys
import time
import unittest
from typing import Any, Dict, Optional, cast
from unittest import mock

from conbench_agent import library_threads
from support import AgentProcess, job

#: The module of the user's whose library computes with as many threads as a variable says.
FIXTURES = os.path.join(os.path.dirname(__file__), os.pardir, "fixtures", "python")
_block = bytes(1 << 20)


class Limits(unittest.TestCase):
    def test_a_limit_is_in_the_environment_of_whatever_begins_after_it(self) -> None:
        with mock.patch.dict(os.environ):
            library_threads.limit(1)
            script = "import json, os; print(json.dumps(dict(os.environ)))"
            printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
        found = json.loads(printed)
        self.assertEqual({found[name] for name in library_threads.VARIABLES}, {"1"})

    def test_without_a_limit_nothing_is_set(self) -> None:
        with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "3"}):
            before = dict(os.environ)
            library_threads.limit(None)
            self.assertEqual(dict(os.environ), before)


class Found(unittest.TestCase):
    def setUp(self) -> None:
        self._go, self._done = _thread.allocate_lock(), _thread.allocate_lock()
        self._go.acquire()
        self._done.acquire()
        self._is_over = False

    def _serve(self) -> None:
        self._go.acquire()
        while not self._is_over:
            for _ in range(20):
                hashlib.sha256(_block)
            self._done.release()
            self._go.acquire()

    def _start(self) -> None:
        before = library_threads.started()
        _thread.start_new_thread(self._serve, ())
        self.addCleanup(self._end, before)

    def _end(self, before: int) -> None:
        self._is_over = True
        self._go.release()
        while library_threads.started() > before:
            time.sleep(0.001)

    def _compute(self) -> None:
        self._go.release()
        self._done.acquire()

    def test_threads_that_compute_are_told_from_those_that_only_are_there(self) -> None:
        before = library_threads.started()
        self._start()
        self.assertEqual(library_threads.started(), before + 1)
        watch = library_threads.Watch()
        for _ in range(20):
            hashlib.sha256(_block)
        idle = watch.found()
        watch.begin()
        self._compute()
        busy = watch.found()
        assert idle is not None
        assert busy is not None
        self.assertLess(self._share(idle), 0.5)
        self.assertGreater(self._share(busy), 0.5)

    def _share(self, found: Dict[str, object]) -> float:
        share = found["cpu_share"]
        assert isinstance(share, float)
        return share

    def test_what_the_environment_sets_is_told(self) -> None:
        self._start()
        with mock.patch.dict(os.environ, {"MKL_NUM_THREADS": "6"}):
            watch = library_threads.Watch()
        with mock.patch.dict(os.environ, {"MKL_NUM_THREADS": "1"}):
            found = watch.found()
        assert found is not None
        self.assertEqual(found["set"], {"MKL_NUM_THREADS": "6"})

    def test_threadpoolctl_is_asked_where_it_is(self) -> None:
        self._start()
        pools = [
            {"internal_api": "openblas", "num_threads": 8},
            {"internal_api": "openmp", "num_threads": 4},
            {"internal_api": "blis", "num_threads": 1},
            {"internal_api": "of the future", "num_threads": 9},
        ]
        found = self._found_with(mock.Mock(threadpool_info=lambda: pools))
        self.assertEqual(found["threads"], 8)
        self.assertEqual(found["libraries"], ["openblas", "openmp"])
        self.assertEqual(found["variables"], ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])

    def test_where_it_is_not_or_fails_threads_are_counted(self) -> None:
        self._start()
        for module in (None, mock.Mock(threadpool_info=mock.Mock(side_effect=OSError)), mock.Mock(spec=[])):
            self.assertEqual(self._found_with(module)["threads"], library_threads.started() + 1)

    def _found_with(self, module: Optional[object]) -> Dict[str, Any]:
        with mock.patch.dict(sys.modules, {"threadpoolctl": cast(Any, module)}):
            found = library_threads.Watch().found()
        assert found is not None
        return found

    def test_libraries_are_known_by_the_files_that_are_mapped(self) -> None:
        lines = [
            "7f00-7f01 r-xp 00000000 08:01 42   /venv/numpy.libs/libscipy_openblas64_-b75cc656.so",
            "7f01-7f02 r-xp 00000000 08:01 43   /opt/intel/lib/libmkl_rt.so.2",
            "7f02-7f03 r-xp 00000000 08:01 44   /usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0",
            "7f03-7f04 r-xp 00000000 08:01 45   /venv/torch/lib/libgomp-a34b3233.so.1",
            "7f04-7f05 r-xp 00000000 08:01 46   /usr/lib/libblis.so.4",
            "7f05-7f06 r-xp 00000000 08:01 47   /venv/numexpr/interpreter.cpython-312-x86_64-linux-gnu.so",
            "7f06-7f07 r-xp 00000000 08:01 48   /usr/lib/libc.so.6",
            "7f07-7f08 rw-p 00000000 00:00 0    [heap]",
            "7f08-7f09 r-xp 00000000 08:01 49   /home/me/openblas/libmine.so",
            "7f09-7f0a rw-p 00000000 00:00 0",
        ]
        with mock.patch("builtins.open", mock.mock_open(read_data="\n".join(lines) + "\n")):
            self.assertEqual(library_threads._mapped(), ["blis", "mkl", "numexpr", "openblas", "openmp"])


class Agents(unittest.TestCase):
    """An agent whose job limits them, and one whose job does not."""

    def _described(self, limit: Optional[int]) -> Dict[str, Any]:
        step = {"kind": "python", "function": "library:multiply", "path": FIXTURES, "check": "results"}
        described = job([step])
        described["steps"][0]["step"]["items"] = {"listed": [1, 2, 3]}
        if limit is not None:
            described["candidate"]["library_threads"] = limit
        return described

    def _ready(self, limit: Optional[int]) -> Dict[str, Any]:
        with AgentProcess() as agent:
            agent.receive()
            ready: Dict[str, Any] = agent.ask("job", self._described(limit))
            agent.ask("bye", {})
        return ready

    def test_a_job_limits_what_its_tasks_libraries_start(self) -> None:
        with mock.patch.dict(os.environ):
            os.environ.pop("OMP_NUM_THREADS", None)
            self.assertEqual([self._ready(limit)["library_threads"] for limit in (None, 1, 3)], [1, 0, 2])

    def test_a_reference_tells_what_they_compute_with(self) -> None:
        with mock.patch.dict(os.environ):
            os.environ.pop("OMP_NUM_THREADS", None)
            with AgentProcess() as agent:
                agent.receive()
                found = agent.ask("reference", {"job": self._described(None), "budget_ns": 10_000_000})
            with AgentProcess() as agent:
                agent.receive()
                limited = agent.ask("reference", {"job": self._described(1), "budget_ns": 10_000_000})
        threads = found["library_threads"]
        self.assertEqual((threads["threads"], threads["variables"]), (2, ["OMP_NUM_THREADS"]))
        self.assertGreater(threads["cpu_share"], 0.05)
        self.assertNotIn("library_threads", limited)
        self.assertEqual(limited["results"][:1], found["results"][:1])


if __name__ == "__main__":
    unittest.main()
