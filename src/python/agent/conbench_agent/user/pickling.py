"""What cannot cross to another process, and why; and what crossing costs.

A process pool hands over functions by name, and items and results by pickling. Where that fails, Python says what
could not be pickled, though not where it was found; here the way to it is said too, and what to do about it.
"""

from __future__ import annotations

import io
import pickle
import time
import types
from typing import List, NamedTuple, Optional, Sequence, Set, Tuple

from ..protocol import Failure
from ..steps.user import NO_BLOCKING_FORM, UserStep
from ..task import Step
from .loading import started_processes, starts_processes
from .structure import Attributes, parts, type_name
from .traceback import describe

#: So many items are tried before any speed is measured.
ITEMS_TRIED = 16

#: What to do about parts that cannot be pickled, by what they are parts of.
FOR_FUNCTIONS = "a process pool hands a function over by name: write it with `def`, at the top level of its module"
FOR_ITEMS = (
    "a process pool hands each item over by pickling: pass an identifier (a path, a URL, a key) instead, or make it "
    "in `setup`"
)
FOR_RESULTS = "a process pool hands each result back by pickling: return plain data, what was read and not its source"

#: So many parts are searched for what cannot be pickled; beyond, the error of the whole has to do.
_MOST_SEARCHED = 100_000


def can_cross(step: Step, start_method: Optional[str] = None) -> Optional[Failure]:
    """Why a step of user code cannot run in other processes (or interpreters); None if it can, as far as can be told.

    Asked in the agent before any worker starts, with the start method, None for interpreters. Results are for workers
    to ask about: `can_return`.
    """
    # Only the user's code has anything to hand over; the other steps are named by the job.
    if not isinstance(step, UserStep):
        return None
    if step.function_name is None:
        message: Optional[str] = NO_BLOCKING_FORM
    elif start_method not in (None, "fork") and started_processes(step.function_name):
        message = starts_processes(step.function_name)
    else:
        message = explain(step.function, f"`function` {step.function_name}", FOR_FUNCTIONS) or _explain_items(step)
    return None if message is None else Failure("setup", message, step.where)


def _explain_items(step: UserStep) -> Optional[str]:
    tries = (explain(step.item(index), f"items[{index}]") for index in range(min(ITEMS_TRIED, step.distinct)))
    return next((message for message in tries if message is not None), None)


def cannot_send(items: Sequence[object], index: int, where: str = "") -> Optional[Failure]:
    """Which of the items of task `index` cannot be handed to a worker, and why; None if all can."""
    return _first_failure(items, f"the item of task {index}", where, FOR_ITEMS)


def can_return(results: Sequence[object], index: int, where: str = "") -> Optional[Failure]:
    """Which of the results of task `index` cannot be handed back by a worker, and why; None if all can."""
    return _first_failure(results, f"the result of task {index}", where, FOR_RESULTS)


def explain(value: object, what: str, advice: str = FOR_ITEMS) -> Optional[str]:
    """Why a value cannot be pickled, or cannot be made again from what was pickled; None if it can.

    Names the innermost part that fails and the way to it from `what`, and gives the `advice` where none fits better.
    """
    failing = _failure_of(value)
    if failing is None:
        return None
    culprit = _Search().innermost(failing) or failing
    return f"{what}{culprit.way}: {_reason(culprit)}; {_advice(culprit, advice)}"


def cost(tasks: Sequence[Sequence[object]]) -> Tuple[float, float]:
    """Bytes and nanoseconds that it costs a task to hand over these values: pickled and made again, best of three.

    For each task, what is given and what is handed back; None costs nothing. What cannot be pickled raises.
    """
    values = [value for task in tasks for value in task if value is not None]
    total_bytes, total_ns = 0, 0
    for value in values:
        best_ns: Optional[int] = None
        for _ in range(3):
            begin_ns = time.perf_counter_ns()
            data = _dumps(value)
            pickle.loads(data)
            took_ns = time.perf_counter_ns() - begin_ns
            best_ns = took_ns if best_ns is None else min(best_ns, took_ns)
        total_bytes, total_ns = total_bytes + len(data), total_ns + (best_ns or 0)
    count = max(len(tasks), 1)
    return total_bytes / count, total_ns / count


