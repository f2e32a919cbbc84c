"""What cannot cross to another process, and why; and what crossing costs.

A process pool hands over functions by name, and every other callable, items, results and errors by pickling. Where that
fails, Python says what could not be pickled, though not where it was found; here the way to it is said too, and what to
do about it.
"""

from __future__ import annotations

import io
import pickle
import re
import time
import types
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set

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
FOR_CALLABLES = (
    "a process pool pickles what it calls, with all that this holds: name a function written with `def`, and make what "
    "it needs in `setup`"
)
FOR_ITEMS = (
    "a process pool hands each item over by pickling: pass an identifier (a path, a URL, a key) instead, or make it "
    "in `setup`"
)
FOR_RESULTS = "a process pool hands each result back by pickling: return plain data, what was read and not its source"

#: So many parts are searched for what cannot be pickled; beyond, the error of the whole has to do.
_MOST_SEARCHED = 100_000
#: What takes longer than this to pickle is timed once,
_LONG_NS = 20_000_000
#: and twice where it makes no more bytes than this: the first time may have been interrupted.
_FEW_BYTES = 1 << 20


def can_cross(step: Step, start_method: Optional[str] = None, pickles_given: bool = True) -> Optional[Failure]:
    """Why a step of user code cannot run in other processes (or interpreters); None if it can, as far as can be told.

    Asked in the agent before any worker starts, with the start method, None for interpreters. Without `pickles_given`
    a worker inherits its task. Results are for workers to ask about: `can_return`.
    """
    # Only the user's code has anything to hand over; the other steps are named by the job.
    if not isinstance(step, UserStep):
        return None
    if step.function_name is None:
        message: Optional[str] = NO_BLOCKING_FORM
    elif start_method not in (None, "fork") and started_processes(step.function_name):
        message = starts_processes(step.function_name)
    elif not pickles_given:
        message = None
    else:
        advice = FOR_CALLABLES if step.carries else FOR_FUNCTIONS
        message = explain(step.function, f"`function` {step.function_name}", advice) or _explain_items(step)
    return None if message is None else Failure("setup", message, step.where)


def _explain_items(step: UserStep) -> Optional[str]:
    tries = (
        explain(step.item(index), f"items[{step.place(index)}]") for index in range(min(ITEMS_TRIED, step.distinct))
    )
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


def refused(error: BaseException) -> Optional[Dict[str, object]]:
    """The note about an error that a worker of a pool cannot hand back as it is; None if it can.

    One that is not pickled reaches the caller as another error. One that is pickled and cannot be made again ends a
    ProcessPoolExecutor, which calls itself broken, and leaves a multiprocessing.Pool waiting for ever.
    """
    breaks_pool = False
    try:
        data = _dumps(error)
        breaks_pool = True
        pickle.loads(data)
    except Exception as reason:
        told = {"type": type_name(type(error)), "reason": _own_words(reason), "breaks_pool": breaks_pool}
        return {"error_cannot_cross": told}
    return None


class Pickled(NamedTuple):
    """What it takes to pickle something and to make it again: bytes, and nanoseconds at both ends."""

    bytes: float
    ns: float


class Price(NamedTuple):
    """What it takes to hand over what a task is made of, each by itself; None is what cannot be, or need not."""

    callable: Optional[Pickled]
    item: Optional[Pickled]
    result: Optional[Pickled]

    def body(self, tasks_per_callable: int = 1) -> Dict[str, object]:
        """As `serialisation` in frames, where so many tasks share one pickled callable."""
        callables = max(tasks_per_callable, 1)
        parts = [(self.callable, callables), (self.item, 1), (self.result, 1)]
        body: Dict[str, object] = {
            "bytes_per_task": sum(part.bytes / tasks for part, tasks in parts if part),
            "ns_per_task": sum(part.ns / tasks for part, tasks in parts if part),
            "tasks_per_callable": callables,
        }
        body.update({name: part._asdict() for name, part in self._asdict().items() if part})
        return body


def price(callables: Sequence[Callable[..., object]], given: Sequence[object], results: Sequence[object]) -> Price:
    """What it takes to hand over these callables, and of so many tasks what they are given and what they hand back."""
    return Price(_pickled(callables, 1), _pickled(given, len(given)), _pickled(results, len(results)))


def _pickled(values: Sequence[object], count: int) -> Optional[Pickled]:
    """The sum over these values, by the `count` of those who share it. None itself costs nothing."""
    worth = [value for value in values if value is not None]
    if not worth:
        return None
    try:
        each = [_best_of_three(value) for value in worth]
    except Exception:  # whatever the user's own methods raise: who needs it hears of it elsewhere
        return None
    return Pickled(sum(one.bytes for one in each) / count, sum(one.ns for one in each) / count)


def _best_of_three(value: object) -> Pickled:
    """Pickled and made again: three times, or fewer where that takes long."""
    best_ns = 0
    for number in range(3):
        begin_ns = time.perf_counter_ns()
        data = _dumps(value)
        pickle.loads(data)
        took_ns = time.perf_counter_ns() - begin_ns
        best_ns = took_ns if number == 0 else min(best_ns, took_ns)
        if took_ns > _LONG_NS and (number > 0 or len(data) > _FEW_BYTES):
            break
    return Pickled(len(data), best_ns)


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
            return f"a lambda has no name by which another process could find it ({_own_words(error)})"
        if "<locals>" in name:
            owner = name.partition(".<locals>")[0]
            where = f"the {kind} `{value.__name__}` is defined inside `{owner}`, where another process cannot find it"
            return where if is_class else f"{where} ({_own_words(error)})"
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


def _own_words(error: BaseException) -> str:
    """What Python says, but for addresses, which differ from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", describe(error))


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
