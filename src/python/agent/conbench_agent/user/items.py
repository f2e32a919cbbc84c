"""The items of a step, read as they are needed: an iterable may be slow, or have no end.

All agents of a session must use the same items. So the first that runs a step's function reads some, and tells how
many; the others are told that number, and read no further.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from time import monotonic
from typing import Callable, Iterable, Iterator, List, NamedTuple, NoReturn, Optional

#: Items of a list beyond these are left out, and those of a batch.
MOST_LISTED = 100_000
#: Of any other iterable as many are read, and for so long; of a batch, as many as it has tasks.
MOST_READ = 10_000
READ_S = 0.2
#: How long the items of a batch may take to be read.
BATCH_READ_S = 2.0
#: An item that does not come for so long beyond that is waited for no more.
STALLED_S = 1.0


#: So few are used in their own order: every block has all of them.
_FEW = 16
_GOLDEN_SECTION = 0.618_033_988_749_894_9


def stride(count: int) -> int:
    """How far it is from a task's item to the next task's, of so many.

    Lists are often sorted, and in their own order a short block would have the first ones alone. Multiples of the
    golden section spread evenly over all (D. Knuth, The Art of Computer Programming, volume 3, section 6.4). It shares
    no factor with the count, so each item has its turn.
    """
    if count <= _FEW:
        return 1
    found = round(count * _GOLDEN_SECTION)
    while math.gcd(found, count) > 1:
        found += 1
    return found


class Reading(NamedTuple):
    """How far an iterable is read."""

    #: So far, which another agent found out.
    known: Optional[int] = None
    #: The tasks of a batch, where there is one.
    tasks: Optional[int] = None


#: Raises the failure that an error is which came up at the item of this number.
Fail = Callable[[BaseException, int], NoReturn]


class _Stalled(BaseException):
    """The next item does not come."""


class Items:
    """Task i uses item i * stride % count; of a batch, whose items keep their order, item i % count."""

    def __init__(self, source: Iterable[object], reading: Reading, fail: Fail) -> None:
        """Reads one item at least, if there is any; and as far as is found out here, unless that is known."""
        self._fail = fail
        self._is_batch = reading.tasks is not None
        #: The names of the function's module that the expression uses which gave them.
        self.names: List[str] = []
        self._lock = threading.Lock()
        self._rest: Iterator[object] = iter(())
        #: Those that were read.
        self.read: List[object] = []
        #: How far it is read; None for a list, which every agent finds alike.
        self.told: Optional[int] = None
        #: Whether a call of what `items` names gave them.
        self.are_called = False
        #: Whether the iterable may have more, so that what was read is used again too soon.
        self.may_have_more = False
        if isinstance(source, (list, tuple)):
            self.read.extend(source[:MOST_LISTED])
            self.count, self.may_have_more = len(self.read), len(source) > MOST_LISTED
            return
        self._rest = self._guarded(source)
        if reading.known is not None:
            self.count = max(reading.known, 1)
            self._read_to(1)
        else:
            most = MOST_READ if reading.tasks is None else min(reading.tasks, MOST_LISTED)
            self.count = most
            self._read_for(READ_S if reading.tasks is None else BATCH_READ_S, most)
            # A batch that has an item for each of its tasks wants no more.
            is_enough = reading.tasks is not None and len(self.read) >= reading.tasks
            self.may_have_more = self.count == most and not is_enough
            self.count = len(self.read)
        self.told = self.count

    @property
    def stride(self) -> int:
        """How far it is from a task's item to the next task's."""
        return 1 if self._is_batch else stride(self.count)

    def __getitem__(self, index: int) -> object:
        """The item of task `index`, read if it was not yet."""
        with self._lock:
            while True:
                place = index * self.stride % self.count
                if place < len(self.read):
                    return self.read[place]
                self._read_to(place + 1)

    def read_all(self) -> None:
        """Reads all that tasks will use."""
        with self._lock:
            self._read_to(self.count)

    def _read_for(self, patience_s: float, most: int) -> None:
        """Reads as many as come in time. The first is waited for; where a later one does not come, it is left."""
        deadline = monotonic() + patience_s
        self._read_to(min(most, 1))
        left_s = deadline - monotonic()
        if left_s > 0:
            from ..bounded import at_most

            with suppress(_Stalled), at_most(left_s + STALLED_S, _Stalled()):
                self._read_to(most, left_s)

    def _read_to(self, count: int, patience_s: Optional[float] = None) -> None:
        """Reads until so many are there, or there are no more: then `count` is what there is."""
        deadline = None if patience_s is None else monotonic() + patience_s
        read = self.read
        while len(read) < count:
            try:
                read.append(next(self._rest))
            except StopIteration:
                self.count = len(read)
                return
            if deadline is not None and monotonic() > deadline:
                return

    def _guarded(self, source: Iterable[object]) -> Iterator[object]:
        try:
            yield from source
        except (GeneratorExit, _Stalled):
            raise
        except BaseException as error:
            self._fail(error, len(self.read))
