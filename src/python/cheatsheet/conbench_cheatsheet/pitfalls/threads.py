"""Pitfalls of threads and their pools."""

from __future__ import annotations

import io
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import redirect_stderr
from threading import Barrier, Lock
from typing import Dict, List

from .. import host
from ..children import FORK
from ..registry import Both, Unavailable, pitfall
from ..timing import median, ms
from ..work import compute, fail
from . import event_loop

_WORKERS = 2
#: Turns of a loop: some 60 ms, beside which the start of workers is little.
_TURNS = 900_000


@pitfall("threads-for-computation")
def threads_for_computation() -> Both:
    """Two computations in two threads take as long as one after the other."""
    if not host.has_gil():
        raise Unavailable("this interpreter runs without the GIL: threads compute at the same time")
    if host.cores() < _WORKERS:
        raise Unavailable("this process may use one core only: two computations take twice as long in any case")
    work = [_TURNS] * _WORKERS
    alone_ms, wrong_ms, mended_ms = [], [], []
    # The processes first: a process with threads should not fork.
    with FORK.Pool(_WORKERS) as processes, ThreadPoolExecutor(_WORKERS) as threads:
        processes.map(compute, [1] * _WORKERS, chunksize=1)
        # In turns, so that a busy moment of the machine meets all three alike.
        for _ in range(3):
            alone_ms.append(ms(lambda: [compute(turns) for turns in work]))
            wrong_ms.append(ms(lambda: list(threads.map(compute, work))))
            mended_ms.append(ms(lambda: processes.map(compute, work, chunksize=1)))
    shown = f"one after the other, without threads: {median(alone_ms):.1f} ms"
    return Both(median(wrong_ms), median(mended_ms), shown)


def loads(locked: bool) -> int:
    """How often eight threads load what one cache entry needs."""
    threads = 8
    cache: Dict[str, str] = {}
    loaded: List[str] = []
    lock = Lock()
    together = Barrier(threads)

    def load() -> str:
        loaded.append("from the server")
        time.sleep(0.03)
        return loaded[-1]

    def look() -> str:
        if "key" not in cache:
            cache["key"] = load()
        return cache["key"]

    def run(_: int) -> str:
        together.wait()
        if locked:
            with lock:
                return look()
        return look()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))
    return len(loaded)


@pitfall("check-then-act")
def check_then_act() -> Both:
    """Between the check and the act other threads check too."""
    return Both(loads(locked=False), loads(locked=True))


def finished(own_pool: bool) -> int:
    """How many of two tasks end that each wait for a task of theirs: in the same pool, or in one of its own."""
    patience_s = 10.0 if own_pool else 0.2
    together = Barrier(_WORKERS)
    inner: List[Future[int]] = []
    with ThreadPoolExecutor(_WORKERS) as outer_pool, ThreadPoolExecutor(_WORKERS) as other_pool:
        inner_pool = other_pool if own_pool else outer_pool

        def outer() -> int:
            # Both are at work when they ask for more.
            together.wait()
            future = inner_pool.submit(int)
            inner.append(future)
            return future.result()

        futures = [outer_pool.submit(outer) for _ in range(_WORKERS)]
        done, stuck = wait(futures, patience_s)
        # They would wait for ever.
        for future in inner:
            future.cancel()
        assert all(isinstance(future.exception(), CancelledError) for future in stuck)
        return len(done)


@pitfall("nested-submit")
def nested_submit() -> Both:
    """All workers wait for tasks that no worker is left for."""
    wrong = finished(own_pool=False)
    shown = f"after 0.2 s {_WORKERS - wrong} of {_WORKERS} tasks still waited, until what they waited for was cancelled"
    return Both(wrong, finished(own_pool=True), shown)


def errors_seen(ask: bool) -> int:
    """How many errors of three failing tasks come to light."""
    output = io.StringIO()
    seen = 0
    with redirect_stderr(output), ThreadPoolExecutor(_WORKERS) as pool:
        futures = [pool.submit(fail, number) for number in range(3)]
        wait(futures)
        if ask:
            for future in futures:
                try:
                    future.result()
                except ValueError:
                    seen += 1
    return seen + output.getvalue().count("ValueError")


@pitfall("lost-exception")
def lost_exception() -> Both:
    """A future keeps its exception until somebody asks."""
    _, said = event_loop.unretrieved()
    shown = f"asyncio speaks up when the task is collected: {said[0]}" if said else None
    return Both(errors_seen(ask=False), errors_seen(ask=True), shown)
