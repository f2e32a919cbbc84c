"""The parent of agents: what it imports, what it refuses, and what a life of it is told."""

from __future__ import annotations

import array
import atexit
import fcntl
import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import unittest
from typing import List, Tuple

from conbench_agent import parent
from support import AGENT

IMPORTS = """
import json, sys
from conbench_agent import agent, running
agent.hello()
before = set(sys.modules)
from conbench_agent import parent
parent.binder()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


class Imports(unittest.TestCase):
    def test_lives_have_next_to_nothing_that_other_agents_have_not(self) -> None:
        run = subprocess.run([sys.executable, "-c", IMPORTS], cwd=AGENT.parent, capture_output=True, check=True)
        self.assertEqual(run.stderr, b"")
        self.assertLessEqual(
            set(json.loads(run.stdout)), {"_ctypes", "_socket", "array", "gc", "conbench_agent.parent"}
        )


class Requests(unittest.TestCase):
    def test_a_request_has_four_descriptors_that_programs_do_not_inherit(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, open(os.devnull, "rb") as null:
            rights = array.array("i", [null.fileno()] * 4)
            packet = json.dumps({"fork": {"guard": ["/bin/guard", "guard"]}}).encode()
            ours.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            request, descriptors = parent._receive(theirs)
            self.assertEqual((request, len(descriptors)), (["/bin/guard", "guard"], 4))
            self.assertFalse(any(os.get_inheritable(descriptor) for descriptor in descriptors))
            for descriptor in descriptors:
                os.close(descriptor)
            ours.close()
            self.assertEqual(parent._receive(theirs), (None, []))

    def test_without_its_socket_it_ends_with_the_reason(self) -> None:
        run = subprocess.run([sys.executable, str(AGENT), "parent"], capture_output=True, stdin=subprocess.DEVNULL)
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(run.stdout, b"")

    def test_who_has_threads_is_no_parent(self) -> None:
        script = (
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
            "from conbench_agent import parent\n"
            "try: parent.serve(lambda: None)\n"
            "except parent.Unfit as unfit: print(unfit)"
        )
        run = subprocess.run([sys.executable, "-c", script], cwd=AGENT.parent, capture_output=True, check=True)
        self.assertIn(b"has started a thread", run.stdout)


class Lives(unittest.TestCase):
    def fork(self) -> Tuple[int, List[object]]:
        """Forks a life whose guard ends with its socket, and returns its number and what it says of itself."""
        guards_socket, ours = socket.socketpair()
        pipes = [os.pipe() for _ in range(3)]
        (requests, _), (answers, replies), (_, output) = pipes
        # Above those that a life puts in their places, as they are in a parent.
        above = [guards_socket.fileno(), requests, replies, output]
        descriptors = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in above]
        # The process of the test stands for the parent: what it forks must not return into the test's runner.
        child = os.fork()
        if child == 0:
            status = 1
            try:
                # A life that held the other end of its guard's socket would keep the guard from seeing its end.
                ours.close()
                gc.disable()
                # What this process registers is not its life's to run.
                atexit.register(os.write, 4, b"the parent's ")
                if parent._is_forked(["/bin/sh", "-c", "cat; wait", "guard"], descriptors, parent.binder()):
                    atexit._run_exitfuncs()
                    facts = [os.getpgid(0) == os.getpid(), gc.isenabled(), random.random(), os.getppid()]
                    os.write(4, json.dumps([os.getpid(), *facts]).encode())
                    signal.pause()
                status = 0
            finally:
                os._exit(status)
        guards_socket.close()
        os.waitpid(child, 0)
        for one in (*descriptors, replies):
            os.close(one)
        life, *facts = json.loads(os.read(answers, 1 << 16))
        # The guard's end is that of its life.
        ours.close()
        self.assertEqual(os.read(answers, 1), b"")
        for one in {end for pipe in pipes for end in pipe} - {replies}:
            os.close(one)
        return life, facts

    def test_a_life_has_a_group_a_guard_and_luck_of_its_own_and_ends_with_its_guard(self) -> None:
        (one, facts), (other, others_facts) = self.fork(), self.fork()
        self.assertNotEqual(one, other)
        self.assertEqual(facts[:2], [True, True])
        for mine, others in zip(facts[2:], others_facts[2:]):
            self.assertNotEqual(mine, others)


if __name__ == "__main__":
    unittest.main()
