"""How functions and items get from the caller's process to the agents that measure them.

A function of a module goes by its name. Everything else is pickled into a private directory, beside a module that makes
it again (`callers_main`): what belongs to `__main__`, lambdas and closures by value, which needs cloudpickle; partial
objects, bound methods and callable objects of modules as pickle does. Items are drawn here and pickled one by one.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
import shutil
import sys
import types
from functools import cache, lru_cache
from time import monotonic
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sized, Tuple, cast

from .errors import BadInput, NeedsCloudpickle

#: So many items are drawn at most, and for so long; where the number of tasks is known, an item for each of them.
MOST_ITEMS = 10_000
DRAWING_S = 0.2
MOST_ITEMS_OF_TASKS = 100_000
DRAWING_OF_TASKS_S = 2.0
#: So many bytes of pickled items are kept at most, and of functions.
MOST_BYTES = 256 << 20

#: The module that agents import in the place of the caller's `__main__`.
_MODULE = "conbench_callers_main"
_MAIN = "__main__"
#: What the main module is called in the caller's own processes, and in those that multiprocessing spawned for it.
_MAINS = (_MAIN, "__mp_main__")
#: How code calls a function that has no name.
_OTHERWISE = {"function": "task", "async_function": "async_task"}


class Drawn(NamedTuple):
    """The items that crossed."""

    #: How the caller calls them: "pages".
    name: str
    number: int
    #: Whether there may be more of them.
    may_have_more: bool
    #: Whether a call of what was given gave them.
    are_called: bool


class Crossing:
    """What crosses for one call of `recommend`."""

    def __init__(self, directory: str, caller: Optional[types.FrameType]) -> None:
        """Into this directory, which is empty and private; names are looked for in the caller's frame."""
        self.directory = directory
        self._caller = caller
        #: What is pickled, by the name under which a step names it.
        self._objects: Dict[str, object] = {}
        #: What belongs to `__main__` and is pickled by its name there.
        self._names: Dict[str, object] = {}
        self._items: Optional[Drawn] = None
        #: What agents must import to make it again.
        self.needs: Optional[str] = None

    def name(self, function: object, field: str) -> str:
        """The name under which agents find a function."""
        if not callable(function):
            raise BadInput(f"`{field}` is of type {type(function).__name__}, which cannot be called: give a function")
        importable = importable_name(function)
        if importable is not None:
            return importable
        if isinstance(function, types.MethodType):
            owner, attribute = function.__self__, function.__name__
            if self._called(owner) is not None and getattr(owner, attribute, None) == function:
                return f"{self._put(owner, field)}.{attribute}"
        return self._put(function, field)

    def _put(self, value: object, field: str) -> str:
        """Takes an object along, once; returns the name under which agents find it."""
        known = [name for name, other in self._objects.items() if other is value]
        name = known[0] if known else self._free(self._called(value) or _OTHERWISE.get(field, field))
        self._objects[name] = value
        return f"{_MAIN}:{name}"

    def draw(self, items: object, tasks: Optional[int]) -> str:
        """Draws and pickles items, and gives the name under which agents find them."""
        given, is_called = _iterable(items)
        name = self._free(self._called(items) or "items")
        most = MOST_ITEMS if tasks is None else max(min(tasks, MOST_ITEMS_OF_TASKS), 1)
        deadline = monotonic() + (DRAWING_S if tasks is None else DRAWING_OF_TASKS_S)
        count, may_have_more, written = 0, False, 0
        with open(os.path.join(self.directory, "items.pickle"), "xb") as file:
            for item in _guarded(given):
                data = self._pickled_item(item, count)
                written += len(data)
                if written > MOST_BYTES:
                    if count == 0:
                        raise BadInput(f"items[0] takes {written:,} bytes: pass what it is read from, such as a path")
                    may_have_more = True
                    break
                file.write(data)
                count += 1
                if count == most or monotonic() > deadline:
                    may_have_more = not isinstance(given, Sized) or len(given) > count
                    break
        if count == 0:
            raise BadInput("`items` is empty: give one item at least, or leave `items` out")
        self._items = Drawn(name, count, may_have_more, is_called)
        return f"{_MAIN}:{name}"

    @property
    def items(self) -> Optional[Drawn]:
        """The items that were drawn."""
        return self._items

    def close(self) -> None:
        """Pickles what has been named, and writes the module that makes it again, if anything needs it."""
        if not self._objects and self._items is None:
            return
        data = self._pickled_objects()
        if len(data) > MOST_BYTES:
            raise BadInput(
                f"{self._all()} takes {len(data):,} bytes with what it holds: load that in `setup`, or in its module"
            )
        with open(os.path.join(self.directory, "objects.pickle"), "xb") as file:
            file.write(data)
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "callers_main.py")
        shutil.copyfile(source, os.path.join(self.directory, _MODULE + ".py"))

    def _pickled_item(self, item: object, number: int) -> bytes:
        try:
            data, of_main = _dumps(item)
        except Exception as error:  # whatever the item's own methods raise, beside what pickle does
            cloudpickle = _cloudpickle()
            if cloudpickle is None:
                raise BadInput(f"items[{number}] cannot be pickled: {_words(error)}; {_PASS}") from None
            self.needs = cloudpickle.__name__
            try:
                return cast(bytes, cloudpickle.dumps(item))
            except Exception as worse:
                raise BadInput(f"items[{number}] cannot be pickled: {_words(worse)}; {_PASS}") from None
        if of_main and _cloudpickle() is None:
            raise NeedsCloudpickle(f"items[{number}] holds `{next(iter(of_main))}`, which {_OF_MAIN}")
        self._names.update(of_main)
        return data

    def _pickled_objects(self) -> bytes:
        items = self._items
        whole = self._objects, self._names, items and items.name, items is not None and items.are_called
        reason: Optional[Exception] = None
        if not self._names:
            try:
                data, of_main = _dumps(whole)
                if not of_main:
                    return data
            except Exception as error:
                reason = error
        cloudpickle = _cloudpickle()
        if cloudpickle is None:
            raise self._needs_cloudpickle(reason) from None
        self.needs = cloudpickle.__name__
        try:
            # Once more with what turns out to belong to `__main__`: in a pool it is pickled by its name there.
            self._names.update(_dumps((self._objects, self._names), cloudpickle)[1])
            return _dumps(whole, cloudpickle)[0]
        except Exception as error:
            raise BadInput(f"{self._all()} cannot be pickled: {_words(error)}; make that in `setup`") from None

    def _needs_cloudpickle(self, reason: Optional[Exception]) -> BadInput:
        for name, value in self._objects.items():
            try:
                _, of_main = _dumps(value)
            except Exception as error:
                if isinstance(value, types.FunctionType):
                    return NeedsCloudpickle(f"`{name}` is a lambda or a closure, which {_NAMELESS}")
                reason = error
                continue
            if of_main:
                own = value if isinstance(value, (type, types.FunctionType)) else None
                what = f"`{name}`" if own is not None else f"`{name}` holds `{next(iter(of_main))}`, which"
                return NeedsCloudpickle(f"{what} {_OF_MAIN}")
        words = "" if reason is None else f": {_words(reason)}"
        return NeedsCloudpickle(f"{self._all()} cannot be pickled without cloudpickle{words}; {_WAYS}")

    def _called(self, value: object) -> Optional[str]:
        """How the caller's code calls this: a function's own name, else that of a variable; None if it has none."""
        scopes: List[Dict[str, object]] = []
        if self._caller is not None:
            scopes = [self._caller.f_locals, self._caller.f_globals]
        names = [value.__name__] if isinstance(value, types.FunctionType) else []
        names += [name for scope in scopes for name, found in list(scope.items()) if found is value]
        return next((name for name in names if name.isidentifier() and not name.startswith("_")), None)

    def _all(self) -> str:
        return " and ".join(f"`{name}`" for name in self._objects) or "what the items are made of"

    def _free(self, name: str) -> str:
        """A name that nothing else has here."""
        taken = {*self._objects, *([] if self._items is None else [self._items.name])}
        numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
        return next(each for each in (name, *numbered) if each not in taken)


