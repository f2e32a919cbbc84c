"""Tasks that run at once, held until all of them have come: how many an executor of the user's really runs, and where.

Nothing can be handed to the workers of a foreign executor when they start. So each task finds the agent by the name of
a socket, says where it runs, and waits there until it is let go.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import suppress
from select import select
from time import monotonic
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Sequence, Tuple

from ..protocol import Failure

if TYPE_CHECKING:
    from concurrent.futures import Future

#: What a task says first: its process and its thread.
_words = struct.Struct("2q")
#: How often the calls are looked at.
_LOOK_S = 0.05
#: After one has come, the next is waited for at least so long, and for so many times the longest wait before.
_LEAST_S, _WAITS = 1.0, 3
#: How long those that were let go may take to come back.
_BACK_S = 5.0


class Seen(NamedTuple):
    """Where a task ran."""

    pid: int
    thread: int
    host: str


def here() -> Seen:
    """Where this runs."""
    return Seen(os.getpid(), threading.get_native_id(), os.uname().nodename)


def look() -> Tuple[int, int, str]:
    """Where a task runs, as what any executor can hand back."""
    seen = here()
    return seen.pid, seen.thread, seen.host


def attend(address: str) -> None:
    """Says where it runs, and waits until it is let go: what a task that gathers calls."""
    seen = here()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        line.sendall(_words.pack(seen.pid, seen.thread))
        # Nothing comes where the agent has gone.
        line.recv(1)


class Gathering:
    """The agent's end."""

    def __init__(self) -> None:
        """Listens under a name that no other has, and that goes with the process."""
        self.address = f"\0conbench-{os.getpid()}-{os.urandom(8).hex()}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.address)
        self._socket.listen(1024)

    def close(self) -> None:
        """Listens no more."""
        self._socket.close()

    def hold(
        self, calls: Sequence[Future[Any]], expected: int, more_s: float = 0.0, first_s: Optional[float] = None
    ) -> List[Tuple[int, int]]:
        """The processes and threads of the calls that ran at once, `expected` of them or fewer; then lets them go.

        If all have come, further ones are waited for so long (`more_s`), and as long again as the first took. The first
        may take `first_s`. Raises what a call raised.
        """
        held: List[socket.socket] = []
        places: List[Tuple[int, int]] = []
        begun = last = monotonic()
        longest_s = 0.0
        try:
            while len(places) < len(calls):
                line = self._accept()
                now = monotonic()
                if line is not None:
                    held.append(line)
                    places.append(_said(line))
                    longest_s, last = max(longest_s, now - last), now
                    continue
                _look_at(calls)
                if not places:
                    if first_s is not None and now - begun > first_s:
                        break
                    continue
                patience_s = _LEAST_S + _WAITS * longest_s if len(places) < expected else more_s + longest_s
                if now - last > patience_s:
                    break
        finally:
            for line in held:
                _let_go(line)
        self._see_off(calls)
        return places

    def _see_off(self, calls: Sequence[Future[Any]]) -> None:
        """Lets go those that come late, until all have come back, or none does for long."""
        last, left = monotonic(), len(calls)
        while left:
            line = self._accept()
            if line is not None:
                _said(line)
                _let_go(line)
            now_left = sum(not call.done() for call in calls)
            if line is not None or now_left < left:
                last, left = monotonic(), now_left
            elif monotonic() - last > _BACK_S:
                return
        _look_at(calls)

    def _accept(self) -> Optional[socket.socket]:
        if not select([self._socket], [], [], _LOOK_S)[0]:
            return None
        return self._socket.accept()[0]


def _said(line: socket.socket) -> Tuple[int, int]:
    pid, thread = _words.unpack(line.recv(_words.size, socket.MSG_WAITALL))
    return pid, thread


def _let_go(line: socket.socket) -> None:
    # Its process may have ended.
    with suppress(OSError):
        line.sendall(b".")
    line.close()


def _look_at(calls: Sequence[Future[Any]]) -> None:
    """Raises what a call raised."""
    for call in calls:
        if call.done():
            call.result()


def failure_of(factory: str, error: BaseException) -> Failure:
    """That what an executor was given came to nothing, of what its future raises."""
    if isinstance(error, Failure):
        return error
    return Failure("worker", f"`{factory}` handed back {type(error).__name__} in place of a result: {error}")
