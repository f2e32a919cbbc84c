"""The frames that a controller and this agent speak: JSON, one object a line, over a private pipe pair.

A frame is an object with one key, its name: `{"go": {"block": 1, ..}}`. Requests are read into the classes below;
an unknown frame or field is refused. Replies are plain dictionaries.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Tuple, Type, Union, get_type_hints

PROTOCOL = 3
REQUESTS_FD = 3
REPLIES_FD = 4


class Failure(Exception):
    """Why a candidate cannot go on. Crosses process boundaries by pickling.

    `kind` is one of task, setup, name, worker, agent, hang, checksum, protocol. `message` begins with a lower-case
    letter (unless with the name of a type), ends without a full stop, and says what failed and what to do. `where` is
    a step ("step 2 (http)"), a worker, or empty. `traceback` holds the lines of the user's own frames. `note` is what
    was found of the error behind it, as the frame `block` tells it.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        where: str = "",
        traceback: Optional[List[str]] = None,
        note: Optional[Dict[str, object]] = None,
    ) -> None:
        """All that the frame `failed` holds, and the note."""
        super().__init__(kind, message, where, traceback, note)
        self.kind = kind
        self.message = message
        self.where = where
        self.traceback = traceback
        self.note = note

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    def __reduce__(self) -> Tuple[Type[Failure], Tuple[object, ...]]:
        return Failure, (self.kind, self.message, self.where, self.traceback, self.note)

    def to_frame(self) -> Dict[str, object]:
        """The frame `failed`."""
        body: Dict[str, object] = {"kind": self.kind, "message": self.message, "where": self.where}
        if self.traceback:
            body["traceback"] = self.traceback
        return {"failed": body}

    @staticmethod
    def of(error: BaseException) -> Failure:
        """The error itself if it is a failure; else what stands for an error that the agent did not foresee."""
        if isinstance(error, Failure):
            return error
        frame, place = error.__traceback__, ""
        while frame is not None:
            code = frame.tb_frame.f_code
            place = f", in {code.co_name} ({os.path.basename(code.co_filename)}:{frame.tb_lineno})"
            frame = frame.tb_next
        return Failure("agent", f"{type(error).__name__}: {error}{place}")


class Sizes(NamedTuple):
    """The sizes of a candidate; one that its engine does not have is None."""

    workers: Optional[int] = None
    in_flight: Optional[int] = None
    chunk: Optional[int] = None

    @property
    def concurrency(self) -> int:
        """Tasks that are in flight at once: `in_flight`, else `workers`, else one."""
        return max(self.in_flight or self.workers or 1, 1)


class OwnExecutor(NamedTuple):
    """An executor that a factory of the user's builds, with what a probe found of it."""

    factory: str
    model: str
    is_context: bool = False
    fixed_workers: Optional[int] = None


class Own(NamedTuple):
    """The engine that such an executor is."""

    own: OwnExecutor

    def __str__(self) -> str:
        return self.own.factory


class Candidate(NamedTuple):
    """What is measured: a runtime, an engine and its sizes."""

    runtime: str
    #: Its name; what it is, where a factory of the user's builds it.
    engine: Union[str, Own]
    sizes: Sizes
    start_method: Optional[str] = None
    #: How many threads libraries may compute with in each process; None leaves it to them.
    library_threads: Optional[int] = None


class Load(NamedTuple):
    """How tasks arrive: "closed" (a number in flight), or "batch" (`tasks` at once)."""

    mode: str
    max_in_flight: int
    tasks: Optional[int] = None


class Rate(NamedTuple):
    """What the far side allows: in any time `t` at most `burst + t x tasks / period_ns` tasks may begin."""

    tasks: int
    period_ns: int
    burst: int


class Payload(NamedTuple):
    """Bytes that are handed to a task and handed back."""

    input_bytes: int
    output_bytes: int


class StepJob(NamedTuple):
    """A step with everything random already drawn."""

    #: The step as the workload describes it; its `kind` names the class, the other fields are that kind's own.
    step: Dict[str, Any]
    iterations: int
    #: One table of durations (ns) for each distribution of the step; task i uses entry i % length.
    draws: List[List[int]]
    #: How many items are read of the step's iterable, where an agent found that out.
    items: Optional[int] = None


class Server(NamedTuple):
    """Where the embedded server listens: loopback ports."""

    http_port: int
    tcp_port: int
    pid: int


class Joined(NamedTuple):
    """The Dask cluster that runs the tasks of a candidate."""

    #: Where its scheduler listens, "tcp://host:port" or "tls://host:port".
    address: str
    #: The threads of all its workers, as they were found.
    threads: int
    #: Files that its workers need.
    upload: Optional[List[str]] = None
    #: Where its workers listen, as they were found.
    workers: Optional[List[str]] = None