def importable_name(value: object) -> Optional[str]:
    """The name by which any process finds this function: "shop.scrape:parse"; None if there is none."""
    module, path = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(path, str) or module in _MAINS:
        return None
    if not all(part.isidentifier() for part in [*module.split("."), *path.split(".")]):
        return None
    found: object = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    # A method of a class is made anew whenever it is asked for.
    is_it = found is value or (isinstance(value, types.MethodType) and found == value)
    return f"{module}:{path}" if is_it else None


def search_path(directory: str) -> Tuple[str, str]:
    """The folder in which agents look for modules first, and PYTHONPATH, so that they find what this process does."""
    folders = [os.path.abspath(folder) for folder in sys.path if isinstance(folder, str)]
    first = folders[0] if folders else os.getcwd()
    # A folder with a colon in its name cannot be said there.
    further = [folder for folder in dict.fromkeys([*folders, directory]) if os.pathsep not in folder]
    return first, os.pathsep.join(further)


#: What `lru_cache` and `cache` make of a function.
_CACHING: Any = type(lru_cache(maxsize=None)(abs))

_PASS = "pass an identifier (a path, a URL, a key) instead, or make it in `setup`"
#: What to do about it.
_WAYS = "`pip install cloudpickle`, or put it into a module and import it from there"
_OF_MAIN = f"belongs to `__main__`, which no other process can import: {_WAYS}"
_NAMELESS = f"has no name by which another process could import it: {_WAYS}"


