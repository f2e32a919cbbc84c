"""The section `mixing`: event loops with threads and processes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Iterator, List

from .children import FORK, tether
from .registry import item
from .timing import SWITCHING_BUDGET_NS, Meter, median
from .work import nothing

#: The workers of a pool.
_WORKERS = 2
#: How often the loop is called from outside, and how long it rests before, in seconds.
_CALLS = 120
_REST_S = 0.0001


async def _nothing() -> None:
    pass


@item("executor-thread")
def executor_thread(meter: Meter) -> float:
    """From the loop to a thread, and back."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        return asyncio.run(_through(meter, pool))


@item("to-thread")
def to_thread(meter: Meter) -> float:
    """The same with what asyncio keeps for it, and a copy of the context."""

    async def main() -> float:
        async def loop(calls: int) -> None:
            for _ in range(calls):
                await asyncio.to_thread(nothing)

        return await meter.per_await(loop, budget_ns=SWITCHING_BUDGET_NS)

    return asyncio.run(main())


@item("executor-process")
def executor_process(meter: Meter) -> float:
    """From the loop to a process, and back."""
    with ProcessPoolExecutor(_WORKERS, mp_context=FORK, initializer=tether) as pool:
        return asyncio.run(_through(meter, pool))


async def _through(meter: Meter, pool: Executor) -> float:
    running = asyncio.get_running_loop()

    async def loop(calls: int) -> None:
        for _ in range(calls):
            await running.run_in_executor(pool, nothing)

    return await meter.per_await(loop, budget_ns=SWITCHING_BUDGET_NS)


@contextmanager
def _loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@item("call-soon-threadsafe")
def call_soon_threadsafe(meter: Meter) -> float:
    """From the call in a thread until its callback runs on a loop that was asleep."""
    now_ns = time.perf_counter_ns
    ran = Lock()
    ran.acquire()
    ran_at_ns: List[int] = []

    def callback() -> None:
        ran_at_ns.append(now_ns())
        ran.release()

    samples: List[int] = []
    with _loop_in_a_thread() as loop:
        for _ in range(_CALLS):
            # The loop goes back to sleep meanwhile.
            time.sleep(_REST_S)
            start_ns = now_ns()
            loop.call_soon_threadsafe(callback)
            ran.acquire()
            samples.append(ran_at_ns.pop() - start_ns)
    return max(median(samples) - meter.overhead_ns, 0.0)


@item("run-coroutine-threadsafe")
def run_coroutine_threadsafe(meter: Meter) -> float:
    """From a thread to the loop, and the result back."""
    with _loop_in_a_thread() as running:

        def loop(calls: int) -> None:
            for _ in range(calls):
                asyncio.run_coroutine_threadsafe(_nothing(), running).result()

        return meter.per_call(loop, budget_ns=SWITCHING_BUDGET_NS)
