"""`Process`: a process started and joined for each task, and a `Queue` for what they hand back."""

from __future__ import annotations

import queue
from contextlib import suppress
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Union, cast

from .. import leftovers, meter, steps, worker
from ..meter import Tally, Usage
from ..protocol import Failure, Job
from ..sampler import Sampler
from ..steps.ipc import Shared
from ..task import DRAWS, Task
from ..worker import Told
from .base import Engine
from .executors import recorder
from .processes import LOOK_S, check_crossing, context_of, crossing_failure, died, end, unlink_names

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


class _Started(NamedTuple):
    """A process and its task."""

    process: BaseProcess
    task: int
    submitted_ns: int


class ProcessPerTask(Engine):
    """The main thread starts a process for each task while fewer than `in_flight` are alive."""

    crosses = True
    reaps_workers = True

    def __init__(self, job: Job, task: Task) -> None:
        """Starts no worker yet; Failure if tasks cannot cross."""
        self.slots = job.candidate.sizes.concurrency
        self._job = job
        self._task = task
        # Every context has a Process, but its type is not BaseContext's.
        self._context: Any = context_of(job)
        self._is_fork = self._context.get_start_method() == "fork"
        self.pickles_given = not self._is_fork
        check_crossing(job, task, self.pickles_given)
        self._are_own_children = self._context.get_start_method() != "forkserver"
        self._shared = Shared(job, self._context, self.slots)
        self._told = self._context.Queue()
        self._alive: Dict[int, _Started] = {}
        #: The tasks of forked processes, by slot.
        self._inherited: Dict[int, Task] = {}
        #: The first blocks look closely at what is handed back.
        self._is_warm = False
        self._is_first_late = job.runs_nothing_first
        #: What processes used that are some other process's children, and what programs used that tasks started.
        self._used = Usage()
        #: The first teardown that failed.
        self._left: Optional[Failure] = None

    def warm(self) -> None:
        """Starts nothing: each task starts its own process."""
        self._is_warm = not self._is_first_late

    def run(self, sampler: Sampler) -> None:
        """Runs one block."""
        record = recorder([sampler.lane(slot, 0) for slot in range(self.slots)], self._task, Tally())
        free = list(range(self.slots))
        while True:
            at_ns = 0
            while free:
                index, at_ns = sampler.poll()
                if index is None:
                    break
                self._start(free.pop(), index)
            if not self._alive and not at_ns:
                self._is_warm = self._is_warm or self._is_first_late
                return
            told = self._hear(at_ns)
            if told is None:
                continue
            # What own children used is the agent's to see when it reaps them, but for whose it was.
            used = Usage(children_ns=told.used.children_ns) if self._are_own_children else told.used
            self._used = self._used.plus(used)
            started = self._alive.pop(told.slot)
            started.process.join()
            free.append(told.slot)
            self._left = self._left or told.left
            if isinstance(told.ran, Failure):
                raise told.ran
            record(started.task, started.submitted_ns, (told.slot, *told.ran))

    def pids(self) -> List[int]:
        """The processes that help the workers, and the workers of a block that failed."""
        alive = (started.process.pid for started in self._alive.values())
        return [*(pid for pid in alive if pid is not None), *self._shared.pids(), *leftovers.helpers()]

    def workers_usage(self) -> Usage:
        """What live processes used so far, and those that ended as children of another."""
        return meter.live(self.pids()).plus(self._used)

    def leave(self) -> Optional[Failure]:
        """Each process was torn down when its task ended."""
        return self._left

    def close(self) -> None:
        """Ends what is left of a block that failed."""
        processes = [started.process for started in self._alive.values()]
        for process in processes:
            process.kill()
        end(processes)
        self._told.cancel_join_thread()
        self._told.close()
        self._shared.close()
        unlink_names()

    def abandon(self) -> None:
        """Ends the workers without a word."""
        self.close()

    def _start(self, slot: int, index: int) -> None:
        submitted_ns = monotonic_ns()
        handed = self._task.handed(index)
        arguments = self._work(slot, index), slot, self._shared.handles, index, handed, self._told, not self._is_warm
        process = self._context.Process(target=worker.run_only, args=arguments)
        try:
            process.start()
        except OSError as error:
            message = f"cannot start process {len(self._alive) + 1} of {self.slots}: {error}"
            raise Failure("setup", message) from error
        except Exception as error:
            raise crossing_failure(self._task, [index], error) from error
        self._alive[slot] = _Started(process, index, submitted_ns)

    def _work(self, slot: int, index: int) -> Union[Task, Job]:
        """The task as the process of one slot gets it."""
        if self._is_fork:
            # It inherits what this process has imported, as any program's would.
            if slot not in self._inherited:
                self._inherited[slot] = steps.build(self._job, steps.Place.worker(slot, self._shared.handles))
            return self._inherited[slot]
        # It is handed the draws of this task, and no tables.
        each = [
            step._replace(draws=[[draws[index % DRAWS % len(draws)]] for draws in step.draws])
            for step in self._job.steps
        ]
        return self._job._replace(steps=each)

    def _hear(self, until_ns: int) -> Optional[Told]:
        """What the next process tells; None if none has by then (0 is never); Failure if one died that told nothing."""
        while True:
            left_s = (until_ns - monotonic_ns()) / 1e9 if until_ns else LOOK_S
            if left_s <= 0:
                return None
            with suppress(queue.Empty):
                return cast(Told, self._told.get(timeout=min(left_s, LOOK_S)))
            dead = [slot for slot, started in self._alive.items() if started.process.exitcode is not None]
            if dead:
                # It may have told just before it ended.
                with suppress(queue.Empty):
                    return cast(Told, self._told.get(timeout=0))
                raise self._died(dead[0])

    def _died(self, slot: int) -> Failure:
        status = self._alive[slot].process.exitcode or 0
        if status == 0:
            message = "a worker cannot hand back what a task made: its own messages say why"
            return Failure("task", message, f"worker {slot}")
        return died(slot, status)
