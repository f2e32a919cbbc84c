"""Each pitfall happens, and is mended, by what is seen and not by how long it takes."""

from __future__ import annotations

import os
import threading
import unittest
import unittest.mock
from multiprocessing.reduction import ForkingPickler
from typing import List

from conbench_cheatsheet import children, host
from conbench_cheatsheet.pitfalls import blas, event_loop, exits, processes, threads
from conbench_cheatsheet.registry import Unavailable


def tearDownModule() -> None:
    # The tests that follow look at the children of this process.
    children.stop_helpers()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class Exits(unittest.TestCase):
    def test_what_is_not_joined_is_alive_at_the_end_and_ends_with_the_program(self) -> None:
        # The program itself looks into /proc.
        process, thread = exits.leave(join=False).alive
        self.assertEqual(thread, "thread 'worker'")
        self.assertTrue(is_gone(int(process.split()[1])))
        self.assertEqual(exits.leave(join=True).alive, [])

    def test_a_daemon_thread_does_not_finish(self) -> None:
        self.assertEqual(exits.lines_written(daemon=True), 10)
        self.assertEqual(exits.lines_written(daemon=False), 20)


class EventLoop(unittest.TestCase):
    def test_the_blocking_call_runs_on_the_loop_and_mended_beside_it(self) -> None:
        ran_on: List[threading.Thread] = []

        def blocking() -> None:
            ran_on.append(threading.current_thread())

        with unittest.mock.patch.object(event_loop, "blocking", blocking):
            event_loop.stalled(event_loop._blocking)
            self.assertEqual(set(ran_on), {threading.main_thread()})
            ran_on.clear()
            event_loop.stalled(event_loop._through_a_thread)
            self.assertEqual(len(ran_on), 10)
            self.assertNotIn(threading.main_thread(), ran_on)

    def test_the_loop_stands_still_as_long_as_ten_sleeps(self) -> None:
        stalled = event_loop.stalled(event_loop._blocking)
        # A sleep is never shorter than it is asked to be.
        self.assertGreaterEqual(stalled.elapsed_ms, 199)
        self.assertGreaterEqual(stalled.longest_stall_ms, 190)

    def test_gather_runs_out_of_descriptors_and_a_semaphore_does_not(self) -> None:
        with event_loop._few_descriptors():
            wrong, mended = event_loop.opened(400), event_loop.opened(20)
        self.assertEqual(len(wrong.errors), 400 - wrong.most)
        self.assertRegex(wrong.errors[0], r"^OSError: \[Errno 24\] ")
        self.assertEqual((mended.most, mended.errors), (20, []))

    def test_a_coroutine_that_is_not_awaited_does_not_run(self) -> None:
        both = event_loop.missing_await()
        self.assertEqual((both.wrong, both.mended), (0, 1))
        self.assertRegex(both.shown or "", r"^RuntimeWarning: coroutine '.*save' was never awaited$")

    def test_asyncio_tells_of_a_lost_error_only_when_the_task_is_collected(self) -> None:
        before, said = event_loop.unretrieved()
        self.assertEqual(before, [])
        self.assertEqual(said, ["Task exception was never retrieved: ValueError('item 1 is bad')"])


class Threads(unittest.TestCase):
    def test_threads_load_what_another_one_loads_already(self) -> None:
        self.assertGreater(threads.loads(locked=False), 1)
        self.assertEqual(threads.loads(locked=True), 1)

    def test_tasks_that_wait_for_their_own_pool_never_end(self) -> None:
        before = threading.active_count()
        self.assertEqual(threads.finished(own_pool=False), 0)
        self.assertEqual(threads.finished(own_pool=True), 2)
        self.assertEqual(threading.active_count(), before)

    def test_an_error_comes_to_light_when_it_is_asked_for(self) -> None:
        self.assertEqual(threads.errors_seen(ask=False), 0)
        self.assertEqual(threads.errors_seen(ask=True), 3)


class Processes(unittest.TestCase):
    def test_the_message_is_the_interpreters_own(self) -> None:
        def local(number: int) -> int:
            return number

        with self.assertRaises(Exception) as caught:
            ForkingPickler.dumps(local)
        said = f"{type(caught.exception).__name__}: {caught.exception}"
        self.assertEqual(processes.mapped(local), (0, said))
        self.assertEqual(processes.mapped(abs), (4, None))
        pitfall = processes.cannot_pickle()
        self.assertEqual((pitfall.wrong, pitfall.mended), (0, 4))
        self.assertIn("cannot pickle '_thread.lock' object", pitfall.shown or "")

    def test_a_child_that_is_forked_beside_a_held_lock_hangs_and_is_killed(self) -> None:
        child = processes.child_of_a_holder("fork")
        self.assertTrue(child.hung)
        self.assertTrue(is_gone(child.pid))

    def test_a_child_that_begins_anew_does_not_hang(self) -> None:
        for start_method in ("spawn", "forkserver"):
            child = processes.child_of_a_holder(start_method)
            self.assertFalse(child.hung, start_method)
            self.assertTrue(is_gone(child.pid))

    def test_a_pool_on_one_core_leaves_this_process_its_cores(self) -> None:
        before = os.sched_getaffinity(0)
        (two, one), _ = processes.pools_on_one_core([2, 1])
        self.assertEqual((two.workers, one.workers), (2, 1))
        self.assertGreater(two.memory_mib, one.memory_mib)
        self.assertEqual(os.sched_getaffinity(0), before)

    def test_one_core_is_a_quota_where_a_control_group_can_be_made(self) -> None:
        with host.one_core_group() as group:
            can_be_made = group is not None
            if group is not None:
                self.assertEqual(host._quota_v2(group) or host._quota_v1(group), 1.0)
        self.assertFalse(group is not None and group.exists())
        is_quota = processes.pools_on_one_core([2]).is_quota
        self.assertFalse(is_quota and not can_be_made)
        self.assertFalse(group is not None and group.exists(), "it is removed with its processes")


class Blas(unittest.TestCase):
    def test_the_threads_are_those_that_were_asked_for(self) -> None:
        try:
            both = blas.blas_threads()
        except Unavailable as reason:
            self.skipTest(str(reason))
        self.assertIn("mended 1, ", both.shown or "")
