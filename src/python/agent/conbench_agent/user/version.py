"""One of two versions of a package that are compared: each must be measured by modules of its own.

An editable install, or another copy on `sys.path`, would have both sides measure the same files, and the comparison
would say that nothing has changed.
"""

from __future__ import annotations

import os
import sys
from typing import List, Mapping

from ..protocol import Failure


class Version:
    """The modules of a version: those of its package, and all that lie in its folder."""

    def __init__(self, description: Mapping[str, str], function: str, where: str) -> None:
        """Of the function `function` ("package.module:name") in the step `where`."""
        self._root = os.path.realpath(description["root"])
        self._other = os.path.realpath(description["other"])
        self._where = where
        self._package = function.partition(":")[0].partition(".")[0]
        # A virtual environment may stand in either folder, and is of neither version.
        self._installed = [os.path.realpath(prefix) for prefix in {sys.prefix, sys.base_prefix}]

    def check(self) -> None:
        """Raises Failure where a module was imported that is not this version's."""
        for name, module in list(sys.modules.items()):
            is_its_own = name == self._package or name.startswith(self._package + ".")
            for file in _files(module):
                path = os.path.realpath(file)
                if is_its_own and not _is_below(path, self._root):
                    self._fail(name, file, f"which is not in {self._root}")
                if self._is_other(path):
                    self._fail(name, file, "which is the other version")

    def _is_other(self, path: str) -> bool:
        if not _is_below(path, self._other) or _is_below(path, self._root):
            return False
        return "site-packages" not in path.split(os.sep) and not any(_is_below(path, it) for it in self._installed)

    def _fail(self, name: str, file: str, why: str) -> None:
        raise Failure(
            "setup",
            f"the module {name} was imported from {file}, {why}: another copy (an editable install?) would be measured "
            "in the place of this version; uninstall it, or name the folder that holds the package in the `path` of a "
            "workload file",
            self._where,
        )


def _files(module: object) -> List[str]:
    file = getattr(module, "__file__", None)
    # A package without an `__init__.py` has folders instead.
    found = [file] if file else list(getattr(module, "__path__", []))
    return [each for each in found if isinstance(each, str)]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
