"""What this process may use of the machine."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

#: A quota of one core, for each so many microseconds: a short time, so that what takes a few milliseconds feels it.
_PERIOD_US = 10_000
#: What a quota of one core is written to, in both versions of control groups.
_V2 = {"cpu.max": f"{_PERIOD_US} {_PERIOD_US}"}
_V1 = {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(_PERIOD_US)}
#: The names of own groups begin so; the number of the process that made them follows.
_OWN = "conbench-cheatsheet-"
#: How long the processes of an own group may take to be gone.
_LEAVE_S = 1.0


def cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def has_gil() -> bool:
    """Whether one thread at a time runs Python here."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is None or bool(enabled())


def quota_cores(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> Optional[float]:
    """The cores that the quotas of this process's control group and those above it allow; None without a quota.

    `groups` lists the control groups of this process, `mounted` is where they are found, in both versions of them.
    """
    found = [(_quota_v2 if is_v2 else _quota_v1)(group) for group, is_v2 in _groups(groups, mounted)]
    return min((quota for quota in found if quota is not None), default=None)


def _groups(groups: Path, mounted: Path) -> Iterator[Tuple[Path, bool]]:
    """The control groups that may bound the CPU time of this process, and whether each is of version 2."""
    for line in groups.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from ((group, True) for group in _upwards(mounted, path))
        elif "cpu" in controllers.split(","):
            yield from ((group, False) for group in _upwards(mounted / "cpu", path))


@contextmanager
def one_core_group(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> Iterator[Optional[Path]]:
    """A control group that is allowed one core, as a container may be; None where the kernel lets none be made."""
    made = (_make(parent, is_v2) for parent, is_v2 in _groups(groups, mounted))
    group = next((group for group in made if group is not None), None)
    try:
        yield group
    finally:
        if group is not None:
            _remove(group)


def _make(parent: Path, is_v2: bool) -> Optional[Path]:
    for left in parent.glob(_OWN + "*"):
        # Of one that was killed.
        if not Path("/proc", left.name[len(_OWN) :]).exists():
            with suppress(OSError):
                left.rmdir()
    group = parent / f"{_OWN}{os.getpid()}"
    with suppress(OSError):
        group.mkdir()
        try:
            _set(group, _V2 if is_v2 else _V1)
        except OSError:
            group.rmdir()
        else:
            return group
    return None


def _set(group: Path, texts: Dict[str, str]) -> None:
    for name, text in texts.items():
        # Never makes a file: what is no control group has none of this name.
        file = os.open(group / name, os.O_WRONLY)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def _remove(group: Path) -> None:
    """Removes an own group, as soon as the last of its processes is gone."""
    deadline = time.monotonic() + _LEAVE_S
    while time.monotonic() < deadline:
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.01)


def _upwards(root: Path, path: str) -> List[Path]:
    relative = Path(path.lstrip("/"))
    return [root / relative, *(root / parent for parent in relative.parents)]


def _quota_v2(group: Path) -> Optional[float]:
    # A group without a quota says "max".
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)
    return None


def _quota_v1(group: Path) -> Optional[float]:
    with suppress(OSError, ValueError):
        quota = int((group / "cpu.cfs_quota_us").read_text())
        # A group without a quota says -1.
        return quota / int((group / "cpu.cfs_period_us").read_text()) if quota > 0 else None
    return None


def memory_mib(pid: int) -> float:
    """The memory of a process, in MiB; what processes share is divided among them."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