class _Culprit(NamedTuple):
    value: object
    #: How Python would write the way to it: "[2].session._lock".
    way: str
    error: Exception
    #: It was pickled, and could not be made again.
    is_pickled: bool


def _first_failure(values: Sequence[object], what: str, where: str, advice: str) -> Optional[Failure]:
    for value in values:
        message = explain(value, what, advice)
        if message is not None:
            return Failure("task", message, where)
    return None


def _dumps(value: object) -> bytes:
    """Pickles as multiprocessing does, which knows some more types than pickle does."""
    from multiprocessing.reduction import ForkingPickler

    # Its own `dumps` gives a view of the buffer's memory, and some versions of Python cannot collect the two together.
    buffer = io.BytesIO()
    ForkingPickler(buffer).dump(value)
    return buffer.getvalue()


def _failure_of(value: object) -> Optional[_Culprit]:
    """What goes wrong when this is pickled and made again, if anything does."""
    whole = value.values if isinstance(value, Attributes) else value
    try:
        data = _dumps(whole)
    except Exception as error:  # whatever the user's own methods raise, beside what pickle does
        return _Culprit(value, "", error, is_pickled=False)
    try:
        pickle.loads(data)
    except Exception as error:
        return _Culprit(value, "", error, is_pickled=True)
    return None


class _Search:
    """For the innermost part that fails by itself, in a value that does."""

    def __init__(self) -> None:
        self._seen: Set[int] = set()
        self._left = _MOST_SEARCHED
        # Parts that are made on the way keep their identities as long as they are held.
        self._held: List[object] = []

    def innermost(self, failing: _Culprit, depth: int = 0) -> Optional[_Culprit]:
        """The innermost part of what fails; None where it fails only for holding a value that was seen before."""
        self._seen.add(id(failing.value))
        self._held.append(failing.value)
        # The stack of this search is not endless either; values that deep fail for their depth.
        if isinstance(failing.error, RecursionError) or depth > 50:
            return failing
        try:
            whole = parts(failing.value)
        except Exception:  # it does not even say what it is made of
            whole = None
        fails_inside = False
        for position, child in enumerate(whole.children if whole else ()):
            self._left -= 1
            inner = _failure_of(child) if self._left >= 0 else None
            if inner is None or whole is None:
                continue
            fails_inside = True
            if id(child) not in self._seen:
                inner = self.innermost(inner._replace(way=failing.way + whole.label(position)), depth + 1)
                if inner is not None:
                    return inner
        return None if fails_inside or isinstance(failing.value, Attributes) else failing


def _reason(culprit: _Culprit) -> str:
    """What is wrong with the innermost part."""
    value, error = culprit.value, culprit.error
    if isinstance(error, RecursionError):
        return "it nests too deeply for pickling, which recurses"
    if culprit.is_pickled:
        return f"an object of type {type_name(type(value))} is pickled but cannot be made again: {describe(error)}"
    if isinstance(value, (type, types.FunctionType)):
        module, name = value.__module__, value.__qualname__
        is_class = isinstance(value, type)
        kind = "class" if is_class else "function"
        if name.endswith("<lambda>"):
            return "a lambda has no name by which another process could find it"
        if "<locals>" in name:
            owner = name.partition(".<locals>")[0]
            return f"the {kind} `{value.__name__}` is defined inside `{owner}`, where another process cannot find it"
        if module == "__main__":
            return f"the {kind} `{name}` belongs to `__main__`, which is another program in a worker process"
        if "not the same object" in str(error):
            return (
                f"it is not the same object as {module}.{name}, the name by which another process would look for it: "
                "a decorator or a later definition took that name"
            )
        return f"another process would look for the {kind} as {module}.{name}, and there is none"
    if isinstance(value, types.ModuleType):
        return f"a module (`{value.__name__}`) cannot be pickled"
    text = " ".join(str(error).split())
    return text if isinstance(error, (pickle.PicklingError, TypeError)) and text else describe(error)


def _advice(culprit: _Culprit, otherwise: str) -> str:
    """What to do about it."""
    value = culprit.value
    if isinstance(value, types.FunctionType) and not culprit.is_pickled:
        return "write a function of its own name with `def`, at the top level of its module"
    if isinstance(value, type) and not culprit.is_pickled:
        return "define it under its own name at the top level of its module"
    if culprit.is_pickled:
        return "give its class a `__reduce__` that says how it is made"
    return otherwise
