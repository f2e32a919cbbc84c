"""What the user's code shares between threads by names of its modules, and of which each process has its own.

A lock of a module holds threads apart and lets processes through; what a call adds to a list of its module stays in
the process that ran it. No time and no result tells either: only the code does, and what changes while it runs.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections import deque
from contextlib import suppress
from types import FunctionType, MethodType, ModuleType
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from .loading import names_in

#: What threads of one process wait for, by the name that users know it by.
_WAITED_FOR: List[Tuple[type, str]] = [
    (type(threading.Lock()), "threading.Lock"),
    (type(threading.RLock()), "threading.RLock"),
    (threading.Condition, "threading.Condition"),
    (threading.Semaphore, "threading.Semaphore"),
    (threading.Event, "threading.Event"),
    (threading.Barrier, "threading.Barrier"),
]
#: The same of modules that the user's code may have imported.
_WAITED_FOR_OF = {
    "queue": ("Queue", "SimpleQueue"),
    "asyncio": ("Lock", "Semaphore", "Condition", "Event", "Queue"),
}
#: What tells by its length that something was added or taken away.
_SIZED = (list, dict, set, bytearray, deque)
#: Places that are looked into, at most.
_MOST = 200
#: Names that are told, at most.
_MOST_TOLD = 20


class _Space(NamedTuple):
    """A module, a class or an object: what its names stand for, and which of them the code uses."""

    #: How the code writes it before a name: "", or "cache.".
    label: str
    values: Mapping[str, Any]
    used: Set[str]


class ModuleState:
    """What callables reach by names, as it is before tasks run."""

    def __init__(self, callables: Iterable[Callable[..., object]]) -> None:
        """Looks into the functions that they run, and into what these call of the same packages."""
        self._spaces: Dict[int, _Space] = {}
        self._functions: Set[int] = set()
        called = list(callables)
        self._packages = {_package(function) for each in called for function in _functions(each)}
        for each in called:
            self._reach(each, "", set())
        self._before = {place: _state(value) for place, value in self._values()}

    def found(self) -> List[Dict[str, object]]:
        """The `module_state` of a reference, once tasks ran: what they may wait for, and what they changed."""
        found: List[Dict[str, object]] = []
        for (label, name), value in self._values():
            waited_for = _waited_for(value)
            before = self._before.get((label, name))
            if waited_for is not None:
                found.append({"name": label + name, "type": waited_for, "changes": False})
            elif before is not None and before != _state(value):
                found.append({"name": label + name, "type": type(value).__name__, "changes": True})
        return found[:_MOST_TOLD]

    def _values(self) -> Iterator[Tuple[Tuple[str, str], object]]:
        for space in self._spaces.values():
            for name in sorted(space.used):
                if name in space.values:
                    yield (space.label, name), space.values[name]

    def _reach(self, value: object, name: str, names: Set[str]) -> None:
        """Looks into what `name` stands for in code that uses these names, if it is of the user's packages."""
        for function in _functions(value):
            if _package(function) in self._packages:
                self._look_into(function)
        owner = getattr(value, "__self__", value) if isinstance(value, MethodType) else value
        if isinstance(owner, ModuleType):
            if owner.__name__.partition(".")[0] in self._packages:
                self._use(owner, f"{name}.", vars(owner), names)
        elif isinstance(owner, type):
            if _package(owner) in self._packages:
                self._use(owner, f"{owner.__name__}.", vars(owner), names)
        elif not isinstance(owner, FunctionType) and _package(type(owner)) in self._packages:
            # Its methods use what the code does not name.
            attributes: Dict[str, Any] = getattr(owner, "__dict__", {})
            self._use(owner, f"{name or type(owner).__name__}.", attributes, set(attributes))

    def _look_into(self, function: FunctionType) -> None:
        if id(function) in self._functions or len(self._functions) >= _MOST:
            return
        self._functions.add(id(function))
        names = set(names_in(function.__code__))
        self._use(function.__globals__, "", function.__globals__, names)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            # One that nothing was put into so far has no contents.
            with suppress(ValueError):
                self._use(cell, "", {name: cell.cell_contents}, {name})

    def _use(self, holder: object, label: str, values: Mapping[str, Any], names: Set[str]) -> None:
        """Notes which names of a holder are used, and looks into what they stand for."""
        if id(holder) not in self._spaces and len(self._spaces) >= _MOST:
            return
        space = self._spaces.setdefault(id(holder), _Space(label, values, set()))
        reached = [name for name in names if name in values and name not in space.used]
        space.used.update(reached)
        for name in reached:
            self._reach(values[name], name, names)


def _functions(value: object) -> Iterator[FunctionType]:
    """The Python functions that a call of this runs."""
    while value is not None:
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, MethodType):
            value = value.__func__
        elif isinstance(value, FunctionType):
            yield value
            value = getattr(value, "__wrapped__", None)
        else:
            # An object that is called, or what a decorator of another kind made.
            call = getattr(type(value), "__call__", None)  # noqa: B004 (the function is asked for, not whether)
            if isinstance(call, FunctionType):
                yield call
            wrapped = getattr(value, "__wrapped__", None)
            value = wrapped if isinstance(wrapped, FunctionType) else None


def _waited_for(value: object) -> Optional[str]:
    """What users call this, where threads of one process wait for it."""
    for kind, name in _WAITED_FOR:
        if isinstance(value, kind):
            return name
    for module, names in _WAITED_FOR_OF.items():
        loaded = sys.modules.get(module)
        for name in names:
            kind = getattr(loaded, name, type(None))
            if value is not None and isinstance(value, kind):
                return f"{module}.{name}"
    return None


def _state(value: object) -> Optional[Tuple[int, int]]:
    """What differs once this was replaced, or has grown; None for code, and for what is made at the first need."""
    if value is None or isinstance(value, (bool, ModuleType, FunctionType, type)):
        return None
    return id(value), len(value) if isinstance(value, _SIZED) else 0


def _package(made: Any) -> str:
    """The outermost package that a function or a class is of."""
    module = getattr(made, "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""
