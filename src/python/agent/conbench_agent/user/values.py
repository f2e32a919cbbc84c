"""The digest of a value: equal values give equal digests, in every process, engine and start method.

Results of user code are compared by it. What pickling, a start method or an order of insertion changes (identity,
sharing, the order of sets and dictionaries, hidden capacity) is not part of a value; the types are. ``nan`` equals
``nan``, and ``-0.0`` equals ``0.0``.
"""

from __future__ import annotations

import collections.abc
import hashlib
import io
import pathlib
import struct
from typing import Callable, Dict, List, Optional, Tuple

from .structure import MAPPING, SET, Attributes, Parts, parts, type_name

#: Values that hold more values with parts of their own than this are not compared: that would take longer than
#: what makes them.
MOST_PARTS = 1_000_000


class Incomparable(Exception):
    """Something that has no value to compare, such as a lock or a generator."""

    def __init__(self, type_name: str, reason: str) -> None:
        """What type has no value, and why; the reason says where in the whole it was found."""
        super().__init__(type_name, reason)
        self.type_name = type_name
        self.reason = reason


def digest(value: object, what: str = "result") -> int:
    """The digest of a value, of 64 bits; ``what`` names the value in messages.

    Raises Incomparable. Deep nesting needs no stack, and cycles end.
    """
    token = _Walk(what).token(value)
    return int.from_bytes(hashlib.blake2b(token, digest_size=8).digest(), "little")


#: How each part is written: a letter for its type, then what tells where it ends.
def _sized(letter: bytes, data: bytes) -> bytes:
    if len(data) > 64:
        return letter.upper() + _hash(data)
    return b"%b%d:%b" % (letter, len(data), data)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _integer(value: int) -> bytes:
    return _sized(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _float(value: float) -> bytes:
    # Adding zero makes -0.0 into 0.0; all that is not a number is written alike.
    return b"f" + (struct.pack("<d", value + 0.0) if value == value else b"not num.")


def _text(value: str) -> bytes:
    return _sized(b"s", value.encode("utf-8", "surrogatepass"))


def _view(value: memoryview) -> bytes:
    return _sized(b"v", f"{value.format}{value.shape}".encode() + value.tobytes())


_ATOMS: Dict[type, Callable[..., bytes]] = {
    type(None): lambda _: b"n",
    bool: lambda value: b"1" if value else b"0",
    int: _integer,
    float: _float,
    complex: lambda value: b"c" + _float(value.real) + _float(value.imag),
    str: _text,
    bytes: lambda value: _sized(b"b", value),
    bytearray: lambda value: _sized(b"a", bytes(value)),
}


class _Open:
    """A value whose parts are being gone through."""

    __slots__ = ("lowest", "parts", "tokens", "value")

    def __init__(self, value: object, its_parts: Parts, depth: int) -> None:
        self.value = value
        self.parts = its_parts
        self.tokens: List[bytes] = []
        # The outermost value that some part refers back to; its own depth where none does.
        self.lowest = depth

    def seal(self) -> bytes:
        """The token of the whole, of those of its parts."""
        tokens, kind = self.tokens, self.parts.kind.encode("utf-8", "surrogatepass")
        if self.parts.arrangement == MAPPING:
            tokens = sorted(key + value for key, value in zip(tokens[::2], tokens[1::2]))
        elif self.parts.arrangement == SET:
            tokens = sorted(tokens)
        return b"(" + _hash(b"%b %d:%b" % (kind, len(tokens), b"".join(tokens)))


class _Walk:
    """One walk through a value, parts before the whole, on a stack of its own."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._stack: List[_Open] = []
        self._depths: Dict[int, int] = {}
        # By identity; the value is held too, so that no other gets its identity meanwhile.
        self._known: Dict[int, Tuple[object, bytes]] = {}
        self._count = 0

    def token(self, root: object) -> bytes:
        token = self._begin(root)
        while self._stack:
            top = self._stack[-1]
            children, tokens = top.parts.children, top.tokens
            if token is not None:
                tokens.append(token)
            # A million numbers are a million times round this loop.
            while len(tokens) < len(children):
                child = children[len(tokens)]
                atom = _ATOMS.get(type(child))
                if atom is None:
                    token = self._begin(child)
                    break
                tokens.append(atom(child))
            else:
                token = self._end()
        assert token is not None
        return token

    def _begin(self, value: object) -> Optional[bytes]:
        """The token of a value, or None if its parts come first: then it is on the stack."""
        atom = _ATOMS.get(type(value))
        if atom is not None:
            return atom(value)
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        depth = self._depths.get(id(value))
        if depth is not None:
            self._stack[-1].lowest = min(self._stack[-1].lowest, depth)
            # A cycle: so many levels up.
            return b"^%d;" % (len(self._stack) - depth)
        self._count += 1
        self._refuse(value)
        try:
            if isinstance(value, memoryview):
                return _view(value)
            if isinstance(value, pathlib.PurePath):
                # Equal paths may have been put together of different parts.
                return _sized(b"p", f"{type_name(type(value))} {value}".encode("utf-8", "surrogatepass"))
            its_parts = parts(value)
        except Exception as error:
            # Whatever an object raises when it is asked how it is made; mostly "cannot pickle '..' object".
            raise self._incomparable(value, str(error) or type(error).__name__) from error
        if its_parts is None:
            return _sized(b"g", f"{getattr(value, '__module__', '')}:{_name(value)}".encode("utf-8", "surrogatepass"))
        self._depths[id(value)] = len(self._stack)
        self._stack.append(_Open(value, its_parts, len(self._stack)))
        return None

    def _end(self) -> bytes:
        """Takes the innermost value off the stack, whose parts are all done."""
        closed = self._stack.pop()
        depth = self._depths.pop(id(closed.value))
        token = closed.seal()
        if closed.lowest >= depth:
            self._known[id(closed.value)] = (closed.value, token)
        elif self._stack:
            self._stack[-1].lowest = min(self._stack[-1].lowest, closed.lowest)
        return token

    def _refuse(self, value: object) -> None:
        """Refuses what has no value although it may say how it is made."""
        if isinstance(value, io.IOBase):
            raise self._incomparable(value, "an open file has no value: give what was read, or its name")
        if isinstance(value, collections.abc.Iterator):
            raise self._incomparable(value, "an iterator is gone through once, by whoever reads it: give a list")
        if self._count > MOST_PARTS:
            raise self._incomparable(value, f"it has more than {MOST_PARTS:,} parts")

    def _incomparable(self, value: object, reason: str) -> Incomparable:
        where = "".join(level.parts.label(len(level.tokens)) for level in self._stack)
        kind = type(value.values if isinstance(value, Attributes) else value)
        return Incomparable(type_name(kind), f"{self._what}{where}: {reason}")


def _name(value: object) -> str:
    return str(getattr(value, "__qualname__", None) or getattr(value, "__name__", ""))
