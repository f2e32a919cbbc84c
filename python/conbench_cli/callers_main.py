"""What crossed from a program that called `conbench_cli.recommend`. Agents and workers import a copy of this file.

It lies beside what was pickled there, in a private directory, and knows nothing of the package that wrote it.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Dict, Iterator, List

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_OBJECTS = os.path.join(_FOLDER, "objects.pickle")
_ITEMS = os.path.join(_FOLDER, "items.pickle")


#: What belongs to the caller's `__main__`.
NAMES: Dict[str, object] = {}

#: So many items are made again at once, or so many bytes of them.
_MOST_AT_ONCE = 64
_MOST_BYTES_AT_ONCE = 1 << 20


class Items:
    """The items, one pickle behind the other: each is made again when it is wanted, or a little before."""

    def __iter__(self) -> Iterator[object]:
        place, at_once = 0, 1
        while True:
            # It is not left open: a file that is, is one that forked workers share.
            with open(_ITEMS, "rb") as file:
                file.seek(place)
                some: List[object] = []
                try:
                    while len(some) < at_once and file.tell() - place < _MOST_BYTES_AT_ONCE:
                        some.append(pickle.load(file))
                except EOFError:
                    at_once = 0
                place = file.tell()
            yield from some
            if not at_once:
                return
            at_once = min(2 * at_once, _MOST_AT_ONCE)


def _load() -> None:
    with open(_OBJECTS, "rb") as file:
        objects, names, items, are_called = pickle.load(file)
    # What belongs to the caller's `__main__` is pickled by its name there, in a pool as in the caller's own program.
    NAMES.update(names)
    vars(sys.modules["__main__"]).update(names)
    globals().update(objects)
    if items is not None:
        globals()[items] = Items if are_called else Items()


_load()
