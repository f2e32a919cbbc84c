from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import unittest
import unittest.mock
from pathlib import Path
from typing import List, Set

from conbench_agent import clock
from conbench_agent.clock import now_ns
from conbench_agent.protocol import Failure

MS = 1_000_000


def timerfds() -> Set[str]:
    """The open timerfds of this process."""
    links = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue
        if "timerfd" in target:
            links.add(entry)
    return links


def slack() -> int:
    return int(Path(f"/proc/{threading.get_native_id()}/timerslack_ns").read_text())


class Blocking(unittest.TestCase):
    def test_a_wait_is_never_early(self) -> None:
        for ahead_ns in [2 * MS, 1, 0, -MS]:
            deadline_ns = now_ns() + ahead_ns
            clock.wait_until(deadline_ns)
            self.assertGreaterEqual(now_ns(), deadline_ns)

    def test_others_run_while_a_thread_waits(self) -> None:
        # Had the wait kept the GIL, this thread would get no turn before its end, however long it lasts. A busy
        # machine may give it none in a short one.
        for ahead_ns in [50 * MS, 500 * MS, 5000 * MS]:
            deadline_ns = now_ns() + ahead_ns
            waiting = threading.Thread(target=clock.wait_until, args=(deadline_ns,))
            waiting.start()
            ran_meanwhile = now_ns() < deadline_ns
            waiting.join()
            if ran_meanwhile:
                return
        self.fail("a wait lets no other thread run")

    def test_a_wait_takes_the_slack_away_and_a_sleep_gives_it_back(self) -> None:
        found: List[int] = []

        def run() -> None:
            found.append(slack())
            clock.wait_until(now_ns())
            found.append(slack())
            clock.sleep_with_default_slack(1)
            found.append(slack())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.assertEqual(found, [found[0], 1, found[0]])

    def test_a_kernel_that_refuses_is_no_failure(self) -> None:
        def run() -> None:
            with unittest.mock.patch("builtins.open", side_effect=PermissionError):
                clock.wait_until(now_ns() + MS)
            done.append(True)

        done: List[bool] = []
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.assertEqual(done, [True])

    def test_an_interpreter_without_ctypes_says_what_to_do(self) -> None:
        with unittest.mock.patch.dict(sys.modules, {"ctypes": None}), self.assertRaises(Failure) as caught:
            clock._require_ctypes()
        self.assertEqual(caught.exception.kind, "setup")
        self.assertIn("install libffi", caught.exception.message)


class OnALoop(unittest.TestCase):
    def test_waits_end_in_the_order_of_their_deadlines_and_never_early(self) -> None:
        ended: List[int] = []

        async def wait(ahead: int, deadline_ns: int) -> None:
            await clock.timer().wait_until(deadline_ns)
            self.assertGreaterEqual(now_ns(), deadline_ns)
            ended.append(ahead)

        async def all_of_them() -> None:
            start_ns = now_ns() + 10 * MS
            await asyncio.gather(*[wait(ahead, start_ns + ahead * MS) for ahead in [9, 1, 5, 3, 7, 3]])

        asyncio.run(all_of_them())
        self.assertEqual(ended, [1, 3, 3, 5, 7, 9])

    def test_a_loop_has_one_timer_and_a_second_loop_another(self) -> None:
        async def timers() -> List[clock.Timer]:
            await clock.timer().wait_until(now_ns() + MS)
            return [clock.timer(), clock.timer()]

        first, second = asyncio.run(timers()), asyncio.run(timers())
        self.assertIs(first[0], first[1])
        self.assertIsNot(first[0], second[0])

    def test_a_cancelled_wait_does_not_upset_the_others(self) -> None:
        async def run() -> None:
            timer = clock.timer()
            deadline_ns = now_ns() + 5 * MS
            abandoned = asyncio.ensure_future(timer.wait_until(deadline_ns - MS))
            other = asyncio.ensure_future(timer.wait_until(deadline_ns))
            await asyncio.sleep(0)
            abandoned.cancel()
            await other
            self.assertGreaterEqual(now_ns(), deadline_ns)
            self.assertTrue(abandoned.cancelled())

        asyncio.run(run())

    def test_one_deadline_wakes_the_loop_once(self) -> None:
        woken = unittest.mock.Mock(side_effect=clock.Timer._wake_due)

        async def run() -> None:
            await clock.timer().wait_until(now_ns() + MS)
            # A timerfd that stayed readable would go on waking the loop.
            for _ in range(10):
                await asyncio.sleep(0.001)

        with unittest.mock.patch.object(clock.Timer, "_wake_due", lambda timer: woken(timer)):
            asyncio.run(run())
        woken.assert_called_once()

    def test_a_loop_that_is_gone_leaves_no_timerfd_behind(self) -> None:
        def run() -> None:
            asyncio.run(clock_once())

        async def clock_once() -> None:
            await clock.timer().wait_until(now_ns() + MS)
            self.assertEqual(len(timerfds() - before), 1)

        gc.collect()
        before = timerfds()
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        gc.collect()
        self.assertEqual(timerfds() - before, set())
