"""gevent: greenlets of a pool that bounds what is in flight, under a standard library that is patched.

A blocking call of the standard library lets other greenlets go on. What blocks otherwise (computation, native code)
blocks the hub with all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, List, Optional

from ..clock import now_ns
from ..protocol import Failure, Job
from ..sampler import Lane, Sampler
from ..task import Task
from .base import HEARTBEAT_NS, Engine
from .patience import END_S


def patch() -> None:
    """Patches the standard library, before anything of the user's is imported."""
    import_module("gevent.monkey").patch_all()


class GeventPool(Engine):
    """A `gevent.pool.Pool`."""

    def __init__(self, job: Job, task: Task) -> None:
        """Starts nothing."""
        self.slots = job.candidate.sizes.concurrency
        self._task = task
        self._gevent: Any = import_module("gevent")
        self._pool: Any = import_module("gevent.pool").Pool(self.slots)

    def run(self, sampler: Sampler) -> None:
        """Runs one block, until its last task has ended, or its first one has failed."""
        self._task.enter_thread()
        heart = self._gevent.spawn(self._beat, sampler) if sampler.wants_heartbeat else None
        try:
            self._spawn(sampler, [sampler.lane(slot) for slot in range(self.slots)])
            if sampler.failure is None:
                self._pool.join()
            if sampler.failure is not None:
                self._pool.kill(timeout=END_S)
        finally:
            if heart is not None:
                heart.kill()

    def leave(self) -> Optional[Failure]:
        """Tears down the main thread."""
        return self._task.leave_thread()

    def close(self) -> None:
        """Ends what is left in the pool."""
        self._pool.kill(timeout=END_S)

    def _spawn(self, sampler: Sampler, free: List[Lane]) -> None:
        task, spawn, has_room = self._task, self._pool.spawn, self._pool.wait_available

        def run(lane: Lane, index: int, submitted_ns: int) -> None:
            try:
                given = task.given(index)
                begin_ns = lane.begin()
                checksum, result = task.blocking(index, given)
                checksum += task.received(result)
                lane.end(index, submitted_ns, begin_ns, now_ns(), (checksum, result))
            except self._gevent.GreenletExit:
                raise
            except BaseException as error:
                sampler.fail(error)
            finally:
                free.append(lane)

        while sampler.failure is None:
            has_room()
            index, at_ns = sampler.poll()
            while index is None and at_ns:
                self._gevent.sleep(max(at_ns - now_ns(), 0) / 1e9)
                index, at_ns = sampler.poll()
            if index is None:
                return
            spawn(run, free.pop(), index, now_ns())

    def _beat(self, sampler: Sampler) -> None:
        """Watches how late the hub is."""
        while True:
            deadline_ns = now_ns() + HEARTBEAT_NS
            try:
                self._gevent.sleep(HEARTBEAT_NS / 1e9)
            finally:
                # Killed at the end of the block, it may yet have been kept from a beat.
                late_ns = now_ns() - deadline_ns
                if late_ns > 0:
                    sampler.stalled(late_ns)
