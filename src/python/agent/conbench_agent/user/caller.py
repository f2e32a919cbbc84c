"""What crossed from a program that asked from Python: objects of its `__main__`, which no other process can import.

`conbench_cli.recommend` pickles them into a directory of its own, beside a module that makes them again. A step names
them as the program does, `__main__:parse`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

#: The module that makes them again. It is found by PYTHONPATH, so that workers find it under every start method.
CALLERS_MAIN = "conbench_callers_main"
#: The environment variable that names what they need for that, and a program with the same code does not.
_NEEDS = "CONBENCH_NEEDS"


def has_crossed() -> bool:
    """Whether there is a caller whose objects crossed."""
    return find_spec(CALLERS_MAIN) is not None


def warm_up() -> None:
    """Imports what makes the objects again, lest that be measured as the start-up of the user's code."""
    name = os.environ.get(_NEEDS)
    if name:
        # Where it is missing, the module itself says so.
        with suppress(ImportError):
            import_module(name)
