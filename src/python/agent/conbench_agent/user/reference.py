"""What one careful look at the user's function tells: its results, and what it does beside giving them.

A function that changes its item gives threads and processes different work, since processes get copies. One that is
much faster the second time keeps what it found, which processes do not share. One that disagrees with itself cannot
be checked by its results.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..protocol import Failure
from ..task import Verified
from .values import Incomparable, digest

#: Calls shorter than this say nothing of caches: their times are those of the interpreter.
LEAST_TELLING_NS = 100_000
#: Fewer items called twice than this say nothing of caches: one hiccup would be half of them.
LEAST_PAIRS = 3
#: A second call is much faster when it takes no more than this part of the first, for every item: a busy machine may
#: halve the speed of a whole pass.
MUCH_FASTER = 3
#: Tasks are uneven where one takes so many times as long as most, and so long at least.
UNEVEN = 20
LONG_NS = 250_000_000
#: A first call that takes no longer than so many budgets is followed by a second one.
LONG_CALL = 5
#: What is told of a call that failed after another one on the same item.
REPEATED = (
    "; the first call on this item worked: a measurement calls every item again and again, so a task that cannot be"
    " repeated must undo what it did, or take something of its own (a new key, a temporary table) in each call"
)
#: Results that are kept, for whoever asks what it takes to hand them back.
RESULTS_KEPT = 4


class _Call(NamedTuple):
    digest: Optional[int]
    took_ns: int
    incomparable: Optional[Incomparable] = None
    mutates: bool = False
    failed: bool = False


def observe(
    call: Callable[[object], object],
    items: Sequence[object],
    budget_ns: int,
    judge: Optional[Callable[[int, object, object], None]],
    compares: bool,
    most_calls: Optional[int] = None,
    tolerates_errors: bool = False,
    pace: Optional[Callable[[], None]] = None,
    begins: Optional[Callable[[int], None]] = None,
) -> Verified:
    """Calls a function on each item, and on each once more; at least once, and no more once the budget is spent.

    The first pass has half of the budget, and as many of the `most_calls` as it needs. An item whose first call takes
    up all of it is called once more, unless that would take very long. `judge` sees each result of it.
    Digests are 0 for what is not, or cannot be, compared, and for a call that failed where that is tolerated; of each
    kind of note the first is told. `pace` is called before each call, and returns when it may be made; `begins` is told
    then which of the items it is.
    """
    wait, begin = pace or _no_wait, begins or _no_word
    most = math.inf if most_calls is None else most_calls
    begin_ns = time.monotonic_ns()
    first: List[_Call] = []
    results: List[object] = []
    for index, item in enumerate(items):
        if first and (len(first) >= most or time.monotonic_ns() - begin_ns >= budget_ns // 2):
            break
        before = _digest_of_item(item)
        wait()
        begin(index)
        try:
            result, took_ns = _timed(call, item)
        except Failure as failure:
            if not tolerates_errors or failure.kind != "task":
                raise
            first.append(_Call(None, 0, failed=True))
            continue
        after = None if before is None else _digest_of_item(item)
        if judge is not None:
            judge(index, item, result)
        first.append(_call(result, took_ns, compares)._replace(mutates=before != after))
        if len(results) < RESULTS_KEPT:
            results.append(result)
    calls = len(first)
    second: List[Optional[_Call]] = []
    for index, (item, earlier) in enumerate(zip(items, first)):
        spent_ns = time.monotonic_ns() - begin_ns
        # Whether a long first call is what a task takes, or what loads something for all, only a second one tells.
        is_over = spent_ns >= budget_ns and (calls > 1 or spent_ns > LONG_CALL * budget_ns)
        if calls >= most or is_over:
            break
        # An item that was changed is another item now.
        if earlier.mutates or earlier.failed:
            second.append(None)
            continue
        calls += 1
        wait()
        begin(index)
        try:
            second.append(_call(*_timed(call, item), compares))
        except Failure as failure:
            if not tolerates_errors or failure.kind != "task":
                if failure.kind == "task":
                    failure.message += REPEATED
                raise
            second.append(None)
    times = [call.took_ns for call in (*first, *second) if call is not None and not call.failed]
    digests = [each.digest or 0 for each in first]
    first_ns = times[0] if times and not first[0].failed else 0
    return Verified(digests, _notes(first, second), calls, results, first_ns, min(times, default=0))


def _no_wait() -> None:
    pass


def _no_word(_index: int) -> None:
    pass


def _timed(call: Callable[[object], object], item: object) -> Tuple[object, int]:
    begin_ns = time.perf_counter_ns()
    result = call(item)
    return result, time.perf_counter_ns() - begin_ns


def _call(result: object, took_ns: int, compares: bool) -> _Call:
    if not compares:
        return _Call(None, took_ns)
    try:
        return _Call(digest(result), took_ns)
    except Incomparable as incomparable:
        return _Call(None, took_ns, incomparable)


def _digest_of_item(item: object) -> Optional[int]:
    try:
        return digest(item, "item")
    except Incomparable:
        # Whether it changed cannot be told then.
        return None


def _notes(first: Sequence[_Call], second: Sequence[Optional[_Call]]) -> List[Dict[str, object]]:
    notes: List[Dict[str, object]] = []
    for item, call in enumerate(first):
        if call.mutates:
            notes.append({"mutates": {"item": item}})
            break
    for item, call in enumerate(first):
        if call.incomparable is not None:
            kind, reason = call.incomparable.type_name, call.incomparable.reason
            notes.append({"incomparable": {"item": item, "type": kind, "reason": reason}})
            break
    pairs = [(item, one, two) for item, (one, two) in enumerate(zip(first, second)) if two is not None]
    for item, one, two in pairs:
        if one.digest != two.digest:
            notes.append({"unstable": {"item": item}})
            break
    # The first one may have loaded something.
    took = sorted(call.took_ns for call in first[1:] if not call.failed)
    if len(took) >= LEAST_PAIRS and took[-1] >= max(UNEVEN * took[len(took) // 2], LONG_NS):
        uneven = {"calls": len(took), "median_ns": took[len(took) // 2], "longest_ns": took[-1]}
        notes.append({"uneven": uneven})
    # The first call of all pays for what is loaded and opened once, in every engine alike.
    later = [(one.took_ns, two.took_ns) for item, one, two in pairs if item > 0]
    if len(later) >= LEAST_PAIRS:
        first_ns, second_ns = (int(statistics.median(times)) for times in zip(*later))
        is_faster = all(two * MUCH_FASTER <= one for one, two in later)
        if first_ns >= LEAST_TELLING_NS and is_faster:
            notes.append({"second_pass_faster": {"first_ns": first_ns, "second_ns": second_ns}})
    return notes
