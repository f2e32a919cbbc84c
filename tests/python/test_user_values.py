"""The digest of values: equal for equal values, in any process, and different for different ones."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import json
import math
import os
import pathlib
import pickle
import random
import re
import socket
import subprocess
import sys
import threading
import types
import unittest
import uuid
from typing import Any, Callable, List, NamedTuple, Tuple

from conbench_agent.user.values import Incomparable, digest


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Order:
    number: int
    lines: List[Any]


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left: object, right: object) -> None:
        self.left, self.right = left, right


class Node:
    def __init__(self, name: str) -> None:
        self.name = name
        self.links: List[Node] = []

    def rename(self, name: str) -> None:
        self.name = name


class Tagged(set):  # type: ignore[type-arg]
    pass


class Names(List[str]):
    pass


ATOMS: List[Callable[[random.Random], Any]] = [
    lambda r: None,
    lambda r: r.random() < 0.5,
    lambda r: r.choice([0, 1, -1, 255, 256, -(2**63), 2**64, r.getrandbits(600)]),
    lambda r: r.choice([0.5, 1e300, math.inf, -math.inf, math.nan, r.random()]),
    lambda r: complex(r.random(), r.random()),
    lambda r: r.choice(["", "a", "é", "\ud800", "x" * 100, str(r.random())]),
    lambda r: r.choice([b"", b"a", bytes(r.getrandbits(8) for _ in range(100))]),
    lambda r: r.choice(list(Colour)),
    lambda r: decimal.Decimal(r.randrange(10**6)).scaleb(-3),
    lambda r: datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(r.randrange(1000)),
    lambda r: pathlib.PurePosixPath("/a", str(r.randrange(9))),
    lambda r: fractions.Fraction(r.randrange(1, 9), 7),
]


def made(r: random.Random, depth: int = 4) -> Any:
    """A value, at random."""
    if depth == 0 or r.random() < 0.3:
        return r.choice(ATOMS)(r)
    parts = [made(r, depth - 1) for _ in range(r.randrange(5))]
    keys = [f"key {number}" for number in range(len(parts))]
    kind = r.randrange(8)
    if kind == 0:
        return parts
    if kind == 1:
        return tuple(parts)
    if kind == 2:
        return dict(zip(keys, parts))
    if kind == 3:
        return {r.choice([str, int, float])(r.randrange(100)) for _ in parts}
    if kind == 4:
        return frozenset(str(r.random()) for _ in parts)
    if kind == 5:
        return Order(r.randrange(9), parts)
    if kind == 6:
        return Slotted(parts, r.randrange(9))
    return collections.OrderedDict(zip(keys, parts))


def reordered(value: Any) -> Any:
    """An equal value whose dictionaries were filled in another order."""
    if type(value) is dict:
        return {key: reordered(value[key]) for key in reversed(list(value))}
    if type(value) in (list, tuple):
        return type(value)(reordered(part) for part in value)
    if isinstance(value, Order):
        return Order(value.number, reordered(value.lines))
    return value


def changed(value: Any, r: random.Random) -> Any:
    """A value that differs in one part, somewhere inside."""
    if type(value) in (list, tuple) and value:
        place = r.randrange(len(value))
        return type(value)(changed(part, r) if number == place else part for number, part in enumerate(value))
    if isinstance(value, dict) and value:
        place = r.choice(list(value))
        return type(value)((key, changed(part, r) if key == place else part) for key, part in value.items())
    if isinstance(value, (set, frozenset)):
        return value | {"one more"}
    if isinstance(value, Order):
        return Order(value.number, changed(value.lines, r))
    if isinstance(value, Slotted):
        return Slotted(changed(value.left, r), value.right)
    return [value, "changed"]


def sample() -> List[Any]:
    r = random.Random(7)
    return [made(r) for _ in range(300)]


class EqualValues(unittest.TestCase):
    def assert_same(self, one: object, other: object) -> None:
        self.assertEqual(digest(one), digest(other), f"{one!r} {other!r}")

    def test_what_was_copied_or_crossed_a_process_boundary_or_was_filled_in_another_order(self) -> None:
        for value in sample():
            self.assert_same(value, copy.deepcopy(value))
            self.assert_same(value, reordered(value))
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                self.assert_same(value, pickle.loads(pickle.dumps(value, protocol)))

    def test_in_processes_that_hash_strings_differently(self) -> None:
        here = [digest(value) for value in sample()]
        for seed in ("0", "1"):
            run = subprocess.run(
                [sys.executable, os.path.abspath(__file__), "digests"],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=subprocess.PIPE,
                check=True,
            )
            self.assertEqual(json.loads(run.stdout), here)

    def test_in_every_version_of_python(self) -> None:
        # Of what Python itself defines; golden, so that an agent's digests may be kept in records.
        value = {"a": [1, -1.5, None, True, 2**80], b"b": ("é", frozenset([1, 2])), 1 + 2j: bytearray(b"x" * 100)}
        self.assertEqual(digest(value), 16414522759536923307)

    def test_numbers(self) -> None:
        self.assert_same(math.nan, float("-nan"))
        self.assert_same(0.0, -0.0)
        self.assert_same(complex(0.0, -0.0), complex(-0.0, 0.0))

    def test_sharing_is_not_part_of_a_value(self) -> None:
        shared = [1]
        self.assert_same([shared, shared], [[1], [1]])
        long = "x" * 1000
        self.assert_same((long, long), (long, "x" * 999 + "x"))

    def test_paths_that_were_put_together_otherwise(self) -> None:
        self.assert_same(pathlib.Path("a", "b"), pathlib.Path("a//b"))

    def test_views_of_other_memory(self) -> None:
        self.assert_same(memoryview(b"abcd"), memoryview(bytearray(b"abcd")))
        self.assert_same(memoryview(b"a1b1")[::2], memoryview(b"ab"))

    def test_functions_and_classes_go_by_name(self) -> None:
        for value in (len, os.path.join, Order, Colour, functools.partial(int, base=2)):
            self.assert_same(value, copy.copy(value))
        self.assert_same([1].append, [1].append)
        self.assert_same(Node("a").rename, Node("a").rename)

    def test_cycles(self) -> None:
        def ring(size: int) -> Node:
            nodes = [Node(str(number)) for number in range(size)]
            for number, node in enumerate(nodes):
                node.links = [nodes[number - 1], nodes[(number + 1) % size]]
            return nodes[0]

        self.assert_same(ring(5), ring(5))
        self.assert_same(ring(5), pickle.loads(pickle.dumps(ring(5))))
        loop: List[Any] = []
        loop += [loop, {"self": loop}]
        self.assert_same(loop, copy.deepcopy(loop))

    def test_nesting_needs_no_stack(self) -> None:
        def deep(bottom: object) -> List[Any]:
            value: List[Any] = [bottom]
            for _ in range(20_000):
                value = [value]
            return value

        one, same, other = deep(1), deep(1), deep(2)
        self.assertEqual(digest(one), digest(same))
        self.assertNotEqual(digest(one), digest(other))

    def test_parts_that_are_shared_over_and_over_are_seen_once(self) -> None:
        value: List[Any] = []
        for _ in range(200):
            value = [value, value]
        self.assertEqual(digest(value), digest(copy.deepcopy(value)))


class DifferentValues(unittest.TestCase):
    def test_one_atom_that_differs(self) -> None:
        r = random.Random(11)
        for value in sample():
            self.assertNotEqual(digest(value), digest(changed(value, r)), repr(value))

    def test_alike_values(self) -> None:
        left_right = Slotted("a", "b")
        groups: List[Tuple[Any, ...]] = [
            (0, 0.0, False, None, "", b"", bytearray(), [], (), {}, set(), frozenset(), "0", b"0", 0j),
            (1, True, Level.LOW, 1.0, "1", 256, -1, -255, 255, 65535, -65536),
            (math.nan, math.inf, -math.inf),
            ("ab", b"ab", ("a", "b"), ["a", "b"], ["ab"], {"a", "b"}, {"a": "b"}, {"b": "a"}, [["a"], "b"]),
            ("a" * 64, "a" * 65, "a" * 66, b"a" * 65, bytearray(b"a" * 65)),
            (Point(1, 2), Point(2, 1), (1, 2), [1, 2]),
            (Order(1, []), Order(1, [1]), Order(2, [])),
            (left_right, Slotted("b", "a"), Slotted("a", ["b"])),
            (Colour.RED, Colour.BLUE, Level.LOW),
            (Names(["a"]), ["a"], Names(["b"]), Tagged(["a"]), {"a"}),
            (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1), {"a": 1, "b": 2}),
            (collections.Counter("aab"), collections.Counter("abb"), dict(collections.Counter("aab"))),
            (collections.deque([1, 2]), collections.deque([2, 1]), collections.deque([1, 2], 2)),
            (decimal.Decimal("1.5"), decimal.Decimal("1.6"), fractions.Fraction(3, 2), 1.5),
            (datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1), datetime.date(2024, 1, 2)),
            (pathlib.Path("a"), pathlib.Path("b"), "a"),
            (uuid.UUID(int=1), uuid.UUID(int=2), range(3), slice(3), re.compile("a"), re.compile("b")),
            (ValueError("a"), ValueError("b"), KeyError("a"), types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
            (len, max, os.path.join, Order, Colour, os, functools.partial(int, base=2), functools.partial(int, base=3)),
            (memoryview(b"ab"), b"ab", memoryview(b"abcd").cast("H"), memoryview(b"abcd")),
        ]
        for group in groups:
            digests = [digest(value) for value in group]
            self.assertEqual(len(set(digests)), len(group), group)

    def test_what_a_subclass_adds(self) -> None:
        one, other = Tagged("ab"), Tagged("ab")
        self.assertEqual(digest(one), digest(other))
        other.tag = "new"  # type: ignore[attr-defined]
        self.assertNotEqual(digest(one), digest(other))

    def test_cycles(self) -> None:
        one: List[Any] = [1]
        one.append(one)
        other: List[Any] = [2]
        other.append(other)
        self.assertNotEqual(digest(one), digest(other))


class NoValue(unittest.TestCase):
    def reason(self, value: object) -> Tuple[str, str]:
        with self.assertRaises(Incomparable) as caught:
            digest(value)
        return caught.exception.type_name, caught.exception.reason

    def test_says_what_it_is_and_where(self) -> None:
        node = Node("a")
        node.links = [Node("b")]
        node.links[0].lock = threading.Lock()  # type: ignore[attr-defined]
        kind, reason = self.reason({"nodes": (1, node)})
        self.assertEqual(kind, "_thread.lock")
        self.assertEqual(reason, "result['nodes'][1].links[0].lock: cannot pickle '_thread.lock' object")

    def test_what_has_none(self) -> None:
        with socket.socket() as a_socket, open(os.devnull) as a_file:
            for value, kind, reason in [
                ((number for number in [1]), "generator", "give a list"),
                (map(str, [1]), "map", "give a list"),
                (a_file, "_io.TextIOWrapper", "an open file has no value"),
                (a_socket, "socket.socket", "cannot pickle 'socket' object"),
                (sys._getframe(), "frame", "cannot pickle 'frame' object"),
            ]:
                found_kind, found_reason = self.reason([value])
                self.assertEqual(found_kind, kind)
                self.assertTrue(found_reason.startswith("result[0]: "), found_reason)
                self.assertIn(reason, found_reason)

    def test_what_raises_when_it_is_asked(self) -> None:
        class Stubborn:
            def __reduce_ex__(self, protocol: Any) -> Any:
                raise LookupError("no")

        kind, reason = self.reason(Stubborn())
        self.assertTrue(kind.endswith("Stubborn"))
        self.assertEqual(reason, "result: no")

    def test_what_is_made_of_ever_more(self) -> None:
        class Endless:
            def __reduce__(self) -> Any:
                return Endless, (Endless(),)

        from conbench_agent.user import values

        before, values.MOST_PARTS = values.MOST_PARTS, 1000
        try:
            self.assertIn("more than 1,000 parts", self.reason(Endless())[1])
        finally:
            values.MOST_PARTS = before


if __name__ == "__main__":
    if sys.argv[1:] == ["digests"]:
        # As the module that the tests know it by: types have names.
        import test_user_values

        print(json.dumps([digest(value) for value in test_user_values.sample()]))  # noqa: T201
    else:
        unittest.main()
