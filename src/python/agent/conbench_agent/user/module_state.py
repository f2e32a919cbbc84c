"""What the user's code shares between threads by names of its modules, and of which each process has its own.

A lock of a module holds threads apart and lets processes through; what a call adds to a list of its module stays in
the process that ran it. No time and no result tells either: only the code does, and what changes while it runs.

Nothing here runs the user's code. What is not of the packages of what is called is looked at by its type alone: asked
for an attribute, a proxy would wake what it stands for.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections import deque
from contextlib import suppress
from dis import get_instructions
from itertools import islice
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from .loading import codes_in

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
#: What tells by its length and its entries that something was added, taken away or replaced; subclasses too.
_CONTAINERS: Tuple[Any, ...] = (list, dict, set, bytearray, deque)
#: Entries of one that are watched, at most.
_MOST_ENTRIES = 256
#: What `functools.lru_cache` makes of a function.
_CACHED = type(functools.lru_cache(maxsize=None)(len))
#: Places that are looked into, at most.
_MOST = 200
#: Names that are told, at most.
_MOST_TOLD = 20


class _Names(NamedTuple):
    """What a function names, functions inside it among them."""

    #: Names of its module.
    outer: Set[str]
    #: Attributes, of whatever.
    attributes: Set[str]


class _Space(NamedTuple):
    """A module, a class, an object or a cell: what its names stand for, and which of them the code uses."""

    #: How the code writes it before a name: "", or "cache.".
    label: str
    #: Kept, so that its identity stays its own.
    holder: object
    #: What its names stand for now.
    values: Callable[[], Mapping[str, Any]]
    used: Set[str]


class ModuleState:
    """What callables reach by names, as it is before tasks run."""

    def __init__(self, callables: Iterable[Callable[..., object]]) -> None:
        """Looks into the functions that they run, and into what these call of the same packages."""
        self._spaces: Dict[int, _Space] = {}
        self._functions: Set[int] = set()
        self._looked_into: Set[Tuple[int, int]] = set()
        self._kept: List[_Names] = []
        called = list(callables)
        self._packages = {
            _package(function) for each in called for function in self._functions_of(each, is_called=True)
        }
        nothing = _Names(set(), set())
        self._kept.append(nothing)
        for each in called:
            self._reach(each, "", nothing, is_called=True)
        self._before = {place: _state(value) for place, _, value in self._values()}

    def found(self) -> List[Dict[str, object]]:
        """The `module_state` of a reference, once tasks ran: what they may wait for, and what they changed."""
        found: List[Dict[str, object]] = []
        for place, name, value in self._values():
            waited_for = _waited_for(value)
            before = self._before.get(place)
            if waited_for is not None:
                told: Dict[str, object] = {"name": name, "type": waited_for, "changes": False}
            elif before is not None and _has_changed(before, value):
                told = {"name": name, "type": type(value).__name__, "changes": True}
            else:
                continue
            if told not in found:
                found.append(told)
        return found[:_MOST_TOLD]

    def _values(self) -> Iterator[Tuple[Tuple[int, str], str, object]]:
        for identity, space in self._spaces.items():
            values = space.values()
            for name in sorted(space.used):
                if name in values:
                    yield (identity, name), space.label + name, values[name]

    def _is_own(self, made: Any) -> bool:
        return _package(made) in self._packages

    def _reach(self, value: object, name: str, names: _Names, is_called: bool = False) -> None:
        """Looks into what `name` stands for in code that uses these names, if it is of the user's packages."""
        for function in self._functions_of(value, is_called):
            if self._is_own(function):
                self._look_into(function)
        owner = value
        if type(value) is MethodType:
            bound: Any = value
            owner = bound.__self__
            # What tasks call names nothing, and runs this.
            names = _names(bound.__func__.__code__) if type(bound.__func__) is FunctionType else names
            self._kept.append(names)
        kind = type(owner)
        if issubclass(kind, ModuleType):
            module: Any = owner
            if str(vars(module).get("__name__", "")).partition(".")[0] in self._packages:
                self._use(module, f"{name}.", lambda: vars(module), names.attributes, names)
        elif issubclass(kind, type):
            made: Any = owner
            if self._is_own(made):
                self._use(made, f"{made.__name__}.", lambda: vars(made), names.attributes, names)
        elif kind is not FunctionType and self._is_own(kind):
            self._look_at_object(owner, f"{name or kind.__name__}.", names)

    def _look_at_object(self, owner: object, label: str, names: _Names) -> None:
        """An object of the user's: what its methods use, of those that the code names and those that these name."""
        kinds = [kind for kind in type(owner).__mro__ if self._is_own(kind)]
        attributes = {"__call__", *names.attributes}
        methods: Dict[str, FunctionType] = {}
        count = -1
        while count != len(attributes):
            count = len(attributes)
            for name in attributes - set(methods):
                found = next((vars(kind)[name] for kind in kinds if name in vars(kind)), None)
                if type(found) is FunctionType:
                    methods[name] = found
            attributes.update(*(_names(method.__code__).attributes for method in methods.values()))
        own: Dict[str, Any] = getattr(owner, "__dict__", {})
        self._use(owner, label, lambda: own, attributes, names)
        for kind in kinds:
            held = {name for name in attributes if _waited_for(vars(kind).get(name)) is not None}
            self._use(kind, f"{kind.__name__}.", functools.partial(vars, kind), held, names)
        for method in methods.values():
            self._look_into(method)

    def _look_into(self, function: FunctionType) -> None:
        if id(function) in self._functions or len(self._functions) >= _MOST:
            return
        self._functions.add(id(function))
        names = _names(function.__code__)
        self._kept.append(names)
        outer = function.__globals__
        self._use(outer, "", lambda: outer, names.outer, names)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            self._use(cell, "", functools.partial(_contents, name, cell), {name}, names)

    def _use(
        self, holder: object, label: str, values: Callable[[], Mapping[str, Any]], used: Set[str], names: _Names
    ) -> None:
        """Notes which names of a holder are used, and looks into what they stand for."""
        place = (id(holder), id(names))
        if place in self._looked_into or (id(holder) not in self._spaces and len(self._spaces) >= _MOST):
            return
        self._looked_into.add(place)
        space = self._spaces.setdefault(id(holder), _Space(label, holder, values, set()))
        known = values()
        reached = [name for name in used if name in known]
        space.used.update(reached)
        for name in reached:
            self._reach(known[name], name, names)

    def _functions_of(self, value: object, is_called: bool) -> Iterator[FunctionType]:
        """The Python functions that a call of this runs; of a stranger's object only where it is what tasks call."""
        seen: Set[int] = set()
        while value is not None and id(value) not in seen:
            seen.add(id(value))
            kind = type(value)
            if issubclass(kind, functools.partial):
                value = value.func  # type: ignore[attr-defined]
            elif kind is MethodType:
                value = value.__func__  # type: ignore[attr-defined]
            elif kind is FunctionType:
                yield value  # type: ignore[misc]
                value = vars(value).get("__wrapped__")
            elif kind is _CACHED:
                value = getattr(value, "__wrapped__", None)
            elif is_called or self._is_own(kind):
                # An object that is called, or what a decorator of another kind made.
                call = getattr(kind, "__call__", None)  # noqa: B004 (the function is asked for, not whether)
                if type(call) is FunctionType:
                    yield call
                attributes = getattr(value, "__dict__", None)
                value = attributes.get("__wrapped__") if type(attributes) is dict else None
            else:
                return