def _cloudpickle() -> Any:
    """The package, or None."""
    try:
        return importlib.import_module("cloudpickle")
    except ImportError:
        return None


def _dumps(value: object, by_value: Any = None) -> Tuple[bytes, Dict[str, object]]:
    """The pickle of a value, and what of it belongs to `__main__`. With cloudpickle, that is pickled by value."""
    buffer = io.BytesIO()
    pickler = _noting(by_value)(buffer, pickle.HIGHEST_PROTOCOL)
    of_main: Dict[str, object] = {}
    pickler.of_main = of_main
    pickler.dump(value)
    return buffer.getvalue(), of_main


@cache
def _noting(by_value: Any) -> Any:
    """A pickler that notes what belongs to `__main__`: pickle's own, or that of cloudpickle."""
    base: Any = pickle.Pickler if by_value is None else by_value.Pickler

    class Noting(base):  # type: ignore[misc]
        of_main: Dict[str, object]

        def reducer_override(self, part: object) -> object:
            path = getattr(part, "__qualname__", None)
            if isinstance(path, str) and getattr(part, "__module__", None) in _MAINS:
                root = path.partition(".")[0]
                found = vars(sys.modules[_MAIN]).get(root)
                if found is not None:
                    self.of_main[root] = found
                if by_value is not None and isinstance(part, _CACHING):
                    # It is pickled by its name alone, whoever pickles it.
                    return lru_cache(**part.cache_parameters()), (part.__wrapped__,)
            return NotImplemented if by_value is None else super().reducer_override(part)

    return Noting


def _iterable(items: object) -> Tuple[Iterable[object], bool]:
    """What gives the items, and whether a call of what the caller gave did."""
    is_called = False
    if isinstance(items, (str, bytes)):
        raise BadInput(f"`items` is of type {type(items).__name__}, one item for each letter: give a list")
    if not hasattr(items, "__iter__") and not hasattr(items, "__getitem__") and callable(items):
        try:
            items, is_called = items(), True
        except Exception as error:
            raise BadInput(f"`items` raised {_words(error)}") from error
    try:
        iter(items)  # type: ignore[call-overload]
    except TypeError:
        message = f"`items` is of type {type(items).__name__}: give an iterable, or a function that returns one"
        raise BadInput(message) from None
    return cast(Iterable[object], items), is_called


def _guarded(items: Iterable[object]) -> Iterator[object]:
    """The items; what they raise when they are drawn is told with the item's number."""
    number = 0
    iterator = iter(items)
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise BadInput(f"`items` raised at item {number}: {_words(error)}") from error
        yield item
        number += 1


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
