"""A candidate that is ready to run blocks."""

from __future__ import annotations

import os
from time import monotonic_ns
from typing import Dict, Optional, Set, Union, cast

from . import engines, leftovers, library_threads, meter, steps
from .agent import gil
from .meter import Usage
from .protocol import Go, Job
from .sampler import Batch, Sampler, Settings, Window
from .task import VARIANTS, first_failure

#: The golden ratio's multiples spread evenly.
_GOLDEN = 0.618_033_988_749_894_9


class Running:
    """One candidate: its task, its engine, and the blocks that they run."""

    def __init__(self, job: Job) -> None:
        """Makes the task and starts the engine's workers; imports what they need."""
        self._job = job
        self._task = steps.build(job, steps.Place.agent())
        leftovers.keep_files_in(job.directory)
        self._engine = engines.build(job, self._task)
        #: The mean service time of the block before, for the next one's ramp.
        self._mean_service_ns = 0
        #: The longest one, under a rate.
        self._longest_service_ns = 0
        #: How long the block before waited for its first tokens, before its time began.
        self._waited_ns = 0
        self._threads = leftovers.threads()
        #: Child processes that were there before the first task.
        self._children: Set[int] = set()
        #: Whether no task ran yet when it was ready.
        self._is_new = job.runs_nothing_first
        #: Whether a task may start programs.
        self._starts_programs = any(step.step["kind"] in ("python", "command") for step in job.steps)

    def first_tasks(self, received_ns: int) -> Dict[str, object]:
        """The body of `ready`.

        Gets every worker ready, as a program's pool does before it takes tasks; runs one task, for the figure of the
        start-up; then one for each slot, so that every worker has run and every connection is open. Where tasks are so
        long that a block is but some turns of them, none runs before the first block.
        """
        self._prepare(0)
        self._engine.get_ready()
        # What no user's program does is no start-up.
        received_ns += self._task.checks_ns + self._note_children()
        ready_ns = monotonic_ns() - received_ns
        if self._job.turns:
            self._prepare(None)
            self._task.read_items()
            self._engine.warm()
            if self._job.warms_up:
                self._sample(Batch(self._engine.slots), _FIRST)
                self._task.settle()
            return self._ready(ready_ns, ready_ns, 0)
        first = self._sample(Batch(1), _FIRST)
        # What waits for the far side is no start-up.
        startup_ns = monotonic_ns() - received_ns - self._waited_ns
        # What is known of a first task that failed is when it was over.
        first_task_ns = cast(int, first["elapsed_ns"]) if "errors" in first else self._mean_service_ns
        self._prepare(None)
        self._task.read_items()
        self._engine.warm()
        self._sample(Batch(self._engine.slots), _FIRST)
        self._task.settle()
        return self._ready(ready_ns, startup_ns, first_task_ns)

    def _ready(self, ready_ns: int, startup_ns: int, first_task_ns: int) -> Dict[str, object]:
        self._threads = leftovers.threads()
        return {
            "ready_ns": ready_ns,
            "startup_ns": startup_ns,
            "first_task_ns": first_task_ns,
            "pids": [os.getpid(), *self._engine.pids()],
            "gil": gil(),
            "library_threads": library_threads.started(),
        }

    def block(self, go: Go) -> Dict[str, object]:
        """The body of `block`."""
        longest_ns = None if self._job.rate is None else self._longest_service_ns
        ramp = ramp_ns(go.block, self._mean_service_ns, longest_ns)
        figures = self._sample(arrival(go, self._job, self._engine.slots, ramp), go)
        self._task.settle()
        if self._is_new:
            # What tasks start once in a process is left behind by none of them.
            self._is_new, self._threads = False, leftovers.threads()
        return figures

    def close(self, received_ns: int) -> Dict[str, object]:
        """The body of `bye`: ends the workers, and finds what the user's code left behind."""
        ours = self._engine.pids()
        failed = self._engine.leave()
        left = self._engine.left_behind()
        self._engine.close()
        failed = first_failure([failed, self._task.leave()])
        self._task.close()
        leftovers.remove_files(self._job.directory)
        body: Dict[str, object] = {"teardown_ns": monotonic_ns() - received_ns}
        left += leftovers.threads_beyond(self._threads)
        left += leftovers.children_beyond({*ours, *self._children})
        body["left_behind"] = left
        if failed is not None:
            body["failed_teardown"] = failed.to_frame()["failed"]
        return body

    def abandon(self) -> None:
        """Ends the workers: nobody asks them any more."""
        self._engine.abandon()

    def _note_children(self) -> int:
        """Notes the child processes of now, which are left behind by no task; how long that took."""
        begun_ns = monotonic_ns()
        if self._starts_programs:
            self._children = leftovers.children()
        return monotonic_ns() - begun_ns

    def _prepare(self, index: Optional[int]) -> None:
        # Workers elsewhere prepare themselves what they run; the agent would only hold it for nothing.
        model = engines.model(self._job.candidate.engine)
        # Loops are sharded over processes, or over threads of this one.
        is_elsewhere = model in ("processes", "interpreters", "cluster")
        if not (is_elsewhere or (model == "sharded-async" and self._engine.crosses)):
            self._task.prepare(index, loop_only=model == "async+processes")

    def _own_usage(self) -> Usage:
        """What this process used so far, and the programs that tasks started in it and that ended."""
        own = meter.usage()
        return own._replace(children_ns=0) if self._engine.reaps_workers else own

    def _others_usage(self) -> Usage:
        """What workers used so far, what those used that they started, and programs that still live."""
        used = self._engine.workers_usage()
        if not self._starts_programs:
            return used
        known = self._engine.pids()
        return used.plus(meter.programs([os.getpid(), *known], known))

    def _sampler(self, settings: Settings) -> Sampler:
        """The sampler of a block that begins now; under a rate, as soon as its first tokens are there."""
        rate, arrival = self._job.rate, settings.arrival
        if rate is None:
            # Made before the block's time begins.
            cpu_clock = self._engine.cpu_clock()
            return Sampler(settings, monotonic_ns(), cpu_clock)
        # Imported for who needs it: of others it would be a part of the start-up.
        from .paced import Bucket, PacedSampler

        begun_ns = monotonic_ns()
        bucket = Bucket.filled(rate, arrival.tasks if isinstance(arrival, Batch) else 1)
        go_ns = monotonic_ns()
        self._waited_ns = go_ns - begun_ns
        return PacedSampler(settings, go_ns, bucket, self._longest_service_ns)

    def _sample(self, arrival: Union[Batch, Window], go: Go) -> Dict[str, object]:
        task, engine = self._task, self._engine
        verifies = go.kind == "verify" and task.distinct > 0
        serialises = go.kind == "memory" and engine.crosses
        settings = Settings(
            arrival=arrival,
            first_index=go.first_index,
            slots=engine.slots,
            shards=engine.shards,
            task_timeout_ns=self._job.task_timeout_ns,
            heartbeat=go.kind == "memory",
            most_tasks=go.most_tasks,
            tolerates_errors=self._job.tolerates_errors,
            keep=arrival.tasks if verifies and isinstance(arrival, Batch) else VARIANTS if serialises else 0,
        )
        # Asking workers costs this process CPU time, which lies outside of its own two readings.
        others = self._others_usage()
        before = self._own_usage().plus(others)
        sampler = self._sampler(settings)
        engine.run(sampler)
        own = self._own_usage()
        usage = own.plus(self._others_usage()).since(before)
        figures = sampler.finish(go.block, go.kind, usage)
        self._mean_service_ns, self._longest_service_ns = sampler.mean_service_ns, sampler.longest_service_ns
        if verifies:
            kept = sampler.kept
            indices = range(go.first_index, go.first_index + len(kept))
            if self._job.tolerates_errors:
                # A task that failed has no result: 0 stands in its place.
                indices = range(go.first_index, go.first_index + cast(int, figures["tasks"]))
            figures["results"] = [task.verified(index, kept[index]) if index in kept else 0 for index in indices]
        if serialises and sampler.kept:
            from .user.pickling import price

            given = [task.given(index) for index in sampler.kept] if engine.pickles_given else []
            callables = task.callables if engine.pickles_given else []
            figures["serialisation"] = price(callables, given, list(sampler.kept.values())).body(
                min(engine.tasks_per_message, sampler.tasks or engine.tasks_per_message)
            )
        return figures


#: Stands for the first tasks of a candidate, before any `go`.
_FIRST = Go(block=0, kind="timed", window_ns=0, first_index=0)


def arrival(go: Go, job: Job, slots: int, ramp_ns: int) -> Union[Batch, Window]:
    """How the tasks of a block arrive."""
    if go.kind == "verify":
        return Batch(VARIANTS if go.most_tasks is None else go.most_tasks)
    if job.load.tasks is not None:
        return Batch(job.load.tasks)
    if job.turns:
        return Batch(slots * job.turns, are_turns=True)
    return Window(go.window_ns, ramp_ns)


def ramp_ns(block: int, mean_service_ns: int, longest_service_ns: Optional[int]) -> int:
    """A task's time, and a part of it that spreads evenly over blocks.

    By then those that began together have ended once, and the edges of windows fall at every phase of their
    successors. (Tasks that wait inside, for a worker or a lock, are served in turn: of those that begin together the
    first take much less time than any later one, and a window that saw them would count too many.) Under a rate, tasks
    begin one by one: until the longest has ended, not all are in flight that will be.
    """
    part_ns = int(block * _GOLDEN % 1 * mean_service_ns)
    return part_ns + (mean_service_ns if longest_service_ns is None else longest_service_ns)
