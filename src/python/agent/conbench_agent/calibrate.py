"""Measurements of the unloaded machine, and the reference that every candidate is held against."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic_ns
from typing import Dict, List

from . import engines, library_threads, steps
from .paced import pacer
from .protocol import Calibrate, Cpu, Failure, Reference
from .task import TEARDOWN_S, VARIANTS, Task, first_failure
from .user.descriptors import opened

#: Inputs that are averaged over: tasks work on several, which need not cost the same.
_INPUTS = 4
#: A batch lasts about so long, beside which the clock's cost and resolution are nothing.
_BATCH_NS = 50_000
#: Items and results of which it is measured what their pickling takes.
_PRICED = 4


def calibrate(request: Calibrate) -> Dict[str, object]:
    """The body of `calibrated`."""
    return {"iteration": {"best_ns": _iteration_ns(request.target.iteration, request.budget_ns)}}


def reference(request: Reference) -> Dict[str, object]:
    """The body of `reference`: checksums of each step, and what the user's functions make of their items.

    The user's functions run on the items of at most `VARIANTS` tasks, and of one at least; after the budget no further
    one is begun.
    """
    before, threads_before = opened(), threading.active_count()
    watch = library_threads.Watch()
    task = steps.build(request.job, steps.Place.agent())
    imported, engines_imported = opened(), engines.imported()
    start_method = engines.start_method_of_imports()
    threads_of_import = threading.active_count() - threads_before
    for step in task.exchanging:
        step.prepare(None)
    prepared = opened()
    task.enter_thread()
    thread_set_up = opened()
    # The far side does not care why it is called.
    pace = pacer(request.job.rate)
    rows = []
    for index in range(VARIANTS):
        if any(step.step["kind"] != "python" for step in request.job.steps):
            pace()
        rows.append(task.reference(index))
    state = None
    if task.exchanging:
        # What is imported meanwhile would count as the tasks' own computing.
        from .user import reference as _  # noqa: F401
        from .user.module_state import ModuleState

        # It is a remark, for which no reference fails.
        with suppress(Exception):
            state = ModuleState(task.functions)
    watch.begin()
    found = task.verify(VARIANTS, request.budget_ns, request.most_calls, pace)
    threads = watch.found() if task.exchanging else None
    module_state: List[Dict[str, object]] = []
    if state is not None:
        with suppress(Exception):
            module_state = state.found()
    first_ns, call_ns = found.first_ns, found.call_ns
    if any(step.step["kind"] == "command" for step in request.job.steps):
        # The reference runs no program, and nothing else tells how long it takes.
        first_ns = call_ns = _task_ns(task)
    body: Dict[str, object] = {
        "tables": [list(table) for table in zip(*rows)],
        "results": found.digests,
        "distinct": task.distinct,
        "stride": task.stride,
        "calls": found.calls,
        "first_call_ns": first_ns,
        "call_ns": call_ns,
        "notes": found.notes,
    }
    if task.exchanging and start_method is not None:
        found.notes.append({"sets_start_method": {"method": start_method}})
    if task.exchanging and (thread_set_up != before or threads_of_import > 0):
        body["opened"] = {
            "at_import": imported.since(before).shared(),
            "by_setup": prepared.since(imported).own(),
            "by_setup_thread": thread_set_up.since(prepared).own(),
            "threads": max(threads_of_import, 0),
        }
    if module_state:
        body["module_state"] = module_state
    if task.exchanging and engines_imported:
        body["imported"] = engines_imported
    if threads is not None:
        body["library_threads"] = threads
    if any(task.items_read):
        body["items"] = task.items_read
    if task.items_are_called:
        body["items_are_called"] = True
    if task.items_names:
        body["items_names"] = task.items_names
    if task.items_are_mappings:
        body["items_are_mappings"] = True
    if task.exchanging and len(task.callables) == len(task.exchanging):
        from .user.pickling import price

        given = [task.given(index) for index in range(min(_PRICED, max(task.distinct, 1)))]
        results = [(None, results) for results in found.results[:_PRICED]]
        body["serialisation"] = price(task.callables, given, results).body()
    begin_ns = monotonic_ns()
    failed = first_failure([task.leave_thread(), task.leave()])
    # How it fails otherwise is told by the candidates.
    if failed is not None and monotonic_ns() - begin_ns >= TEARDOWN_S * 1e9:
        found.notes.append({"endless_teardown": {"message": str(failed)}})
    task.close()
    return body


def _task_ns(task: Task) -> int:
    """What a task takes; 0 for one that fails: how, is told by the candidates."""
    task.prepare(0)
    begin_ns = monotonic_ns()
    with suppress(Failure):
        task.blocking(0, task.given(0))
        return monotonic_ns() - begin_ns
    return 0


def _iteration_ns(cpu: Cpu, budget_ns: int) -> float:
    """The time of one iteration: for each input the best batch, and of these the mean."""
    from .steps.kernels import Input, input_seed

    end_ns = monotonic_ns() + budget_ns
    inputs = [Input(cpu._asdict(), input_seed(0, 1, variant)) for variant in range(_INPUTS)]
    sizes = [1] * _INPUTS
    best = [float("inf")] * _INPUTS
    # Every input runs once, whatever the budget; the first runs also warm caches and allocator.
    while True:
        for number, each in enumerate(inputs):
            start_ns = monotonic_ns()
            each.run(0, sizes[number])
            each_ns = (monotonic_ns() - start_ns) / sizes[number]
            best[number] = min(best[number], each_ns)
            sizes[number] = int(min(max(_BATCH_NS / max(each_ns, 1.0), 1), 1e6))
        if monotonic_ns() >= end_ns:
            return sum(best) / len(best)
