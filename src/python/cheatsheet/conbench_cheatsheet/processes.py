"""The section `multiprocessing`: processes and pools of them."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

from . import starting
from .children import FORK, tether
from .registry import item
from .timing import SWITCHING_BUDGET_NS, Meter
from .work import nothing

#: The workers of a pool that is there already.
_WORKERS = 2
#: How many items a pool is given at once.
_ITEMS = 400


@item("process-fork")
def process_fork(_: Meter) -> float:
    """A copy of a process that has imported little else."""
    return starting.in_a_lean_process("process-fork")


@item("process-forkserver")
def process_forkserver(_: Meter) -> float:
    """A copy of a process that is kept for it: the first one, which starts that, is not counted."""
    return starting.in_a_lean_process("process-forkserver")


@item("process-spawn")
def process_spawn(_: Meter) -> float:
    """A new interpreter."""
    return starting.in_a_lean_process("process-spawn")


@item("pool-start-4")
def pool_start(_: Meter) -> float:
    """A pool from its start to its end, with a task for each worker."""
    return starting.in_a_lean_process("pool-start-4")


@item("pool-map-chunk-1")
def pool_map_chunk_1(meter: Meter) -> float:
    """Each item by itself."""
    return _map(meter, 1)


@item("pool-map-chunk-10")
def pool_map_chunk_10(meter: Meter) -> float:
    """Ten items a message."""
    return _map(meter, 10)


@item("pool-map-chunk-100")
def pool_map_chunk_100(meter: Meter) -> float:
    """A hundred items a message."""
    return _map(meter, 100)


def _map(meter: Meter, chunk: int) -> float:
    with FORK.Pool(_WORKERS) as pool:

        def loop(calls: int) -> None:
            for _ in range(calls):
                pool.map(nothing, range(_ITEMS), chunksize=chunk)

        return meter.per_call(loop, parts=_ITEMS)


@item("process-pool-submit-result")
def process_pool_submit_result(meter: Meter) -> float:
    """A task to a pool that waits for it, and its result back."""
    with ProcessPoolExecutor(_WORKERS, mp_context=FORK, initializer=tether) as pool:

        def loop(calls: int) -> None:
            for _ in range(calls):
                pool.submit(nothing).result()

        return meter.per_call(loop, budget_ns=SWITCHING_BUDGET_NS)
