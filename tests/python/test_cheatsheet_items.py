"""The items: what they hand to the meter, and the catalogue that names them."""

from __future__ import annotations

import queue
import re
import tempfile
import threading
import unittest
import unittest.mock
from pathlib import Path
from typing import Callable, Dict, List

from cheatsheet_support import CATALOGUE
from conbench_cheatsheet import host, sections, threads
from conbench_cheatsheet.registry import ITEMS, PITFALLS, Unavailable
from conbench_cheatsheet.timing import Meter


class Catalogue(unittest.TestCase):
    def test_it_names_each_item_and_pitfall_in_their_order(self) -> None:
        sections.load()
        kinds: Dict[str, List[str]] = {"item": [], "pitfall": []}
        for kind, name in re.findall(r'^\[\[(item|pitfall)\]\]\nid = "([^"]+)"$', CATALOGUE.read_text(), re.MULTILINE):
            kinds[kind].append(name)
        self.assertEqual(kinds["item"], list(ITEMS))
        self.assertEqual(sorted(kinds["pitfall"]), sorted(PITFALLS))
        self.assertFalse(set(ITEMS) & set(PITFALLS))


class Rounds(Meter):
    """Makes a few calls, and measures nothing."""

    def __init__(self) -> None:
        self.overhead_ns = 0

    def per_call(
        self, loop: Callable[[int], object], parts: float = 1, minus_ns: float = 0, budget_ns: int = 0
    ) -> float:
        loop(20)
        return parts


class HandOvers(unittest.TestCase):
    """The threads of a hand-over run in turns: none goes on before the other one ran."""

    def in_turns(self, item: str, module: object, name: str, waits: str) -> None:
        real = getattr(module, name)
        ran: List[int] = []

        class Recording:
            def __init__(self) -> None:
                self.real = real()

            def __getattr__(self, attribute: str) -> object:
                found = getattr(self.real, attribute)
                if attribute != waits:
                    return found

                def wait() -> object:
                    value = found()
                    ran.append(threading.get_ident())
                    return value

                return wait

        sections.load()
        with unittest.mock.patch.object(module, name, Recording):
            self.assertEqual(ITEMS[item](Rounds()), 2)
        here = threading.get_ident()
        # The first ones may take what is free already, and the last one ends the other thread.
        turns = [thread == here for thread in ran[-41:-1]]
        self.assertEqual(turns, [False, True] * 20)

    def test_of_a_lock(self) -> None:
        self.in_turns("lock-handover", threads, "Lock", "acquire")

    def test_of_an_event(self) -> None:
        self.in_turns("event-handover", threads, "Event", "wait")

    def test_of_a_queue(self) -> None:
        self.in_turns("queue-handover", queue, "Queue", "get")
        self.in_turns("simple-queue-handover", queue, "SimpleQueue", "get")

    def test_no_thread_is_left(self) -> None:
        before = threading.active_count()
        sections.load()
        for item in ("lock-handover", "event-handover", "condition-handover", "queue-handover", "gil-turn"):
            with self.subTest(item), unittest.mock.patch.object(Rounds, "per_call", side_effect=ValueError):
                self.assertRaises((ValueError, Unavailable), ITEMS[item], Rounds())
                self.assertEqual(threading.active_count(), before)


class Quota(unittest.TestCase):
    def found(self, groups: str, files: Dict[str, str]) -> object:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            (root / "groups").write_text(groups)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return host.quota_cores(root / "groups", root / "mounted")

    def test_the_least_of_all_levels_counts(self) -> None:
        quotas = {
            "mounted/a/b/cpu.max": "max 100000\n",
            "mounted/a/cpu.max": "150000 100000\n",
            "mounted/cpu.max": "400000 100000\n",
        }
        self.assertEqual(self.found("0::/a/b\n", quotas), 1.5)

    def test_the_first_version_of_control_groups(self) -> None:
        quotas = {"mounted/cpu/a/cpu.cfs_quota_us": "50000\n", "mounted/cpu/a/cpu.cfs_period_us": "100000\n"}
        self.assertEqual(self.found("4:memory:/a\n3:cpu,cpuacct:/a\n", quotas), 0.5)

    def test_there_may_be_none(self) -> None:
        unlimited = {"mounted/cpu/cpu.cfs_quota_us": "-1\n", "mounted/cpu/cpu.cfs_period_us": "100000\n"}
        self.assertIsNone(self.found("3:cpu:/\n0::/\n", unlimited))

    def test_a_group_with_one_core_is_made_where_its_files_are(self) -> None:
        self.made("0::/a/b\n", "mounted/a", {"cpu.max": "10000 10000"})
        texts = {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "10000"}
        self.made("3:cpu:/a\n0::/\n", "mounted/cpu/a", texts)

    def made(self, groups: str, parent: str, texts: Dict[str, str]) -> None:
        """Expects a group with these files below that one, of all that are there."""
        with tempfile.TemporaryDirectory() as directory:
            root, make = Path(directory), Path.mkdir
            for folder in ("mounted/a/b", "mounted/cpu/a"):
                (root / folder).mkdir(parents=True)
            (root / "groups").write_text(groups)
            # Of a process that is no more.
            (root / parent / "conbench-cheatsheet-0").mkdir()

            def as_the_kernel_does(path: Path) -> None:
                make(path)
                # Other levels leave it no controller, and so none of its files.
                if path.parent == root / parent:
                    for file in texts:
                        (path / file).touch()

            making = unittest.mock.patch.object(Path, "mkdir", as_the_kernel_does)
            leaving = unittest.mock.patch.object(host, "_LEAVE_S", 0.0)
            with making, leaving, host.one_core_group(root / "groups", root / "mounted") as group:
                assert group is not None
                self.assertEqual(list((root / parent).glob("conbench-*")), [group])
                self.assertEqual({file.name: file.read_text() for file in group.iterdir()}, texts)
            self.assertEqual(list((root / "mounted/a/b").iterdir()), [])

    def test_what_is_no_control_group_is_left_as_it_is(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            (root / "groups").write_text("0::/\n")
            (root / "mounted").mkdir()
            with host.one_core_group(root / "groups", root / "mounted") as group:
                self.assertIsNone(group)
            self.assertEqual(list((root / "mounted").iterdir()), [])