def _names(code: CodeType) -> _Names:
    names = _Names(set(), set())
    for each in codes_in(code):
        for instruction in get_instructions(each):
            if instruction.opname in ("LOAD_GLOBAL", "STORE_GLOBAL", "LOAD_NAME"):
                names.outer.add(str(instruction.argval))
            elif "ATTR" in instruction.opname or "METHOD" in instruction.opname:
                names.attributes.add(str(instruction.argval))
    return names


def _contents(name: str, cell: Any) -> Mapping[str, Any]:
    # One that nothing was put into so far has no contents.
    with suppress(ValueError):
        return {name: cell.cell_contents}
    return {}


def _waited_for(value: object) -> Optional[str]:
    """What users call this, where threads of one process wait for it."""
    for kind, name in _WAITED_FOR:
        if issubclass(type(value), kind):
            return name
    for module, names in _WAITED_FOR_OF.items():
        loaded = sys.modules.get(module)
        for name in names:
            made: Any = getattr(loaded, name, None)
            if isinstance(made, type) and issubclass(type(value), made):
                return f"{module}.{name}"
    return None


class _Contents(NamedTuple):
    """What a container holds: how many, and the first of them, with how many each of these holds."""

    length: int
    #: Kept, so that their identities stay their own. None where another thread changed them meanwhile.
    entries: Optional[List[Tuple[object, int]]]

    def differs_from(self, later: _Contents) -> bool:
        if self.length != later.length:
            return True
        pairs = zip(self.entries or (), later.entries or ())
        return any(was is not now or held != holds for (was, held), (now, holds) in pairs)


class _State(NamedTuple):
    value: object
    contents: Optional[_Contents]


def _state(value: object) -> Optional[_State]:
    """What differs once this was replaced or changed; None for code, and for what is made at the first need."""
    kind = type(value)
    if value is None or issubclass(kind, (bool, ModuleType, FunctionType, type)):
        return None
    return _State(value, _contents_of(value))


def _has_changed(before: _State, value: object) -> bool:
    if before.value is not value:
        return True
    now = _contents_of(value)
    return before.contents is not None and now is not None and before.contents.differs_from(now)


def _container(value: object) -> Any:
    """The container of Python's own that this is, whose methods run no code of a subclass."""
    return next((kind for kind in _CONTAINERS if issubclass(type(value), kind)), None)


def _length(value: object) -> int:
    kind = _container(value)
    return 0 if kind is None else kind.__len__(value)


def _contents_of(value: object) -> Optional[_Contents]:
    kind = _container(value)
    if kind is None:
        return None
    length = kind.__len__(value)
    try:
        entries = dict.values(value) if kind is dict else kind.__iter__(value)  # type: ignore[arg-type]
        first = list(islice(entries, _MOST_ENTRIES))
    except RuntimeError:
        return _Contents(length, None)
    return _Contents(length, [(entry, _length(entry)) for entry in first])


def _package(made: Any) -> str:
    """The outermost package that a function or a class is of."""
    module = getattr(made, "__module__", None)
    return module.partition(".")[0] if type(module) is str else ""
