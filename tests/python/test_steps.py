from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, List

from conbench_agent.clock import now_ns
from conbench_agent.protocol import Failure
from conbench_agent.steps.kernels import KERNELS
from conbench_agent.task import VARIANTS, Task
from step_jobs import WAIT, StepCase, cpu, every_description, expected, in_agent, job
from support import AgentProcess


class Forms(StepCase):
    def test_both_forms_of_every_step_agree_with_its_reference(self) -> None:
        for each in every_description(self.directory()):
            with self.subTest(each.steps[0].step):
                self.check_forms(each)

    def test_both_forms_agree_for_every_kernel(self) -> None:
        for kernel in KERNELS:
            with self.subTest(kernel):
                self.check_forms(job(cpu(kernel, 300), iterations=3))

    def test_both_forms_agree_at_any_capacity_and_number_of_round_trips(self) -> None:
        for capacity in [0, 1, 64, 2**32 - 1]:
            self.check_forms(job({"kind": "queue", "capacity": capacity, "stage": cpu()}))
        for round_trips in [0, 1, 20]:
            self.check_forms(job({"kind": "event", "round_trips": round_trips}))

    def test_a_step_stays_on_the_loop_exactly_where_its_description_says_so(self) -> None:
        stays = [in_agent(each).segments[0].is_async for each in every_description(self.directory())]
        self.assertEqual(stays, [False, True, True, False, True, False, True, False, True, True])

    def test_what_is_prepared_does_not_change_what_tasks_do(self) -> None:
        for description in [cpu(), {"kind": "lock", "hold": cpu()}, {"kind": "queue", "capacity": 1, "stage": cpu()}]:
            prepared, plain = in_agent(job(description)), in_agent(job(description))
            self.addCleanup(prepared.close)
            self.addCleanup(plain.close)
            prepared.prepare(5)
            prepared.prepare(None)
            for index in range(2 * VARIANTS):
                self.assertEqual(prepared.blocking(index, None), plain.blocking(index, None))

    def test_a_step_that_computes_nothing_has_the_checksum_of_its_number(self) -> None:
        self.assertEqual(in_agent(job(WAIT)).reference(0)[0], 7_806_831_264_735_756_412)


class Waits(StepCase):
    def test_each_task_waits_for_its_own_draw_and_never_less(self) -> None:
        for kind in ["wait", "sleep"]:
            described = job({**WAIT, "kind": kind})
            described.steps[0].draws[0][5] = 3_000_000
            task = in_agent(described)
            start_ns = now_ns()
            task.blocking(5, None)
            self.assertGreaterEqual(now_ns(), start_ns + 3_000_000)

    def test_the_draw_of_a_process_made_for_one_task_is_the_only_one(self) -> None:
        described = job(WAIT)
        described.steps[0].draws[0][:] = [1000]
        in_agent(described).blocking(123, None)

    def test_a_job_without_durations_is_refused(self) -> None:
        for description in [WAIT, {**WAIT, "kind": "sleep"}, {"kind": "lock", "hold": WAIT}]:
            described = job(description)
            described.steps[0].draws.clear()
            with self.assertRaises(Failure) as caught:
                in_agent(described)
            self.assertEqual(caught.exception.kind, "setup")
            self.assertEqual(caught.exception.where, f"step 1 ({description['kind']})")


