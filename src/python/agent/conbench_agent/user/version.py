"""One of two versions of a package that are compared: each must be measured by modules of its own.

An editable install, or another copy on `sys.path`, would have both sides measure the same files, and the comparison
would say that nothing has changed.
"""

from __future__ import annotations

import os
import sys
from typing import Mapping, Optional

from ..protocol import Failure


class Version:
    """The modules of a version: those of its package, and all that lie in its folder."""

    def __init__(self, description: Mapping[str, str], function: str, where: str) -> None:
        """Of the function `function` ("package.module:name") in the step `where`."""
        self._root = os.path.realpath(description["root"])
        self._other = os.path.realpath(description["other"])
        self._where = where
        self._module = function.partition(":")[0]
        # A virtual environment may stand in either folder, and so may the agent's own files: of neither version.
        agent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
        self._others = [agent, *(os.path.realpath(prefix) for prefix in {sys.prefix, sys.base_prefix})]

    def check(self) -> None:
        """Raises Failure where a module was imported that is not this version's."""
        package = self._package()
        for name, module in list(sys.modules.items()):
            is_its_own = name == package or name.startswith(package + ".")
            file = _file(module)
            if file is None:
                continue
            path = os.path.realpath(file)
            if is_its_own and not _is_below(path, self._root):
                self._fail(name, file, f"which is not in {self._root}")
            if self._is_other(path):
                self._fail(name, file, "which is the other version")

    def _package(self) -> str:
        """The outermost package of the function that has files of its own: one without may be shared with others."""
        parts = self._module.split(".")
        for count in range(1, len(parts)):
            name = ".".join(parts[:count])
            if _file(sys.modules.get(name)) is not None:
                return name
        return self._module

    def _is_other(self, path: str) -> bool:
        if not _is_below(path, self._other) or _is_below(path, self._root):
            return False
        return "site-packages" not in path.split(os.sep) and not any(_is_below(path, it) for it in self._others)

    def _fail(self, name: str, file: str, why: str) -> None:
        raise Failure(
            "setup",
            f"the module {name} was imported from {file}, {why}: another copy (an editable install?) would be measured "
            "in the place of this version; uninstall it, or name the folder that holds the package in the `path` of a "
            "workload file",
            self._where,
        )


def _file(module: object) -> Optional[str]:
    # Not by `getattr`: a lazy module would be loaded by that.
    try:
        file = vars(module).get("__file__")
    except TypeError:
        return None
    return file if isinstance(file, str) else None


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
