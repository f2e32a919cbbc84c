"""The section `threading`."""

from __future__ import annotations

import queue
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition, Event, Lock, Thread
from typing import Callable, Iterator, List, Union

from . import host
from .registry import Unavailable, item
from .timing import SWITCHING_BUDGET_NS, Meter
from .work import nothing

#: A round of two threads is two hand-overs.
_THERE_AND_BACK = 2
#: What `gil-turn` sleeps at a time, in ns.
_NAP_NS = 1_000_000
#: How many items `thread-pool-map-item` hands over at once.
_ITEMS = 100


@item("thread-start-join")
def thread_start_join(meter: Meter) -> float:
    """A thread that does nothing."""

    def loop(calls: int) -> None:
        for _ in range(calls):
            thread = Thread(target=nothing)
            thread.start()
            thread.join()

    return meter.per_call(loop)


@item("thread-pool-submit-result")
def thread_pool_submit_result(meter: Meter) -> float:
    """A task to a pool that waits for it, and its result back."""
    with ThreadPoolExecutor(2) as pool:

        def loop(calls: int) -> None:
            for _ in range(calls):
                pool.submit(nothing).result()

        return meter.per_call(loop, budget_ns=SWITCHING_BUDGET_NS)


@item("thread-pool-map-item")
def thread_pool_map_item(meter: Meter) -> float:
    """Many tasks at once, so that the waking of the threads is shared among them."""
    with ThreadPoolExecutor(2) as pool:

        def loop(calls: int) -> None:
            for _ in range(calls):
                list(pool.map(nothing, range(_ITEMS)))

        return meter.per_call(loop, parts=_ITEMS)


@item("lock-uncontended")
def lock_uncontended(meter: Meter) -> float:
    """A lock that nobody else wants."""
    lock = Lock()

    def loop(calls: int) -> None:
        for _ in range(calls):
            with lock:
                pass

    return meter.per_call(loop)


@contextmanager
def _answering(answer: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    """A thread that answers until it is told to stop."""
    thread = Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()


@item("lock-handover")
def lock_handover(meter: Meter) -> float:
    """Each of two threads waits for a lock that the other one releases: each release is a switch."""
    here, there = Lock(), Lock()
    here.acquire()
    there.acquire()
    stopped: List[bool] = []

    def answer() -> None:
        while True:
            there.acquire()
            if stopped:
                return
            here.release()

    def stop() -> None:
        stopped.append(True)
        there.release()

    def loop(calls: int) -> None:
        for _ in range(calls):
            there.release()
            here.acquire()

    with _answering(answer, stop):
        return meter.per_call(loop, parts=_THERE_AND_BACK, budget_ns=SWITCHING_BUDGET_NS)


@item("event-handover")
def event_handover(meter: Meter) -> float:
    """An event set here until its waiter runs there, which clears it and answers in the same way."""
    here, there = Event(), Event()
    stopped: List[bool] = []

    def answer() -> None:
        while True:
            there.wait()
            there.clear()
            if stopped:
                return
            here.set()

    def stop() -> None:
        stopped.append(True)
        there.set()

    def loop(calls: int) -> None:
        for _ in range(calls):
            there.set()
            here.wait()
            here.clear()

    with _answering(answer, stop):
        return meter.per_call(loop, parts=_THERE_AND_BACK, budget_ns=SWITCHING_BUDGET_NS)


@item("condition-handover")
def condition_handover(meter: Meter) -> float:
    """A condition notified here until its waiter runs there, with the flag that tells why it was notified."""
    condition = Condition()
    turns: List[int] = []
    stopped: List[bool] = []

    def answer() -> None:
        with condition:
            while True:
                while not turns:
                    condition.wait()
                if stopped:
                    return
                turns.pop()
                condition.notify()

    def stop() -> None:
        with condition:
            stopped.append(True)
            turns.append(1)
            condition.notify()

    def loop(calls: int) -> None:
        for _ in range(calls):
            with condition:
                turns.append(1)
                condition.notify()
                while turns:
                    condition.wait()

    with _answering(answer, stop):
        return meter.per_call(loop, parts=_THERE_AND_BACK, budget_ns=SWITCHING_BUDGET_NS)


@item("queue-put-get")
def queue_put_get(meter: Meter) -> float:
    """A queue within one thread: what its bookkeeping costs."""
    waiting: queue.Queue[int] = queue.Queue()

    def loop(calls: int) -> None:
        for _ in range(calls):
            waiting.put(1)
            waiting.get()

    return meter.per_call(loop)


@item("queue-handover")
def queue_handover(meter: Meter) -> float:
    """From `put` here to `get` there."""
    return _queue_handover(meter, queue.Queue(), queue.Queue())


@item("simple-queue-handover")
def simple_queue_handover(meter: Meter) -> float:
    """The queue that is written in C and has no size."""
    return _queue_handover(meter, queue.SimpleQueue(), queue.SimpleQueue())


#: A queue of what is said, where `None` ends the talk.
_Queue = Union["queue.Queue[object]", "queue.SimpleQueue[object]"]


def _queue_handover(meter: Meter, here: _Queue, there: _Queue) -> float:
    def answer() -> None:
        while there.get() is not None:
            here.put(1)

    def loop(calls: int) -> None:
        for _ in range(calls):
            there.put(1)
            here.get()

    with _answering(answer, lambda: there.put(None)):
        return meter.per_call(loop, parts=_THERE_AND_BACK, budget_ns=SWITCHING_BUDGET_NS)


@item("gil-turn")
def gil_turn(meter: Meter) -> float:
    """How late a thread goes on after a sleep while another one computes: it asks for the GIL, and waits."""
    if not host.has_gil():
        raise Unavailable("this interpreter runs without the GIL: nothing has to be waited for")
    stopped: List[bool] = []

    def compute() -> None:
        while not stopped:
            pass

    def loop(calls: int) -> None:
        for _ in range(calls):
            time.sleep(0.001)

    with _answering(compute, lambda: stopped.append(True)):
        return meter.per_call(loop, minus_ns=_NAP_NS)
