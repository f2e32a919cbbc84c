"""The items and pitfalls by their ids, which the catalogue names too."""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Optional

from .timing import Meter


class Unavailable(Exception):
    """Why an item or a pitfall cannot be measured here: one sentence."""


class Both(NamedTuple):
    """The two figures of a pitfall, in its unit, and what was seen, in at most three lines."""

    wrong: float
    mended: float
    shown: Optional[str] = None


#: Measures the ns of what the catalogue says that a figure is for.
Item = Callable[[Meter], float]
#: Lets a pitfall happen, then does the same as it should be done.
Pitfall = Callable[[], Both]

#: Every item, in the order of the catalogue.
ITEMS: Dict[str, Item] = {}
#: Every pitfall, in the order of the catalogue.
PITFALLS: Dict[str, Pitfall] = {}


def item(name: str) -> Callable[[Item], Item]:
    """Enters an item."""

    def enter(function: Item) -> Item:
        ITEMS[name] = function
        return function

    return enter


def pitfall(name: str) -> Callable[[Pitfall], Pitfall]:
    """Enters a pitfall."""

    def enter(function: Pitfall) -> Pitfall:
        PITFALLS[name] = function
        return function

    return enter
