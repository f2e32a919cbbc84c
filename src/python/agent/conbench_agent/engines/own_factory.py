"""The user's factory of an executor, and what it builds."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from typing import Callable, Optional, cast

from ..protocol import Failure
from ..user.loading import Loader, put_first
from ..user.traceback import describe, frames

_EXPECTED = "let it give what `concurrent.futures.Executor` is like"


def workers_in_words(count: int) -> str:
    """So many workers."""
    return "1 worker" if count == 1 else f"{count} workers"


class Factory:
    """A function of the user's that builds an executor for a number of workers."""

    def __init__(self, name: str, path: Optional[str]) -> None:
        """Loads it: `module:name`, or `file.py:name`, from the folder `path` or the current directory.

        Failure says what is wrong with the name.
        """
        self.name = name
        place, _, attribute = name.rpartition(":")
        here = os.getcwd()
        folders = [here] if path is None else [here, path]
        module = place
        if place.endswith(".py"):
            files = [os.path.join(folder, place) for folder in reversed(folders)]
            file = next((file for file in files if os.path.isfile(file)), None)
            if file is None:
                raise Failure("setup", f"`executor` names {place}, and there is no such file in {folders[-1]}")
            folders.append(os.path.dirname(file))
            module = os.path.basename(place)[: -len(".py")]
        for folder in folders[:-1]:
            put_first(os.path.abspath(folder))
        made = Loader(folders[-1], "", "").load(f"{module}:{attribute}", "executor")
        if not callable(made):
            self._fail(f"is of type {type(made).__name__}, which cannot be called: name a function that builds one")
        self._make = cast(Callable[[int], object], made)

    def build(self, workers: int) -> Executor:
        """Builds an executor of so many workers; Failure if that is none."""
        try:
            made = self._make(workers)
        except Failure:
            raise
        except BaseException as error:
            # What has no frame of its own was refused before its first line.
            if isinstance(error, TypeError) and error.__traceback__ is not None and not error.__traceback__.tb_next:
                self._fail(f"cannot be called with the number of workers alone ({error}): take it as its one argument")
            message = f"`{self.name}` raised {describe(error)} when it was asked for {workers_in_words(workers)}"
            raise Failure("setup", message, "", frames(error) or None) from None
        missing = [method for method in ("submit", "shutdown") if not callable(getattr(made, method, None))]
        if missing:
            names = " and ".join(f"`{method}`" for method in missing)
            self._fail(f"gave a value of type {type(made).__name__}, which has no {names}: {_EXPECTED}")
        return cast(Executor, made)

    def _fail(self, what: str) -> None:
        raise Failure("setup", f"`{self.name}` {what}") from None
