"""Puts this package into a process that does not have it: a worker of a Dask cluster, which runs this text by itself.

So nothing here may import anything of the package. The modules live in the memory of that process, and go with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zlib
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Dict, Optional, Sequence, Tuple

PACKAGE = "conbench_agent"


class Finder:
    """Finds modules whose texts it holds."""

    #: By which another version of this class knows it.
    is_conbenchs = True

    def __init__(self, texts: Dict[str, Tuple[bool, str]]) -> None:
        """Of each module whether it is a package, and its text."""
        self._texts = texts

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """As the import system asks."""
        if name not in self._texts:
            return None
        loader: Any = self
        return importlib.util.spec_from_loader(name, loader, is_package=self._texts[name][0])

    def create_module(self, spec: ModuleSpec) -> None:
        """Nothing special."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs the text."""
        vars(module)["__file__"] = _place(module.__name__, self._texts[module.__name__][0])
        exec(compile(self.get_source(module.__name__), module.__file__ or "", "exec"), vars(module))

    def get_source(self, name: str) -> str:
        """The text, which tracebacks show."""
        return self._texts[name][1]


def install(digest: str, packed: bytes) -> str:
    """Installs the package of this digest, unless it is there; why it cannot be, in words, or nothing.

    `packed` is what `dask_ship` packs.
    """
    found = sys.modules.get(PACKAGE)
    if getattr(found, "DIGEST", None) == digest:
        return ""
    runs = sys.modules.get(PACKAGE + ".engines.dask_worker")
    if runs is not None and runs.is_busy():
        return "it runs tasks for another version of conbench"
    for name in [each for each in sys.modules if each == PACKAGE or each.startswith(PACKAGE + ".")]:
        del sys.modules[name]
    finder: Any = Finder(_unpacked(packed))
    sys.meta_path[:] = [finder, *(each for each in sys.meta_path if not hasattr(each, "is_conbenchs"))]
    vars(importlib.import_module(PACKAGE))["DIGEST"] = digest
    importlib.import_module(PACKAGE + ".engines.dask_worker")
    return ""


def _unpacked(packed: bytes) -> Dict[str, Tuple[bool, str]]:
    texts = {}
    for part in zlib.decompress(packed).decode().split("\0"):
        name, kind, text = part.split("\n", 2)
        texts[name] = kind == "package", text
    return texts


def _place(name: str, is_package: bool) -> str:
    """What stands for the path of a module's file, in a folder that is nowhere."""
    return f"/conbench-in-memory/{name.replace('.', '/')}{'/__init__' if is_package else ''}.py"
