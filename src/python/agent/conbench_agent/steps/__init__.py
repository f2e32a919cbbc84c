"""Steps: what a task does. Each is one small module with a blocking and an async form, and knows no engine."""

from __future__ import annotations

from importlib import import_module
from typing import Callable, Dict, NamedTuple, Optional, cast

from ..protocol import Failure, Job, StepJob
from ..task import Step, Task


class Place(NamedTuple):
    """Where steps run: it decides what "shared" means for locks, queues and events.

    In the agent itself (`slot` is None) they are shared between threads and tasks of this process; in a worker
    process, which runs the tasks of its slot one after another, with the other workers, through `shared`.
    """

    slot: Optional[int] = None
    #: The handles of `steps.ipc.Shared`, made in the agent before the workers start.
    shared: Optional[object] = None

    @staticmethod
    def agent() -> Place:
        """The agent itself."""
        return Place()

    @staticmethod
    def worker(slot: int, shared: Optional[object] = None) -> Place:
        """A worker process or interpreter."""
        return Place(slot, shared)

    @property
    def is_worker(self) -> bool:
        """Whether this is a worker."""
        return self.slot is not None


#: Makes a step: its number in the workload (from 1), the job, its own part of the job, and where it will run.
Maker = Callable[[int, Job, StepJob, Place], Step]

_MAKERS: Dict[str, str] = {
    "cpu": "cpu:CpuStep",
    "wait": "wait:WaitStep",
    "sleep": "sleep:SleepStep",
    "http": "http:HttpStep",
    "tcp": "tcp:TcpStep",
    "file": "file:FileStep",
    "lock": "lock:LockStep",
    "queue": "queue:QueueStep",
    "event": "event:EventStep",
    "command": "command:CommandStep",
    "python": "user:UserStep",
}


def build(job: Job, place: Place) -> Task:
    """Makes the task that a job describes, ready to run in `place`; the modules of its steps are imported only now.

    Inputs and files are made by `Task.prepare`, or else, as are connections and partners, by the first task that
    needs them. Failure if a step cannot be set up; it names the step.
    """
    steps = [_make(number, job, step_job, place) for number, step_job in enumerate(job.steps, 1)]
    return Task(steps, job.payload, None if place.is_worker else job.seed, job.tolerates_errors)


def label(number: int, step_job: StepJob) -> str:
    """How messages call a step: "step 2 (http)"."""
    return "step {} ({})".format(number, step_job.step["kind"])


def _make(number: int, job: Job, step_job: StepJob, place: Place) -> Step:
    where = label(number, step_job)
    maker = _MAKERS.get(step_job.step["kind"])
    if maker is None:
        raise Failure("setup", "this agent knows no such step", where)
    module, _, name = maker.partition(":")
    return cast(Maker, getattr(import_module("." + module, __name__), name))(number, job, step_job, place)
