"""What the user's code has opened: sockets and files that a forked worker would share."""

from __future__ import annotations

import os
from typing import Dict, NamedTuple


class Opened(NamedTuple):
    """Open descriptors, by kind."""

    sockets: int
    files: int

    def since(self, earlier: Opened) -> Opened:
        """What came since."""
        return Opened(max(self.sockets - earlier.sockets, 0), max(self.files - earlier.files, 0))

    def body(self) -> Dict[str, int]:
        """As a part of a frame."""
        return self._asdict()


def opened() -> Opened:
    """The open descriptors of this process; none where they cannot be listed."""
    sockets = files = 0
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return Opened(0, 0)
    for name in names:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # The listing's own.
        sockets += target.startswith("socket:")
        files += target.startswith("/") and not target.startswith(("/dev/", "/proc/"))
    return Opened(sockets, files)
