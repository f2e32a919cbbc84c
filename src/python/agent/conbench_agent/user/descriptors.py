"""What the user's code has opened: sockets and files that a forked worker would share."""

from __future__ import annotations

import fcntl
import os
from typing import Dict, NamedTuple, Optional


class Opened(NamedTuple):
    """Open descriptors, by kind."""

    #: All sockets, those among them that nothing outside of this process knows of.
    sockets: int
    #: Files at whose place in the file it matters who reads or writes next.
    files: int
    #: Sockets with a far side.
    connections: int = 0

    def since(self, earlier: Opened) -> Opened:
        """What came since."""
        return Opened(*(max(now - before, 0) for now, before in zip(self, earlier)))

    def shared(self) -> Dict[str, int]:
        """As a part of a frame: what processes would share that are forked now."""
        return {"sockets": self.sockets, "files": self.files}

    def own(self) -> Dict[str, int]:
        """As a part of a frame: what a process has for itself, of which a far side is told."""
        return {"sockets": self.connections, "files": self.files}


def opened() -> Opened:
    """The open descriptors of this process; none where they cannot be listed."""
    sockets = files = connections = 0
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return Opened(0, 0)
    for name in names:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:"):
                sockets += 1
                connections += _has_far_side(int(name))
            elif target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
                files += not _only_appends(int(name))
        except OSError:
            continue  # The listing's own, or closed meanwhile.
    return Opened(sockets, files, connections)


def _only_appends(descriptor: int) -> bool:
    """Whether each write goes to the file's end, whoever wrote before."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    return bool(flags & os.O_APPEND) and flags & os.O_ACCMODE == os.O_WRONLY


def _has_far_side(descriptor: int) -> bool:
    """Whether a socket is connected to what has an address: an end of a pair, as event loops make, is not."""
    import socket

    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    known: Optional[socket.socket] = None
    try:
        known = socket.socket(fileno=descriptor)
        # A Unix socket that was given no name has an empty one.
        return known.family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) and bool(known.getpeername())
    except OSError:
        return False  # It is not connected.
    finally:
        if known is not None:
            known.detach()
            # With a default timeout of the user's, a socket object has made it one that does not block.
            if fcntl.fcntl(descriptor, fcntl.F_GETFL) != flags:
                fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
