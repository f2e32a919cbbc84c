"""What a worker of somebody else's is lent: folders where modules are found, and modules that come from there.

They are taken back after the last candidate that needs them: else the worker would have a module of now for as long
as it lives, and run it for whoever changed its file since.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Dict, Iterable, NamedTuple, Optional, Set

#: What is below a folder and not its owner's: an environment stands in many a project.
_PACKAGES = ("site-packages", "dist-packages")


class _Folder(NamedTuple):
    #: The candidates that need it.
    holders: Set[str]
    #: Its modules that the worker had before.
    had: Set[str]
    #: Where it stood on `sys.path`.
    place: Optional[int]


_folders: Dict[str, _Folder] = {}


def lend(candidate: str, folders: Iterable[str]) -> None:
    """Notes what is there of these folders before the candidate's modules come from there."""
    for folder in set(folders):
        if folder not in _folders:
            place = sys.path.index(folder) if folder in sys.path else None
            _folders[folder] = _Folder(set(), _modules_of(folder), place)
        _folders[folder].holders.add(candidate)


def take_back(candidate: str) -> None:
    """Removes what this candidate alone still needed."""
    for folder, lent in list(_folders.items()):
        lent.holders.discard(candidate)
        if lent.holders:
            continue
        del _folders[folder]
        for name in _modules_of(folder) - lent.had:
            sys.modules.pop(name, None)
        sys.path[:] = [each for each in sys.path if each != folder]
        if lent.place is not None:
            sys.path.insert(lent.place, folder)
        importlib.invalidate_caches()


def _modules_of(folder: str) -> Set[str]:
    """The modules whose files are below this folder, but for those of packages that were installed there."""
    found = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        below = os.path.relpath(file, folder).split(os.sep) if isinstance(file, str) and os.path.isabs(file) else [".."]
        if below[0] != ".." and not any(part in _PACKAGES for part in below):
            found.add(name)
    return found
