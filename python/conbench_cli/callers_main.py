"""What crossed from a program that called `conbench_cli.recommend`. Agents and workers import a copy of this file.

It lies beside what was pickled there, in a private directory, and knows nothing of the package that wrote it.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Iterator

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_OBJECTS = os.path.join(_FOLDER, "objects.pickle")
_ITEMS = os.path.join(_FOLDER, "items.pickle")


class Items:
    """The items, one pickle behind the other: each is made again when it is wanted."""

    def __iter__(self) -> Iterator[object]:
        with open(_ITEMS, "rb") as file:
            while True:
                try:
                    item = pickle.load(file)
                except EOFError:
                    return
                yield item


def _load() -> None:
    with open(_OBJECTS, "rb") as file:
        objects, names, items, are_called = pickle.load(file)
    # What belongs to the caller's `__main__` is pickled by its name there, in a pool as in the caller's own program.
    vars(sys.modules["__main__"]).update(names)
    globals().update(objects)
    if items is not None:
        globals()[items] = Items if are_called else Items()


_load()
