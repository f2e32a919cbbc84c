"""Modules that start processes while they are imported.

A worker under `spawn` or `forkserver` imports the user's module again, and so would start its own processes, whose
workers would import it again. multiprocessing refuses some of that ("An attempt has been made to start a new process
before the current process has finished its bootstrapping phase"), in a child that nobody reads, and loops or hangs on
the rest. So it is stopped where it begins, and noted where it is harmless: under `fork` nothing is imported twice.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, TracebackType
from typing import Any, Callable, Optional, Sequence, Type

_MODULE = "multiprocessing.process"


class StartsProcess(Exception):
    """A module that is being imported starts a process by a method that would import it again."""


class ProcessWatch:
    """Watches for `multiprocessing` processes that are started while it is entered.

    It does not import multiprocessing itself: that takes longer than most modules, and is measured as start-up.
    """

    def __init__(self) -> None:
        """Nothing was started yet."""
        #: The number of processes that the current process started, or tried to.
        self.starts = 0
        #: Whether one of them was refused.
        self.refused = False
        self._original: Optional[Callable[..., object]] = None

    def __enter__(self) -> ProcessWatch:
        module = sys.modules.get(_MODULE)
        if module is None:
            sys.meta_path.insert(0, self)
        else:
            self._patch(module)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if self._original is not None:
            sys.modules[_MODULE].BaseProcess.start = self._original

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """A finder of modules: patches the module of processes when it is imported, and finds nothing else."""
        if name != _MODULE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = spec and spec.loader
        if loader is None:
            return spec
        execute = loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            self._patch(module)

        loader.exec_module = execute_and_patch
        return spec

    def _patch(self, module: ModuleType) -> None:
        base: Any = module.__dict__["BaseProcess"]
        self._original = original = base.start

        def start(process: Any) -> object:
            self.starts += 1
            if _method_of(process) != "fork":
                self.refused = True
                raise StartsProcess
            return original(process)

        base.start = start


def _method_of(process: Any) -> str:
    method = getattr(process, "_start_method", None)
    if method is None:
        import multiprocessing

        method = multiprocessing.get_start_method()
    return str(method)
