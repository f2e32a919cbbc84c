"""Where the program `conbench` is."""

from __future__ import annotations

import os
import sys
from typing import Iterator

from .errors import ProgramNotFound

NAME = "conbench"
#: The environment variable that names another program.
VARIABLE = "CONBENCH"


def find() -> str:
    """The program's path: what `CONBENCH` names, else what was installed with this package, else what PATH has.

    ProgramNotFound where there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if _runs(named):
            return os.path.abspath(named)
        raise ProgramNotFound(f"{VARIABLE} names `{named}`, which is no program")
    for directory in _directories():
        path = os.path.join(directory, NAME)
        if _runs(path):
            return path
    beside = sys.executable or "the interpreter"
    raise ProgramNotFound(
        f"the program `{NAME}` is neither beside {beside} nor on PATH: install this package with pip, or set "
        f"{VARIABLE} to the program's path"
    )


def _directories() -> Iterator[str]:
    """Where programs of this interpreter's packages are; then those of PATH."""
    if sys.executable:
        # The scripts of a virtual environment, and of most other interpreters.
        yield os.path.dirname(os.path.abspath(sys.executable))
    yield from _schemes()
    yield from (directory for directory in os.get_exec_path() if directory)


def _schemes() -> Iterator[str]:
    # Its import is not needed where the program is beside the interpreter.
    import sysconfig

    yield sysconfig.get_path("scripts")
    # `pip install --user`, and `--target`, which puts programs beside the packages.
    if "posix_user" in sysconfig.get_scheme_names():
        yield sysconfig.get_path("scripts", "posix_user")
    yield os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")


def _runs(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
