"""What an engine is."""

from __future__ import annotations

from typing import Dict, List, Optional

from .. import leftovers, meter
from ..meter import Usage
from ..protocol import Failure
from ..sampler import CpuClock, Sampler

#: How often the heartbeat of an event loop, or of what does as one, beats.
HEARTBEAT_NS = 1_000_000


def maps_lazily(executor: type) -> bool:
    """Whether `map` of this class of executors has a `buffersize` (CPython 3.14 and later): tasks submitted ahead."""
    return "buffersize" in (getattr(getattr(executor, "map", None), "__kwdefaults__", None) or ())


class Engine:
    """Runs blocks of tasks under one concurrency model. Between blocks its threads and processes live, and are idle.

    Constructors start the workers; a fork pool is filled before any thread starts.
    """

    #: Tasks in flight at once.
    slots = 1
    #: Logs that a block needs, so that each is written by one thread alone.
    shards = 1
    #: Whether what tasks are given and hand back crosses to another process or interpreter, by pickling.
    crosses = False
    #: Whether what tasks are given is pickled for it: a forked process inherits that, and pickles what it hands back.
    pickles_given = True
    #: Tasks that cross together: what all of them are called with (the user's callable) is pickled once for them.
    tasks_per_message = 1
    #: Whether the children that this process reaps are workers, and not programs that tasks start in it.
    reaps_workers = False

    def get_ready(self) -> None:
        """Starts the workers that are processes or interpreters, and has all of them at once set up; called once.

        It is what a pool with an initializer does in a user's program before it takes tasks.
        """

    def warm(self) -> None:
        """Starts the workers that are unstarted, and lets each make ahead what tasks need; called after one task."""

    def run(self, sampler: Sampler) -> None:
        """Runs one block: takes `sampler.next()` until that is None, and returns when each task begun has ended.

        Failures of tasks go to `sampler.fail`, or are raised.
        """
        raise NotImplementedError

    def pids(self) -> List[int]:
        """The processes, beside this one, that belong to the engine and live between blocks: workers and helpers."""
        return []

    def workers_usage(self) -> Usage:
        """What live worker processes used so far, and programs that tasks started in workers."""
        return Usage()

    def cpu_clock(self) -> Optional[CpuClock]:
        """What tells the CPU time of all that runs tasks; of processes that live for one task, nothing does."""
        if self.reaps_workers:
            return None
        pids = self.pids()
        return lambda: meter.cpu_ns(pids)

    def left_behind(self) -> List[Dict[str, object]]:
        """What tasks left on an event loop, as entries of the frame `bye`; asked before `close`."""
        return []

    def leave(self) -> Optional[Failure]:
        """Has the user's code tear down what it set up where tasks run, but for this process; the first that failed.

        Called once, before all else that ends the engine.
        """
        return None

    def close(self) -> None:
        """Ends the workers."""

    def abandon(self) -> None:
        """Ends the workers without a word: something failed, and the agent is about to end."""
        # The standard library's helpers end with the agent, and remove what it leaves behind.
        leftovers.kill_children(set(self.pids()) - leftovers.helpers())
