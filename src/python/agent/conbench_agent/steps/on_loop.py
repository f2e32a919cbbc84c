"""What belongs to an event loop, and so can only be made on it."""

from __future__ import annotations

import threading
from typing import Callable, Generic, Optional, TypeVar

Made = TypeVar("Made")


class OnLoop(threading.local, Generic[Made]):
    """Something of the running loop, made by the first task that asks for it there; each thread may have a loop.

    A lock, a queue or an event of asyncio serves one loop: before CPython 3.10 the one of its making, since then
    the first on which a task waits for it.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._made: Optional[Made] = None
        self._loop: object = None

    def get(self) -> Made:
        """The thing of the running loop."""
        # asyncio takes long to import, and only event loops need it; they have imported it.
        import asyncio

        loop = asyncio.get_running_loop()
        if self._made is None or self._loop is not loop:
            self._made, self._loop = self._make(), loop
        return self._made

    def take(self) -> Optional[Made]:
        """What was made last in this thread, if anything; the next task makes another."""
        made, self._made, self._loop = self._made, None, None
        return made
