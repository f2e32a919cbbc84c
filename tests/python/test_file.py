from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict

from conbench_agent.protocol import Failure
from conbench_agent.steps.kernels import input_seed
from conbench_agent.task import VARIANTS, digest, pattern
from step_jobs import StepCase, in_agent, job


def file(operation: str, fsync: bool = False) -> Dict[str, Any]:
    return {"kind": "file", "operation": operation, "size_bytes": 1000, "fsync": fsync}


class Files(StepCase):
    def test_both_forms_agree_for_every_operation(self) -> None:
        for operation in ["read", "write", "append"]:
            for fsync in [False, True]:
                with self.subTest(operation, fsync=fsync):
                    self.check_forms(job(file(operation, fsync), directory=self.directory()))

    def test_names_and_contents_are_those_of_the_native_agent(self) -> None:
        directory = self.directory()
        task = in_agent(job(file("read"), directory=directory))
        seed = input_seed(7, 1, 3)
        self.assertEqual(task.blocking(3, None)[0], digest(pattern(1000, seed)))
        made = Path(directory, "step-1", f"read-{seed:016x}-1000")
        self.assertEqual(made.read_bytes(), pattern(1000, seed))

    def test_a_read_sees_what_the_file_holds(self) -> None:
        directory = self.directory()
        task = in_agent(job(file("read"), directory=directory))
        checksum = task.blocking(3, None)
        for path in Path(directory, "step-1").iterdir():
            path.write_text("other")
        self.assertNotEqual(task.blocking(3, None), checksum)

    def test_files_to_read_are_there_before_the_first_task(self) -> None:
        directory = self.directory()
        task = in_agent(job(file("read"), directory=directory))
        task.prepare(VARIANTS + 3)
        self.assertEqual(len(os.listdir(f"{directory}/step-1")), 1)
        task.prepare(None)
        self.assertEqual(len(os.listdir(f"{directory}/step-1")), VARIANTS)
        task.blocking(3, None)
        task.settle()
        self.assertEqual(len(os.listdir(f"{directory}/step-1")), VARIANTS)

    def test_written_bytes_are_there_until_the_block_settles(self) -> None:
        directory = self.directory()
        task = in_agent(job(file("write"), directory=directory))
        for index in range(5000):
            task.blocking(index, None)
        sizes = [entry.stat().st_size for entry in os.scandir(f"{directory}/step-1")]
        self.assertEqual((len(sizes), set(sizes)), (4096, {1000}))
        task.settle()
        self.assertEqual(os.listdir(f"{directory}/step-1"), [])

    def test_a_log_grows_by_whole_records_and_is_emptied_between_blocks(self) -> None:
        directory = self.directory()
        task = in_agent(job(file("append", fsync=True), directory=directory))
        self.addCleanup(task.close)
        log = Path(directory, "step-1", "log")
        for _ in range(2):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda index: task.blocking(index, None), range(40)))
            self.assertEqual(log.stat().st_size, 40_000)
            task.settle()
            self.assertEqual(log.stat().st_size, 0)

    def test_what_cannot_be_done_is_a_failure_of_its_step(self) -> None:
        with self.assertRaises(Failure) as caught:
            in_agent(job(file("read")))
        self.assertEqual(str(caught.exception), "step 1 (file): the job names no directory for files")
        self.assertEqual(caught.exception.kind, "setup")
        for operation in ["read", "write", "append"]:
            directory = self.directory()
            task = in_agent(job(file(operation), directory=directory))
            shutil.rmtree(f"{directory}/step-1")
            task.prepare(0)
            with self.assertRaises(Failure) as caught:
                task.blocking(0, None)
            self.assertEqual(caught.exception.kind, "task")
            self.assertRegex(caught.exception.message, "^cannot .* /.*: No such file or directory$")
            task.settle()
