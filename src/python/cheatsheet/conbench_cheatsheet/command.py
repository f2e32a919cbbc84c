"""The command: `measure --seed N --items id,id`. One JSON object a line on standard output, nothing else."""

from __future__ import annotations

import argparse
import json
import random
import sys
from typing import Dict, List, Optional, Sequence

from . import children, sections
from .registry import ITEMS, PITFALLS, Unavailable
from .timing import Meter


def main(arguments: Sequence[str]) -> int:
    """Measures what the arguments name, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="conbench_cheatsheet")
    verbs = parser.add_subparsers(dest="verb", required=True)
    measure = verbs.add_parser("measure", help="measure items once, each answered by a line of JSON")
    measure.add_argument("--seed", type=int, default=0, help="of the order in which they are measured")
    measure.add_argument("--items", default=None, help="ids of items and pitfalls, with commas; all of them by default")
    options = parser.parse_args(arguments)
    sections.load()
    names = _names(options.items)
    unknown = [name for name in names if name not in ITEMS and name not in PITFALLS]
    if unknown:
        sys.stderr.write(f"unknown item {unknown[0]!r}; known are {', '.join([*ITEMS, *PITFALLS])}\n")
        return 2
    random.Random(options.seed).shuffle(names)
    try:
        meter = Meter()
        for name in names:
            _report(_item(name, meter) if name in ITEMS else _pitfall(name))
    finally:
        children.stop_helpers()
    return 0


def _names(items: Optional[str]) -> List[str]:
    if items is None:
        return [*ITEMS, *PITFALLS]
    # A name that comes twice is measured once.
    return list(dict.fromkeys(name for name in items.split(",") if name))


def _item(name: str, meter: Meter) -> Dict[str, object]:
    try:
        return {"item": name, "ns": ITEMS[name](meter)}
    except Exception as error:
        return {"item": name, "unavailable": _reason(error)}


def _pitfall(name: str) -> Dict[str, object]:
    try:
        both = PITFALLS[name]()
    except Exception as error:
        return {"pitfall": name, "unavailable": _reason(error)}
    frame: Dict[str, object] = {"pitfall": name, "wrong": both.wrong, "mended": both.mended}
    if both.shown is not None:
        frame["shown"] = both.shown
    return frame


def _reason(error: Exception) -> str:
    if isinstance(error, Unavailable):
        return str(error)
    # The others are measured all the same.
    return f"it failed here with {type(error).__name__}: {error}"


def _report(frame: Dict[str, object]) -> None:
    sys.stdout.write(json.dumps(frame) + "\n")
    # At once: a process forked later would write again what is still held back.
    sys.stdout.flush()
