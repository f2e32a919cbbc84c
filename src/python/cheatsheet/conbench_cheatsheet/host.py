"""What this process may use of the machine."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Optional


def cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def has_gil() -> bool:
    """Whether one thread at a time runs Python here."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is None or bool(enabled())


def quota_cores() -> Optional[float]:
    """The cores that the quota of this process's control group allows; None without a quota."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            group = Path("/sys/fs/cgroup") / path.lstrip("/")
            with suppress(OSError, ValueError):
                quota, period = (group / "cpu.max").read_text().split()
                return int(quota) / int(period)
        if "cpu" in controllers.split(","):
            group = Path("/sys/fs/cgroup/cpu") / path.lstrip("/")
            with suppress(OSError, ValueError):
                limit = int((group / "cpu.cfs_quota_us").read_text())
                if limit > 0:
                    return limit / int((group / "cpu.cfs_period_us").read_text())
    return None


def memory_mib(pid: int) -> float:
    """The memory of a process, in MiB; what processes share is divided among them."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
