"""The section `threading`."""

from __future__ import annotations

from threading import Thread

from .registry import item
from .timing import Meter
from .work import nothing


@item("thread-start-join")
def thread_start_join(meter: Meter) -> float:
    """A thread that does nothing."""

    def loop(calls: int) -> None:
        for _ in range(calls):
            thread = Thread(target=nothing)
            thread.start()
            thread.join()

    return meter.per_call(loop)
