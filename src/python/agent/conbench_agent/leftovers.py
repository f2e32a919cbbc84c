"""What the user's code left behind when its tasks had ended: threads and child processes, by name and count."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
from collections import Counter
from time import monotonic
from typing import Dict, Iterable, List, NamedTuple, Optional, Set

#: Threads that are about to end anyway are waited for so long in all.
_GRACE_S = 0.1
#: Modules of loky's own, in its package and in joblib.
_LOKYS_TRACKERS = ("loky.backend.resource_tracker", "joblib.externals.loky.backend.resource_tracker")


class _Child(NamedTuple):
    pid: int
    name: str


def threads() -> Set[threading.Thread]:
    """The threads of now."""
    return set(threading.enumerate())


def threads_beyond(known: Set[threading.Thread]) -> List[Dict[str, object]]:
    """The threads that came since, as entries of the frame `bye`."""
    deadline = monotonic() + _GRACE_S
    for thread in threads() - known:
        thread.join(max(deadline - monotonic(), 0))
    # "Thread-7 (watch)" and "Thread-8 (watch)" are two of one kind.
    return _entries("thread", [re.sub(r"\d+", "N", thread.name) for thread in threads() - known])


def children() -> Set[int]:
    """The child processes of now."""
    return {child.pid for child in _children()}


def children_beyond(known: Iterable[int]) -> List[Dict[str, object]]:
    """The child processes that are alive, beside those known and the standard library's helpers."""
    ours = {*known, *helpers()}
    return _entries("process", [child.name for child in _children() if child.pid not in ours])


def kill_children(pids: Iterable[int]) -> None:
    """Kills those of these processes that are still this process's children."""
    doomed = set(pids)
    for child in _children():
        if child.pid in doomed:
            os.kill(child.pid, signal.SIGKILL)


def keep_files_in(directory: Optional[str]) -> None:
    """Has `multiprocessing` make its sockets in the session's own directory, where nothing of them can stay behind.

    It removes its own directory when the interpreter exits, which killed agents do not come to. Does
    nothing where it is not imported, or made a directory already.
    """
    config = _multiprocessings_config()
    if config is not None and directory is not None and config.get("tempdir") is None:
        config["tempdir"] = directory


def remove_files(directory: Optional[str]) -> None:
    """Removes the directory that `multiprocessing` made for the user's code; not the session's own, `directory`."""
    config = _multiprocessings_config()
    made = config.get("tempdir") if config is not None else None
    if isinstance(made, str) and made != directory:
        shutil.rmtree(made, ignore_errors=True)


def _multiprocessings_config() -> Optional[Dict[str, object]]:
    module = sys.modules.get("multiprocessing.process")
    current = getattr(module, "current_process", None)
    return getattr(current(), "_config", None) if current is not None else None


def _entries(kind: str, names: Iterable[str]) -> List[Dict[str, object]]:
    return [{"kind": kind, "name": name, "count": count} for name, count in sorted(Counter(names).items())]


def helpers() -> Set[int]:
    """The processes that `multiprocessing`, or loky, keeps for whoever used it."""
    modules = ["multiprocessing.resource_tracker", *_LOKYS_TRACKERS]
    trackers = [getattr(sys.modules.get(name), "_resource_tracker", None) for name in modules]
    forkserver = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    pids = *(getattr(tracker, "_pid", None) for tracker in trackers), getattr(forkserver, "_forkserver_pid", None)
    return {pid for pid in pids if pid is not None}


def _children() -> List[_Child]:
    """The child processes that are alive."""
    children = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue  # It ended meanwhile.
        # "pid (name) state parent ..", where a name may hold anything.
        name, _, rest = text.partition("(")[2].rpartition(")")
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid() and state != "Z":
            children.append(_Child(int(entry), name))
    return children