class Locks(StepCase):
    def test_one_task_at_a_time_holds_the_lock(self) -> None:
        task = in_agent(job({"kind": "lock", "hold": WAIT}, draw_ns=2_000_000))

        async def asynchronous() -> None:
            await asyncio.gather(*[task.asynchronous(index, None) for index in range(5)])

        def blocking() -> None:
            threads = [threading.Thread(target=task.blocking, args=(index, None)) for index in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        runs: List[Callable[[], None]] = [blocking, lambda: asyncio.run(asynchronous())]
        for run in runs:
            start_ns = now_ns()
            run()
            # Five waits that did not exclude each other could end sooner; these cannot.
            self.assertGreaterEqual(now_ns(), start_ns + 5 * 2_000_000)


class Consumers(StepCase):
    def test_an_error_of_the_consumer_reaches_its_task_and_the_consumer_goes_on(self) -> None:
        task = in_agent(job({"kind": "queue", "capacity": 1, "stage": cpu()}))
        self.addCleanup(task.close)
        [step] = task._steps
        stage = step._stage  # type: ignore[attr-defined]
        sums = expected(task)
        stage._seeds[3] = None  # No seed at all: the stage fails.

        with self.assertRaises(Failure):
            task.blocking(3, None)
        self.assertEqual(task.blocking(4, None)[0], sums[4])

        async def both() -> None:
            with self.assertRaises(Failure):
                await task.asynchronous(3, None)
            self.assertEqual((await task.asynchronous(4, None))[0], sums[4])

        asyncio.run(both())

    def test_closing_ends_the_threads(self) -> None:
        before = threading.active_count()
        for description in [{"kind": "queue", "capacity": 1, "stage": WAIT}, {"kind": "event", "round_trips": 1}]:
            task = in_agent(job(description))
            task.blocking(0, None)
            self.assertEqual(threading.active_count(), before + 1)
            task.close()
            self.assertEqual(threading.active_count(), before)

    def test_an_abandoned_task_does_not_upset_the_next_one(self) -> None:
        descriptions: Dict[str, Dict[str, Any]] = {
            "event": {"kind": "event", "round_trips": 50},
            "queue": {"kind": "queue", "capacity": 1, "stage": WAIT},
            "lock": {"kind": "lock", "hold": WAIT},
        }
        for name, description in descriptions.items():
            task = in_agent(job(description))
            with self.subTest(name):
                asyncio.run(self._abandon(task))

    async def _abandon(self, task: Task) -> None:
        sums = expected(task)
        for turns in range(1, 20):
            running = asyncio.ensure_future(task.asynchronous(0, None))
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            self.assertEqual((await task.asynchronous(1, None))[0], sums[1])
        task.close()
        await asyncio.sleep(0)
        self.assertEqual(asyncio.all_tasks(), {asyncio.current_task()})


class Commands(StepCase):
    def message(self, *argv: str) -> str:
        """What both forms say, which must agree."""
        task = in_agent(job({"kind": "command", "argv": list(argv), "expect_status": 0}))
        with self.assertRaises(Failure) as blocking:
            task.blocking(0, None)
        with self.assertRaises(Failure) as asynchronous:
            asyncio.run(task.asynchronous(0, None))
        self.assertEqual(asynchronous.exception.to_frame(), blocking.exception.to_frame())
        self.assertEqual((blocking.exception.kind, blocking.exception.where), ("task", "step 1 (command)"))
        return blocking.exception.message

    def test_the_expected_status_is_success(self) -> None:
        self.check_forms(job({"kind": "command", "argv": ["/bin/sh", "-c", "exit 3"], "expect_status": 3}))

    def test_failures_say_what_to_do(self) -> None:
        self.assertEqual(
            self.message("no-such-program"), "cannot run `no-such-program`: not found; check argv[0] or PATH"
        )
        self.assertEqual(
            self.message("/dev/null"), "cannot run `/dev/null`: permission denied; check that it is executable"
        )
        self.assertEqual(
            self.message("/bin/sh", "-c", "exit 7"),
            "`/bin/sh` ended with exit status 7, expected 0; check argv or expect_status",
        )
        self.assertEqual(self.message("/bin/sh", "-c", "kill -9 $$"), "`/bin/sh` was ended by signal 9")

    def test_no_shell_reads_the_arguments(self) -> None:
        self.check_forms(job({"kind": "command", "argv": ["test", "$HOME", "=", "$HOME"], "expect_status": 0}))

    def test_a_loop_on_another_thread_runs_programs_too(self) -> None:
        task = in_agent(job({"kind": "command", "argv": ["true"], "expect_status": 0}))
        thread = threading.Thread(target=lambda: done.append(asyncio.run(task.asynchronous(0, None))))
        done: List[Any] = []
        thread.start()
        thread.join()
        self.assertEqual(done, [(task.reference(0)[0], None)])

    def test_a_cancelled_task_kills_its_program(self) -> None:
        pid_file = Path(self.directory(), "pid")
        script = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 60"
        task = in_agent(job({"kind": "command", "argv": ["/bin/sh", "-c", script], "expect_status": 0}))

        async def cancel() -> None:
            running = asyncio.ensure_future(task.asynchronous(0, None))
            while not pid_file.exists():
                await asyncio.sleep(0.01)
            running.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await running
            process = Path("/proc", pid_file.read_text().strip(), "stat")
            # A killed program is gone, or waits to be reaped.
            while process.exists() and process.read_text().split()[2] != "Z":
                await asyncio.sleep(0.01)

        asyncio.run(cancel())


@unittest.skipUnless(sys.platform == "linux", "a signal's number is Linux's")
class Signals(StepCase):
    def test_a_signal_does_not_shorten_a_wait(self) -> None:
        task = in_agent(job(WAIT, draw_ns=30_000_000))
        seen = []
        before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        start_ns = now_ns()
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        task.blocking(0, None)
        self.assertGreaterEqual(now_ns(), start_ns + 30_000_000)
        self.assertEqual(seen, [1])


class InAnAgent(StepCase):
    def test_blocks_have_the_checksum_of_the_reference(self) -> None:
        described = [each.steps[0].step for each in every_description("")]
        request = {**json.loads(job(*described).text()), "directory": self.directory()}
        request["load"] = {"mode": "batch", "tasks": 40, "max_in_flight": 4}
        with AgentProcess() as agent:
            agent.receive()
            reference = agent.ask("reference", {"job": request, "budget_ns": 0})
            self.assertEqual({len(table) for table in reference["tables"]}, {VARIANTS})
            agent.ask("job", request)
            go = {"block": 1, "kind": "timed", "window_ns": 0, "first_index": 5}
            block = agent.ask("go", go)
            self.assertEqual(block["tasks"], 40)
            self.assertEqual(
                block["checksum"],
                sum(table[index % VARIANTS] for table in reference["tables"] for index in range(5, 45)) % 2**64,
            )
            self.assertEqual(agent.ask("bye", {})["left_behind"], [])
            self.assertEqual(agent.process.communicate(), (b"", b""))

    def test_every_kernel_is_calibrated(self) -> None:
        with AgentProcess() as agent:
            agent.receive()
            for kernel in KERNELS:
                target = {"iteration": {**cpu(kernel, 2000), "time_ns": 1_000_000}}
                del target["iteration"]["kind"]
                calibrated = agent.ask("calibrate", {"target": target, "budget_ns": 1_000_000})
                self.assertGreater(calibrated["iteration"]["best_ns"], 0)
