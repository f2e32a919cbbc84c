"""What this process may use of the machine."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import List, Optional


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
    found = []
    for line in groups.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found += [_quota_v2(group) for group in _upwards(mounted, path)]
        elif "cpu" in controllers.split(","):
            found += [_quota_v1(group) for group in _upwards(mounted / "cpu", path)]
    return min((quota for quota in found if quota is not None), default=None)


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
