"""The bound on the user's own teardown."""

from __future__ import annotations

import signal
import threading
import unittest
from typing import List, Optional
from unittest import mock

from conbench_agent import task
from conbench_agent.bounded import at_most
from conbench_agent.protocol import Failure, Payload
from support import AgentProcess, job
from user_support import FIXTURES

#: Much less than a test waits for, and much more than what ends at once takes.
BOUND_S = 0.2


class Bounded(unittest.TestCase):
    def test_what_waits_for_ever_is_ended(self) -> None:
        with self.assertRaisesRegex(TimeoutError, "did not end within 0.2 s"), at_most(BOUND_S):
            threading.Event().wait()
        self.assertEqual(signal.getsignal(signal.SIGALRM), signal.SIG_DFL)

    def test_what_ends_leaves_no_alarm(self) -> None:
        with at_most(60):
            pass
        self.assertEqual(signal.getitimer(signal.ITIMER_REAL), (0.0, 0.0))
        self.assertEqual(signal.getsignal(signal.SIGALRM), signal.SIG_DFL)

    def test_other_threads_and_who_uses_the_alarm_are_left_alone(self) -> None:
        seen: List[object] = []

        def look() -> None:
            with at_most(60):
                seen.append(signal.getsignal(signal.SIGALRM))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        self.assertEqual(seen, [signal.SIG_DFL])
        self.addCleanup(signal.signal, signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        look()
        self.assertEqual(seen[1], signal.SIG_IGN)


class Leaving(unittest.TestCase):
    def test_a_teardown_that_does_not_end_fails(self) -> None:
        class Waits(task.Step):
            exchanges = True
            tears_down = True

            def leave(self) -> Optional[Failure]:
                try:
                    threading.Event().wait()
                except TimeoutError as error:
                    return Failure("setup", str(error))
                return None

        with mock.patch.object(task, "TEARDOWN_S", BOUND_S):
            failed = task.Task([Waits()], Payload(0, 0), None).leave()
        assert failed is not None
        self.assertIn("did not end", failed.message)

    def test_a_reference_comes_though_the_teardown_waits(self) -> None:
        step = {"kind": "python", "path": str(FIXTURES), "check": "results", "function": "badbye:work"}
        made = job([{**step, "items": {"listed": [1, 2]}, "setup": "badbye:setup", "teardown": "badbye:teardown"}])
        with AgentProcess() as one:
            one.receive()
            answer = one.ask("reference", {"job": made, "budget_ns": 1_000_000})
        self.assertEqual(len(answer["results"]), answer["distinct"])
        message = "step 1 (python): `teardown` raised TimeoutError: it did not end within 2.5 s"
        self.assertIn({"endless_teardown": {"message": message}}, answer["notes"])

    def test_it_is_left_out_where_the_job_says_so(self) -> None:
        step = {"kind": "python", "path": str(FIXTURES), "check": "results", "function": "badbye:work"}
        made = job([{**step, "items": {"listed": [1, 2]}, "setup": "badbye:setup", "teardown": "badbye:teardown"}])
        with AgentProcess() as one:
            one.receive()
            self.assertNotIn("failed", one.ask("job", {**made, "skips_teardown": True}))
            self.assertNotIn("failed_teardown", one.ask("bye", {}))
