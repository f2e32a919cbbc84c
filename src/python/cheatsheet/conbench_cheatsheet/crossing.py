"""The section `multiprocessing`: what crosses from one process to another."""

from __future__ import annotations

import pickle
from multiprocessing.connection import Connection
from multiprocessing.managers import SyncManager
from multiprocessing.queues import Queue
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from .children import FORK, child, tether
from .registry import item
from .timing import SWITCHING_BUDGET_NS, Meter

_MIB = 1 << 20
_SMALL = b"x" * 100
_LARGE = b"x" * _MIB
#: What was sent comes back, so that a round is two crossings.
_THERE_AND_BACK = 2


@item("process-queue-100b")
def process_queue_100b(meter: Meter) -> float:
    """From `put` here to `get` there."""
    return _through_queues(meter, _SMALL)


@item("process-queue-1mib")
def process_queue_1mib(meter: Meter) -> float:
    """From `put` here to `get` there."""
    return _through_queues(meter, _LARGE)


def _echo_queue(source: Queue[Any], target: Queue[Any]) -> None:
    for data in iter(source.get, None):
        target.put(data)


def _through_queues(meter: Meter, data: bytes) -> float:
    there: Queue[Any] = FORK.Queue()
    here: Queue[Any] = FORK.Queue()

    def loop(calls: int) -> None:
        for _ in range(calls):
            there.put(data)
            here.get()

    with child(_echo_queue, there, here):
        try:
            return meter.per_call(loop, parts=_THERE_AND_BACK, budget_ns=SWITCHING_BUDGET_NS)
        finally:
            there.put(None)
            for queue in (there, here):
                queue.close()
                queue.join_thread()


@item("pipe-100b")
def pipe_100b(meter: Meter) -> float:
    """From `send` here to `recv` there."""
    return _through_pipe(meter, _SMALL)


@item("pipe-1mib")
def pipe_1mib(meter: Meter) -> float:
    """From `send` here to `recv` there."""
    return _through_pipe(meter, _LARGE)


def _echo_pipe(end: Connection[Any, Any]) -> None:
    while True:
        data = end.recv()
        if data is None:
            return
        end.send(data)


def _through_pipe(meter: Meter, data: bytes) -> float:
    here, there = FORK.Pipe()

    def loop(calls: int) -> None:
        for _ in range(calls):
            here.send(data)
            here.recv()

    with here, there, child(_echo_pipe, there):
        try:
            return meter.per_call(loop, parts=_THERE_AND_BACK, budget_ns=SWITCHING_BUDGET_NS)
        finally:
            here.send(None)


@item("pickle-bytes")
def pickle_bytes(meter: Meter) -> float:
    """Bytes are copied as they are."""
    return _pickle(meter, _LARGE)


@item("pickle-list")
def pickle_list(meter: Meter) -> float:
    """Each number by itself."""
    return _pickle(meter, list(range(100_000, 200_000)))


@item("pickle-dict")
def pickle_dict(meter: Meter) -> float:
    """Each text and number by itself."""
    return _pickle(meter, {f"key {number}": number for number in range(20_000)})


def _pickle(meter: Meter, data: object) -> float:
    def loop(calls: int) -> None:
        for _ in range(calls):
            pickle.loads(pickle.dumps(data))

    return meter.per_call(loop, parts=len(pickle.dumps(data)) / _MIB)


@item("shared-memory-create")
def shared_memory_create(meter: Meter) -> float:
    """A segment of 1 MiB from its making to its end; none of its pages is touched."""

    def loop(calls: int) -> None:
        for _ in range(calls):
            memory = SharedMemory(create=True, size=_MIB)
            memory.close()
            memory.unlink()

    return meter.per_call(loop)


def _echo_memory(memory: SharedMemory, end: Connection[Any, Any]) -> None:
    buffer = memory.buf
    assert buffer is not None
    while end.recv() is not None:
        data = bytes(buffer[:_MIB])
        buffer[:_MIB] = data
        end.send(1)


@item("shared-memory-1mib")
def shared_memory_1mib(meter: Meter) -> float:
    """Written here and read there, with a word through a pipe that it is there."""
    here, there = FORK.Pipe()
    memory = SharedMemory(create=True, size=_MIB)
    # A forked child has it by inheritance. So its name can go at once, and nothing is left behind whatever comes.
    memory.unlink()
    buffer = memory.buf
    assert buffer is not None

    def loop(calls: int) -> None:
        for _ in range(calls):
            buffer[:_MIB] = _LARGE
            here.send(1)
            here.recv()
            bytes(buffer[:_MIB])

    try:
        with here, there, child(_echo_memory, memory, there):
            try:
                return meter.per_call(loop, parts=_THERE_AND_BACK, budget_ns=SWITCHING_BUDGET_NS)
            finally:
                here.send(None)
    finally:
        memory.close()


@item("process-value-add")
def process_value_add(meter: Meter) -> float:
    """A number in shared memory, under its lock, which nobody else wants."""
    value = FORK.Value("q", 0)

    def loop(calls: int) -> None:
        for _ in range(calls):
            with value.get_lock():
                value.value += 1

    return meter.per_call(loop)


@item("manager-dict-get")
def manager_dict_get(meter: Meter) -> float:
    """A dict that lives in a process of its own: each look into it is a question and an answer."""
    with _manager() as manager:
        data = manager.dict({"key": 1})

        def loop(calls: int) -> None:
            for _ in range(calls):
                data["key"]

        return meter.per_call(loop, budget_ns=SWITCHING_BUDGET_NS)


def _manager() -> SyncManager:
    manager = SyncManager(ctx=FORK)
    manager.start(tether)
    return manager