class Job(NamedTuple):
    """All that an agent needs to become one candidate."""

    candidate: Candidate
    load: Load
    payload: Payload
    steps: List[StepJob]
    seed: int
    task_timeout_ns: int
    directory: Optional[str] = None
    server: Optional[Server] = None
    #: Whether a task that fails is counted, and its block goes on.
    tolerates_errors: bool = False
    #: The folder in which the factory of an executor of the user's is looked for before the current directory.
    executor_path: Optional[str] = None
    #: How fast tasks may begin, whatever they are run for.
    rate: Optional[Rate] = None
    cluster: Optional[Joined] = None
    #: Of long tasks, how many turns a block of a closed load is; no task runs before the first block then.
    turns: int = 0
    #: Whether a task runs in each slot before the first block all the same: a process loads something at its first.
    warms_up: bool = False
    #: Whether a call gets a copy of its item, which the user's code changes.
    copies_items: bool = False
    #: Whether the user's own teardowns are left out: one does not end.
    skips_teardown: bool = False

    @property
    def runs_nothing_first(self) -> bool:
        """Whether no task runs before the first block."""
        return self.turns > 0 and not self.warms_up

    def text(self) -> str:
        """The job as JSON, for a worker that reads it with `parse`."""
        return json.dumps(_plain(self))

    @staticmethod
    def parse(text: str) -> Job:
        """The job that `text` gave."""
        job: Job = _read(Job, json.loads(text), "job")
        return job


class Go(NamedTuple):
    """Run one block."""

    block: int
    kind: str
    window_ns: int
    first_index: int
    most_tasks: Optional[int] = None


class Reference(NamedTuple):
    """Make the table of checksums that every candidate is held against."""

    job: Job
    budget_ns: int
    most_calls: Optional[int] = None


class Probe(NamedTuple):
    """Find out what an executor is that a factory of the user's builds."""

    factory: str
    path: Optional[str] = None


class Cluster(NamedTuple):
    """Find out what a Dask cluster is; without an address, after starting one on this host."""

    #: How many workers are started.
    workers: int
    #: The folder in which they may leave files.
    directory: str
    allow_remote: bool
    #: For the measurements, once it is connected.
    budget_ns: int
    address: Optional[str] = None


class Cpu(NamedTuple):
    """A computation: a kernel and the input of one iteration."""

    kernel: str
    input_bytes: int
    time_ns: Optional[int] = None


class Target(NamedTuple):
    """What is measured: the time of one iteration; `cores` is asked of the native agent alone."""

    iteration: Cpu


class Calibrate(NamedTuple):
    """Measure this machine, unloaded."""

    target: Target
    budget_ns: int


class Bye(NamedTuple):
    """End."""


Request = Union[Calibrate, Cluster, Probe, Reference, Job, Go, Bye]

_REQUESTS: Dict[str, Type[Any]] = {
    "calibrate": Calibrate,
    "cluster": Cluster,
    "probe": Probe,
    "reference": Reference,
    "job": Job,
    "go": Go,
    "bye": Bye,
}
_KINDS_OF_BLOCKS = ("timed", "memory", "verify")

#: The fields of each kind of step: those it must have, and those it may have.
_STEPS: Dict[str, Tuple[str, str]] = {
    "cpu": ("kernel input_bytes", "time_ns"),
    "wait": ("time", ""),
    "sleep": ("time", ""),
    "http": ("delay body_bytes connection", "url"),
    "tcp": ("delay request_bytes response_bytes connection", "address"),
    "file": ("operation size_bytes fsync", ""),
    "lock": ("hold", ""),
    "queue": ("capacity stage", ""),
    "event": ("round_trips", ""),
    "command": ("argv expect_status", ""),
    "python": (
        "path check",
        "function async_function items star pass_state setup setup_thread async_setup teardown teardown_thread "
        "async_teardown version",
    ),
}


#: What is said where the pipes are gone, though the controller is there.
_CLOSED_BY_CODE = (
    "your code closed descriptors that it did not open ({0}, the agent's pipes): let it close only what it opened, and "
    "call no `os.closerange` over all"
)


