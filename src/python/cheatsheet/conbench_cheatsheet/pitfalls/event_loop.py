"""Pitfalls of asyncio."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import time
import warnings
from contextlib import contextmanager, suppress
from typing import Any, Callable, Coroutine, Dict, Iterator, List, NamedTuple, Tuple

from ..registry import Both, Unavailable, pitfall

_TASKS = 10
_WAIT_S = 0.02


def blocking() -> None:
    """A call that blocks its thread."""
    time.sleep(_WAIT_S)


async def _blocking() -> None:
    blocking()


async def _through_a_thread() -> None:
    await asyncio.to_thread(blocking)


class Stalled(NamedTuple):
    """What ten tasks together took, and how long the loop stood still for others meanwhile at most, both in ms."""

    elapsed_ms: float
    longest_stall_ms: float


def stalled(task: Callable[[], Coroutine[None, None, None]]) -> Stalled:
    """Runs ten of these tasks under `gather`, beside one that only wants to run each millisecond."""
    nap_s = 0.001

    async def watch(late_s: List[float]) -> None:
        while True:
            start_s = time.perf_counter()
            await asyncio.sleep(nap_s)
            late_s.append(time.perf_counter() - start_s - nap_s)

    async def main() -> Stalled:
        late_s: List[float] = [0.0]
        watching = asyncio.create_task(watch(late_s))
        await asyncio.sleep(0)
        start_s = time.perf_counter()
        await asyncio.gather(*[task() for _ in range(_TASKS)])
        elapsed_s = time.perf_counter() - start_s
        # It learns of the last stall when it runs again.
        await asyncio.sleep(2 * nap_s)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        return Stalled(elapsed_s * 1e3, max(late_s) * 1e3)

    return asyncio.run(main())


@pitfall("blocking-call")
def blocking_call() -> Both:
    """Ten tasks of 20 ms one after another."""
    wrong, mended = stalled(_blocking), stalled(_through_a_thread)
    threads = min(32, (os.cpu_count() or 1) + 4)
    shown = (
        f"the loop's longest stall: {wrong.longest_stall_ms:.1f} ms, mended {mended.longest_stall_ms:.1f} ms\n"
        f"asyncio.to_thread has {threads} threads here (cores + 4, 32 at most): more calls wait their turn"
    )
    return Both(wrong.elapsed_ms, mended.elapsed_ms, shown)


@pitfall("await-in-a-loop")
def await_in_a_loop() -> Both:
    """Ten waits one after another, though none needs the one before."""

    async def one_after_another() -> None:
        for _ in range(_TASKS):
            await asyncio.sleep(_WAIT_S)

    async def together() -> None:
        await asyncio.gather(*[asyncio.sleep(_WAIT_S) for _ in range(_TASKS)])

    async def elapsed_ms(run: Callable[[], Coroutine[None, None, None]]) -> float:
        start_s = time.perf_counter()
        await run()
        return (time.perf_counter() - start_s) * 1e3

    return Both(asyncio.run(elapsed_ms(one_after_another)), asyncio.run(elapsed_ms(together)))


#: The tasks that each open a file, and how many the semaphore lets through.
_OPENING = 400
_LET_THROUGH = 20
#: The descriptors that this process may have while they do, beside those that it has.
_DESCRIPTORS = 200


class Opened(NamedTuple):
    """What came of the tasks that each open a file."""

    #: How many files were open at once, at most.
    most: int
    errors: List[str]


@contextmanager
def _few_descriptors() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The listing itself has one open.
    limit = len(os.listdir("/proc/self/fd")) - 1 + _DESCRIPTORS
    if soft != resource.RLIM_INFINITY and limit > soft:
        raise Unavailable(f"this process may open {soft} files, too few to show it")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def opened(at_once: int) -> Opened:
    """Four hundred tasks under `gather` that each hold a file open for a moment, `at_once` of them at a time."""
    open_now = most = 0

    async def use() -> None:
        nonlocal open_now, most
        with open(os.devnull, "rb"):
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.001)
            open_now -= 1

    async def main() -> List[str]:
        gate = asyncio.Semaphore(at_once)

        async def gated() -> None:
            async with gate:
                await use()

        results = await asyncio.gather(*[gated() for _ in range(_OPENING)], return_exceptions=True)
        return [f"{type(result).__name__}: {result}" for result in results if isinstance(result, BaseException)]

    errors = asyncio.run(main())
    return Opened(most, errors)


@pitfall("unbounded-gather")
def unbounded_gather() -> Both:
    """Each of many tasks takes something that there is a limit of."""
    with _few_descriptors() as limit:
        wrong, mended = opened(_OPENING), opened(_LET_THROUGH)
    shown = f"files open at once: {wrong.most}, mended {mended.most}"
    if wrong.errors:
        shown = f"{wrong.errors[0]}\n{shown}, with a limit of {limit} for the process"
    return Both(len(wrong.errors), len(mended.errors), shown)


@pitfall("missing-await")
def missing_await() -> Both:
    """A coroutine that is called but never awaited does not run."""
    ran: List[str] = []

    async def save() -> None:
        ran.append("saved")

    async def forgotten() -> int:
        # What a user writes by mistake.
        save()  # type: ignore[unused-coroutine]
        return len(ran)

    async def awaited() -> int:
        await save()
        return len(ran)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wrong = asyncio.run(forgotten())
    shown = "\n".join(f"{entry.category.__name__}: {entry.message}" for entry in caught[:1]) or None
    return Both(wrong, asyncio.run(awaited()), shown)


def unretrieved() -> Tuple[List[str], List[str]]:
    """What asyncio says of a failed task that nobody asks: while the program works, and when the task is collected."""
    said: List[str] = []

    def handler(_: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
        said.append(f"{context['message']}: {context.get('exception')!r}")

    async def fail() -> None:
        raise ValueError("item 1 is bad")

    async def main() -> Tuple[List[str], List[str]]:
        asyncio.get_running_loop().set_exception_handler(handler)
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        before = list(said)
        del task
        gc.collect()
        return before, said

    return asyncio.run(main())
