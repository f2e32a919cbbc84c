"""The user's own frames of an exception: what a person would want to read, and nothing of ours."""

from __future__ import annotations

import os
import re
from typing import List

from .structure import type_name

#: More lines than this are cut in the middle: a person reads where it began and where it ended.
MOST_LINES = 20
#: The same of characters of a message: libraries say first what failed, or last.
MOST_CHARACTERS = 300

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OURS = (_PACKAGE + os.sep, os.path.join(os.path.dirname(_PACKAGE), "main.py"))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
#: What stands between the agent and the user's function: the machinery that imports and runs it.
_MACHINERY = tuple(
    _LIBRARY + each for each in ("asyncio", "concurrent", "importlib", "multiprocessing", "threading.py", "runpy.py")
)


def frames(error: BaseException) -> List[str]:
    """The user's frames of an exception as Python prints them, one line each; those of its causes after them."""
    lines: List[str] = []
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if lines:
            lines.append(f"caused by {describe(error)}")
        lines += _own_frames(error)
        leaf = _leaf(error)
        if leaf is not error:
            error = leaf
            continue
        cause = error.__cause__ if error.__suppress_context__ else error.__context__
        if cause is None:
            break
        error = cause
    return _cut(lines)


def describe(error: BaseException) -> str:
    """An exception in one line, as Python names it: "ValueError: bad item 3"."""
    name = type_name(type(error))
    try:
        text = " ".join(str(error).split())
    except Exception:  # a broken __str__ is the user's, and not what failed
        text = "(it cannot say what)"
    # Of this one the middle is all about us: the coroutine that calls the user's.
    text = re.sub(r"^Task <.*> got Future <.*> attached to", "a task got a future that is attached to", text)
    if len(text) > MOST_CHARACTERS:
        half = MOST_CHARACTERS // 2 - 2
        text = f"{text[:half]} .. {text[-half:]}"
    leaf = _leaf(error)
    inner = "" if leaf is error else f": {describe(leaf)}"
    return (f"{name}: {text}" if text else name) + inner


def _leaf(error: BaseException) -> BaseException:
    """The first exception in a group, or the exception itself."""
    inside = getattr(error, "exceptions", None)
    # Exception groups came with 3.11.
    if isinstance(inside, tuple) and inside and isinstance(inside[0], BaseException):
        return inside[0]
    return error


def _own_frames(error: BaseException) -> List[str]:
    # Only failures need it, and it takes its time.
    import traceback

    summary = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    entries = traceback.format_list(summary)
    if isinstance(error, SyntaxError):
        # The place that it is about is not one that ran. The last line, the message, is told elsewhere.
        entries += traceback.format_exception_only(type(error), error)[:-1]
    return [line for entry in entries for line in entry.splitlines()]


def _is_users(filename: str) -> bool:
    """Whether code in this file is neither ours nor the machinery that runs the user's."""
    return not filename.startswith("<frozen ") and not os.path.abspath(filename).startswith(_OURS + _MACHINERY)


def _cut(lines: List[str]) -> List[str]:
    if len(lines) <= MOST_LINES:
        return lines
    head = MOST_LINES // 2
    tail = MOST_LINES - head - 1
    return [*lines[:head], f"  .. {len(lines) - head - tail} more lines ..", *lines[-tail:]]