class Channel:
    """The agent's end of the pipe pair. Programs that tasks start do not inherit it."""

    def __init__(self, requests_fd: int = REQUESTS_FD, replies_fd: int = REPLIES_FD) -> None:
        """Takes over two open descriptors; OSError if one is not open."""
        for fd in (requests_fd, replies_fd):
            os.set_inheritable(fd, False)
        self._requests = open(requests_fd, "rb")  # noqa: SIM115
        self._requests_fd, self._replies_fd = requests_fd, replies_fd
        self._request_pipe, self._reply_pipe = os.fstat(requests_fd), os.fstat(replies_fd)
        # A worker that held the pipe too would hide from the controller that the agent is gone.
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def receive(self) -> bytes:
        """The line of the next request, for `parse`; empty at the end of the requests.

        OSError if a task closed the pipe, or put something else in its place.
        """
        self._check()
        return self._requests.readline()

    def send(self, frame: Dict[str, object]) -> None:
        """Sends one frame. OSError if a task closed the pipe, or put something else in its place."""
        data = json.dumps(frame, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        self._check()
        while data:
            data = data[os.write(self._replies_fd, data) :]

    def _check(self) -> None:
        pipes = ((self._requests_fd, self._request_pipe), (self._replies_fd, self._reply_pipe))
        gone = [str(fd) for fd, pipe in pipes if not _is_open(fd, pipe)]
        if gone:
            raise OSError(_CLOSED_BY_CODE.format(" and ".join(gone)))

    def _leave_to_parent(self) -> None:
        # A task may have closed them before it forked.
        with suppress(OSError):
            self._requests.close()
        with suppress(OSError):
            if _is_open(self._replies_fd, self._reply_pipe):
                os.close(self._replies_fd)


def _is_open(fd: int, pipe: os.stat_result) -> bool:
    """Whether this descriptor is still that pipe."""
    try:
        return os.path.samestat(os.fstat(fd), pipe)
    except OSError:
        return False


def parse(line: bytes) -> Request:
    """The request on this line; Failure if it is not understood."""
    try:
        frame = json.loads(line)
    except ValueError as error:
        _refuse(str(error))
    if not isinstance(frame, dict) or len(frame) != 1:
        _refuse("a frame is an object with one key")
    [(name, body)] = frame.items()
    if name not in _REQUESTS:
        _refuse(f"unknown request `{name}`")
    request: Request = _read(_REQUESTS[name], body, name)
    if isinstance(request, Go) and request.kind not in _KINDS_OF_BLOCKS:
        _refuse(f"unknown kind of block `{request.kind}`")
    return request


def _read(kind: Any, value: object, name: str) -> Any:
    """`value` as the annotation `kind` has it; `name` is its path, for messages."""
    arguments: Tuple[Any, ...] = getattr(kind, "__args__", ())
    if type(None) in arguments:
        return None if value is None else _read(arguments[0], value, name)
    origin = getattr(kind, "__origin__", kind)
    if origin is Union:
        # A name, or an object that says more.
        return value if isinstance(value, str) else _read(arguments[1], value, name)
    if hasattr(kind, "_fields"):
        return _read_object(kind, value, name)
    # In JSON a number is no truth value, though in Python `True` is an integer.
    if not isinstance(value, origin) or (origin is int and isinstance(value, bool)):
        _refuse(f"`{name}` is not of type {origin.__name__}")
    if origin is list:
        return [_read(arguments[0], each, f"{name}[{place}]") for place, each in enumerate(value)]
    return value


def _read_object(kind: Any, value: object, name: str) -> Any:
    if not isinstance(value, dict):
        _refuse(f"`{name}` is not an object")
    required = [field for field in kind._fields if field not in kind._field_defaults]
    _check_fields(value, required, kind._fields, name)
    hints = get_type_hints(kind)
    made = kind(**{field: _read(hints[field], each, name + "." + field) for field, each in value.items()})
    if isinstance(made, StepJob):
        _check_step(made.step, name + ".step")
    return made


def _check_step(step: Dict[str, Any], name: str) -> None:
    kind = step.get("kind")
    if kind not in _STEPS:
        _refuse(f"`{name}.kind` is not the kind of any step: {kind!r}")
    required, optional = (fields.split() for fields in _STEPS[kind])
    _check_fields(step, required, ["kind", *required, *optional], name)


def _check_fields(found: Dict[str, Any], required: List[str], known: List[str], name: str) -> None:
    for field in found:
        if field not in known:
            _refuse(f"unknown field `{field}` in `{name}`")
    for field in required:
        if field not in found:
            _refuse(f"`{name}` has no field `{field}`")


def _refuse(why: str) -> NoReturn:
    raise Failure("protocol", "the agent does not understand a request: " + why)


def _plain(value: Any) -> Any:
    """`value` in the types of JSON: the reverse of `_read`."""
    if hasattr(value, "_fields"):
        return {field: _plain(each) for field, each in zip(value._fields, value) if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
