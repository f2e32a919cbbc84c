"""Processes that an item starts: they end with it, and with this process, however it ends."""

from __future__ import annotations

import sys


def stop_helpers() -> None:
    """Ends the processes that `multiprocessing` keeps for whoever used it, and waits until they are gone."""
    for module, instance in (("forkserver", "_forkserver"), ("resource_tracker", "_resource_tracker")):
        helper = getattr(sys.modules.get(f"multiprocessing.{module}"), instance, None)
        # Some versions have no such method: then the helper ends a little after this process.
        stop = getattr(helper, "_stop", None)
        if stop is not None:
            stop()
