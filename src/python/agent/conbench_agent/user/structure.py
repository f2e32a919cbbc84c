"""What an object is made of, as :mod:`pickle` sees it: the parts that it would be built from again.

The digest of values and the search for what cannot be pickled walk over the same parts, so both know numpy
arrays, dataclasses and whatever else says by ``__reduce_ex__`` how it is made, and neither knows them by name.
"""

from __future__ import annotations

import copyreg
import functools
import types
from typing import Any, Callable, Dict, List, NamedTuple, Optional

#: The protocol by which objects are asked for their parts: the newest one that keeps buffers in line.
PROTOCOL = 4

SEQUENCE, SET, MAPPING, OBJECT = "sequence", "set", "mapping", "object"


class Parts(NamedTuple):
    """The parts of one value."""

    #: How the parts are arranged: ``sequence``; ``set``, in any order; ``mapping``, key after value after key in
    #: any order of the pairs; ``object``, what makes it again.
    arrangement: str
    #: The type that the parts are of, where it is not the plain one of the arrangement.
    kind: str
    #: The parts themselves.
    children: List[object]
    #: Whether a mapping is the attributes of an object.
    are_attributes: bool = False

    def label(self, position: int) -> str:
        """How Python would write the way from the whole to this part: ``[2]``, ``['key']``, ``.name``, or nothing."""
        if self.arrangement == SEQUENCE:
            return f"[{position}]"
        if self.arrangement == OBJECT and self.children[0] is getattr and position == len(self.children) - 2:
            # A bound method is made of its owner, the argument before its name.
            return ".__self__"
        if self.arrangement != MAPPING:
            return ""
        key = self.children[position - position % 2]
        if self.are_attributes and position % 2:
            return f".{key}"
        return f"[{brief(key)}]" if position % 2 else ""


class Attributes:
    """The state of an object: its attributes by name."""

    def __init__(self, values: Dict[object, object]) -> None:
        """The state of an object whose attributes these are."""
        self.values = values


#: What is given by its name, whatever it holds.
NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def parts(value: object) -> Optional[Parts]:
    """The parts of a value, or None where it has none: what has a value of its own, or a name.

    Raises what the value raises when it is asked how it is made, as pickle would: mostly TypeError.
    """
    exact = type(value)
    if isinstance(value, Attributes):
        return Parts(MAPPING, "attributes", _pairs(value.values), are_attributes=True)
    if exact is list or exact is tuple:
        return Parts(SEQUENCE, exact.__name__, list(value))  # type: ignore[call-overload]
    if exact is dict:
        return Parts(MAPPING, "dict", _pairs(value))  # type: ignore[arg-type]
    if exact is set or exact is frozenset:
        return Parts(SET, exact.__name__, list(value))  # type: ignore[call-overload]
    if isinstance(value, NAMED) or exact in _ATOMS:
        if not _is_bound(value):
            return None
    elif isinstance(value, tuple):
        # A named tuple has its fields, and perhaps attributes beside them.
        return Parts(SEQUENCE, type_name(exact), [*value, *_own_attributes(value)])
    elif isinstance(value, (set, frozenset)):
        # What these say of how they are made names their elements in the order of their hashes.
        return Parts(SET, type_name(exact), [*value, *_own_attributes(value)])
    return _reduced(value)


_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray, memoryview})


def _is_bound(value: object) -> bool:
    """Whether this is a built-in method of some value, as ``[].append`` is."""
    owner = getattr(value, "__self__", None)
    return isinstance(value, types.BuiltinFunctionType) and not isinstance(owner, (types.ModuleType, type(None)))


def _own_attributes(value: object) -> List[object]:
    attributes = getattr(value, "__dict__", None)
    return [Attributes(attributes)] if attributes else []


def _pairs(mapping: Dict[object, object]) -> List[object]:
    return [part for pair in list(mapping.items()) for part in pair]


def _reduced(value: object) -> Parts:
    reduce: Optional[Callable[[object], Any]] = copyreg.dispatch_table.get(type(value))
    made = reduce(value) if reduce else value.__reduce_ex__(PROTOCOL)
    kind = type_name(type(value))
    if isinstance(made, str):
        return Parts(OBJECT, kind, [made])
    maker, arguments, state, items, pairs, setter = (*made, None, None, None, None)[:6]
    if isinstance(value, functools.partial):
        state, arguments = {"func": value.func, "args": value.args, "keywords": value.keywords, **vars(value)}, ()
    # What is appended and what is set by key are the parts of a list's and of a dictionary's subclasses.
    listed = None if items is None else list(items)
    mapped: object = None
    if pairs is not None:
        # Two dictionaries that keep an order are equal only in the same one.
        mapped = list(pairs) if hasattr(value, "move_to_end") else dict(pairs)
    # The arguments come last, since they are any number, and the others are not.
    return Parts(OBJECT, kind, [maker, _attributes(state), listed, mapped, setter, *arguments])


def _attributes(state: object) -> object:
    """A state as object.__reduce_ex__ gives it: a dictionary, or a pair of it and what is in slots."""
    if isinstance(state, dict):
        return Attributes(state)
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        own, slots = state
        if own is None or isinstance(own, dict):
            return Attributes({**(own or {}), **slots})
    return state


def type_name(kind: type) -> str:
    """The name of a type as a user knows it: with its module, unless it is built in."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def brief(value: object, length: int = 40) -> str:
    """The representation of a value, cut."""
    try:
        text = repr(value)
    except Exception:  # a broken __repr__ is the user's, and not what is looked for here
        text = f"<{type(value).__name__}>"
    return text if len(text) <= length else f"{text[: length - 2]}.."
