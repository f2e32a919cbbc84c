"""Set-up and teardown of the user's own, where programs have them: once a process, once a thread, once on a loop.

What a set-up gives is its state. With `pass_state` a task is called with the nearest one: of its thread, else of its
process; an async task with that of its loop before these.
"""

from __future__ import annotations

import threading
from typing import Any, Awaitable, Callable, Dict, NoReturn, Optional, Tuple, cast

from ..protocol import Failure
from .loading import Loader
from .traceback import describe, frames

#: Something was not set up yet.
_NOTHING = object()


class SetUps:
    """The set-ups and teardowns of one step."""

    def __init__(self, description: Dict[str, Any], loader: Loader, where: str, skips_teardown: bool = False) -> None:
        """Imports what the step names, without the teardowns if these are left out."""

        def load(field: str) -> Optional[Callable[..., Any]]:
            name = description.get(field)
            if name is None or (skips_teardown and "teardown" in field):
                return None
            return loader.async_function(name, field) if field.startswith("async_") else loader.function(name, field)

        self._where = where
        self._pass_state = bool(description.get("pass_state"))
        self._setup, self._teardown = load("setup"), load("teardown")
        self._setup_thread, self._teardown_thread = load("setup_thread"), load("teardown_thread")
        self._async_setup, self._async_teardown = load("async_setup"), load("async_teardown")
        #: Whether there is anything of the kind.
        self.has_process = bool(self._setup or self._teardown)
        self.has_thread = bool(self._setup_thread or self._teardown_thread)
        self.has_loop = bool(self._async_setup or self._async_teardown)
        self.has_teardown = bool(self._teardown or self._teardown_thread or self._async_teardown)
        #: The set-up whose state a blocking task would get, if there is one.
        self.given = next((field for field in ("setup_thread", "setup") if description.get(field)), None)
        self._lock = threading.Lock()
        self._process: object = _NOTHING
        #: What is set up for each thread, and for the loop that runs there.
        self._thread = threading.local()

    def enter(self) -> None:
        """Sets up this process (or interpreter), once; Failure if that fails."""
        with self._lock:
            if self._process is _NOTHING:
                self._process = self._set_up("setup", self._setup)

    def enter_thread(self) -> None:
        """Sets up this thread, once, and its process before it."""
        if getattr(self._thread, "state", _NOTHING) is _NOTHING:
            self.enter()
            self._thread.state = self._set_up("setup_thread", self._setup_thread)

    async def enter_loop(self) -> None:
        """Sets up the running loop, once, and its thread before it."""
        self.enter_thread()
        if getattr(self._thread, "loop_state", _NOTHING) is _NOTHING:
            try:
                self._thread.loop_state = await self._async_setup() if self._async_setup else None
            except Exception as error:
                self._fail("async_setup", error)

    def state(self) -> object:
        """What a blocking task of this thread gets."""
        self.enter_thread()
        return self._thread.state if self._setup_thread else self._process

    def loop_state(self) -> object:
        """What a task on the loop gets."""
        return self._thread.loop_state if self._async_setup else self.state()

    def leave(self) -> Optional[Failure]:
        """Tears down this process, if it was set up; why that failed."""
        with self._lock:
            state, self._process = self._process, _NOTHING
        return self._tear_down("teardown", self._teardown, state, bool(self._setup))

    def leave_thread(self) -> Optional[Failure]:
        """Tears down this thread, if it was set up; why that failed."""
        state, self._thread.state = getattr(self._thread, "state", _NOTHING), _NOTHING
        return self._tear_down("teardown_thread", self._teardown_thread, state, bool(self._setup_thread))

    async def leave_loop(self) -> Optional[Failure]:
        """Tears down the running loop, if it was set up; why that failed."""
        state, self._thread.loop_state = getattr(self._thread, "loop_state", _NOTHING), _NOTHING
        if self._async_teardown is None or state is _NOTHING:
            return None
        try:
            await cast(Awaitable[object], self._async_teardown(*self._passed(state, bool(self._async_setup))))
        except BaseException as error:
            return self._failure("async_teardown", error)
        return None

    def _set_up(self, field: str, function: Optional[Callable[..., object]]) -> object:
        if function is None:
            return None
        try:
            return function()
        except BaseException as error:
            self._fail(field, error)

    def _tear_down(
        self, field: str, function: Optional[Callable[..., object]], state: object, has_state: bool
    ) -> Optional[Failure]:
        if function is None or state is _NOTHING:
            return None
        try:
            function(*self._passed(state, has_state))
        except BaseException as error:
            return self._failure(field, error)
        return None

    def _passed(self, state: object, has_state: bool) -> Tuple[object, ...]:
        return (state,) if self._pass_state and has_state else ()

    def _fail(self, field: str, error: BaseException) -> NoReturn:
        raise self._failure(field, error) from None

    def _failure(self, field: str, error: BaseException) -> Failure:
        return Failure("setup", f"`{field}` raised {describe(error)}", self._where, frames(error) or None)
