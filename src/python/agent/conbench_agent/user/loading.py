"""Names into objects: "shop.scrape:fetch_and_parse" is what `shop.scrape` calls so.

Whatever is wrong with a name, or with what it names, becomes a Failure that says what to do. Nothing here needs
`inspect`, whose import would be measured as the start-up of the user's function.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import types
from types import ModuleType
from typing import Callable, Iterable, Iterator, List, NoReturn, Optional, Set, cast

from ..protocol import Failure
from .caller import CALLERS_MAIN, has_crossed
from .items import Items, Reading
from .traceback import describe, frames
from .watch import ProcessWatch

# Flags of code objects (`inspect.CO_*`): what a call gives instead of running the body.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200

_starters: Set[str] = set()


class Loader:
    """Loads what the fields of one step name."""

    def __init__(self, path: str, where: str, beside: str = " (the step's `path`)") -> None:
        """For modules in the folder `path`, beside all that Python finds by itself; `where` is the step.

        `beside` says, after the folder, who named it.
        """
        self._path = os.path.abspath(path)
        self._where = where
        self._beside = beside
        put_first(self._path)

    def load(self, name: str, field: str) -> object:
        """What `name` ("package.module:attribute.path") names; `field` is the field of the step that says so."""
        module_name, colon, attributes = name.partition(":")
        if not colon or not all(part.isidentifier() for part in [*module_name.split("."), *attributes.split(".")]):
            self._fail_name(f"`{field}` is {name!r}, which names nothing: write it as `package.module:function`")
        if module_name == "__main__" and not has_crossed():
            self._fail_name(
                f"`{field}` is {name!r}, which is conbench's agent here: name your file's module, without `.py`"
            )
        found: object = self._import(module_name, field)
        reached = module_name
        for attribute in attributes.split("."):
            try:
                found = getattr(found, attribute)
            except Exception as error:
                self._fail_attribute(found, reached, attribute, field, error)
            reached += ("." if ":" in reached else ":") + attribute
        return found

    def function(self, name: str, field: str) -> Callable[..., object]:
        """The function that `name` names, which runs when it is called."""
        found = self._callable(name, field)
        flags = _code_flags(found)
        if is_coroutine_function(found):
            has_async_form = field in ("function", "setup", "teardown")
            hint = f"name it in `async_{field}`" if has_async_form else "write it as `def`"
            self._fail(f"`{field}` {name} is async, so that a call runs nothing of it: {hint}")
        if flags & _ASYNC_GENERATOR:
            self._fail(f"`{field}` {name} is an async generator, so that a call runs nothing of it: gather and return")
        if flags & _GENERATOR and field != "items":
            self._fail(
                f"`{field}` {name} is a generator function, so that a call runs nothing of it: return a list, or name "
                "a function that goes through it"
            )
        return found

    def async_function(self, name: str, field: str) -> Callable[..., object]:
        """The coroutine function that `name` names."""
        found = self._callable(name, field)
        if _code_flags(found) & _ASYNC_GENERATOR:
            self._fail(f"`{field}` {name} is an async generator, which cannot be awaited: gather and return")
        # What a decorator made of an async function mostly gives a coroutine too.
        if not is_coroutine_function(found) and not is_coroutine_function(_undecorated(found)):
            blocking = field.replace("async_", "")
            self._fail(f"`{field}` {name} is not a coroutine function: write `async def`, or name it in `{blocking}`")
        return found

    def items(self, name: str, reading: Reading) -> Items:
        """The items of the iterable that `name` names, or of the one that it gives when it is called."""
        return self._items(self.load(name, "items"), name, reading)

    def evaluated(self, expression: str, beside: str, reading: Reading) -> Items:
        """The items that an expression gives in the module of the function `beside`."""
        module = self._import(beside.partition(":")[0], "items")
        names: List[str] = []
        try:
            code = compile(expression, "<items>", "eval")
            used = {name for each in codes_in(code) for name in each.co_names if not name.startswith("__")}
            names = sorted(used & set(vars(module)))
            found = eval(code, dict(vars(module)))
        except BaseException as error:
            self._fail_raised(f"`items` {expression} raised {describe(error)}", error)
        items = self._items(found, expression, reading)
        items.names = names
        return items

    def _items(self, found: object, name: str, reading: Reading) -> Items:
        if isinstance(found, (str, bytes)):
            self._fail(f"`items` {name} is of type {type(found).__name__}, one item for each letter: name a list")
        try:
            if _is_iterable(found):
                return self._read(found, f"`items` {name}", reading)
            if not callable(found):
                self._fail(f"`items` {name} is of type {type(found).__name__}: name an iterable, or what gives one")
            given = found() if ":" not in name else self.function(name, "items")()
        except Failure:
            raise
        except BaseException as error:
            self._fail_raised(f"`items` {name} raised {describe(error)}", error)
        if not _is_iterable(given) or isinstance(given, (str, bytes)):
            self._fail(f"`items` {name} gave a value of type {type(given).__name__}: let it give an iterable")
        items = self._read(given, f"`items` {name}", reading)
        items.are_called = True
        return items

    def listed(self, items: List[object]) -> Items:
        """The items that a step lists itself."""
        return self._read(items, "`items`", Reading())

    def _read(self, given: object, what: str, reading: Reading) -> Items:
        def fail(error: BaseException, number: int) -> NoReturn:
            self._fail_raised(f"{what} raised at item {number}: {describe(error)}", error)

        items = Items(cast(Iterable[object], given), reading, fail)
        if not items.read:
            self._fail(f"{what} is empty: give one item at least, or leave `items` out")
        return items

    def _callable(self, name: str, field: str) -> Callable[..., object]:
        found = self.load(name, field)
        if not callable(found):
            self._fail(f"`{field}` {name} is of type {type(found).__name__}, which cannot be called: name a function")
        return cast(Callable[..., object], found)

    def _import(self, name: str, field: str) -> ModuleType:
        with ProcessWatch() as watch:
            try:
                # What crossed from a caller's program has a module of its own: `__main__` is the agent's.
                module = importlib.import_module(CALLERS_MAIN if name == "__main__" else name)
            except BaseException as error:
                if not watch.refused:
                    self._fail_import(name, field, error)
        if watch.refused:
            self._fail_starts(name)
        if watch.starts:
            _starters.add(name)
        return module

    def _fail_import(self, name: str, field: str, error: BaseException) -> NoReturn:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (name + ".").startswith(missing + "."):
            self._fail_missing(name, missing, field)
        if missing is not None:
            top = missing.partition(".")[0]
            self._fail_raised(
                f"{name} imports `{missing}`, which {sys.executable} does not have: install `{top}` for it, set `path` "
                "to where it is, or choose another interpreter",
                error,
            )
        if isinstance(error, SystemExit):
            self._fail_raised(
                f"{name} ends the program when it is imported ({describe(error)}): put what runs the program under "
                '`if __name__ == "__main__":`',
                error,
            )
        if _is_unguarded(error):
            self._fail_starts(name, error)
        if isinstance(error, RuntimeError) and str(error) == "context has already been set":
            self._fail_raised(
                f"{name} calls `set_start_method` where one is set already ({describe(error)}), as one is in each "
                "worker that `spawn` or `forkserver` begins: give it `force=True`, or call it under "
                '`if __name__ == "__main__":`',
                error,
            )
        if isinstance(error, ImportError) and "no known parent package" in str(error):
            self._fail_raised(
                f"{name} is a part of a package, which its file alone does not say ({describe(error)}): name it by its "
                "module, `package.module:function`, from the folder that holds the package",
                error,
            )
        self._fail_raised(f"{name} raised on import: {describe(error)}", error)

    def _fail_missing(self, name: str, missing: str, field: str) -> NoReturn:
        parent, _, last = missing.rpartition(".")
        if parent:
            package = sys.modules.get(parent)
            folders = list(getattr(package, "__path__", []))
            if not folders:
                self._fail_name(
                    f"`{field}` names the module {name}, but {parent} is a module and no package: mend the name"
                )
            inside = f"the package {parent} has no module `{last}`"
        else:
            folders = [self._path]
            inside = f"there is no module `{last}` in {self._path}{self._beside} or anywhere else on sys.path"
        nearest = _nearest(last, _modules_in(folders))
        elsewhere = "set `path` to the folder that holds it" if self._beside else "name its file"
        hint = f"did you mean `{nearest}`" if nearest else elsewhere
        self._fail_name(f"`{field}` names the module {name}, but {inside}: {hint}")

    def _fail_attribute(self, owner: object, reached: str, attribute: str, field: str, error: Exception) -> NoReturn:
        if not isinstance(error, AttributeError):
            self._fail_raised(f"`{field}` names `{attribute}` of {reached}, which raised {describe(error)}", error)
        public = [each for each in dir(owner) if not each.startswith("__")]
        nearest = _nearest(attribute, public)
        hint = f"did you mean `{nearest}`" if nearest else "mend the name"
        whole = "the module " if isinstance(owner, ModuleType) else ""
        self._fail_name(f"`{field}` names `{attribute}`, which {whole}{reached} does not have: {hint}")

    def _fail_starts(self, name: str, error: Optional[BaseException] = None) -> NoReturn:
        lines = frames(error) if error else None
        raise Failure("setup", starts_processes(name), self._where, lines or None)

    def _fail_raised(self, message: str, error: BaseException) -> NoReturn:
        raise Failure("setup", message, self._where, frames(error) or None) from None

    def _fail_name(self, message: str) -> NoReturn:
        raise Failure("name", message, self._where) from None

    def _fail(self, message: str) -> NoReturn:
        raise Failure("setup", message, self._where) from None


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """This code and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_in(constant)


def put_first(path: str) -> None:
    """Puts a folder first on `sys.path`, where it then stands once."""
    sys.path[:] = [path, *(each for each in sys.path if each != path)]
    importlib.invalidate_caches()


def started_processes(name: str) -> bool:
    """Whether the module of a name ("module:function") started processes when it was imported in this process."""
    return name.partition(":")[0] in _starters


def starts_processes(name: str) -> str:
    """What to tell of a module that starts processes when it is imported."""
    return (
        f"{name.partition(':')[0]} starts processes when it is imported, and under `spawn` and `forkserver` every "
        'worker imports it again: put what starts them under `if __name__ == "__main__":`, or into `setup`'
    )


def has_name(function: object) -> bool:
    """Whether pickle hands this over by its name: functions and classes, no methods of objects or other callables."""
    if isinstance(function, types.BuiltinFunctionType):
        # `math.sqrt` belongs to its module, `[].append` to a list.
        return isinstance(function.__self__, (types.ModuleType, type(None)))
    return isinstance(function, (types.FunctionType, type))


def is_coroutine_function(function: object) -> bool:
    """Whether a call gives a coroutine, as far as can be told without one: partial objects, methods, objects too."""
    if _code_flags(function) & _COROUTINE:
        return True
    # What `inspect.markcoroutinefunction` (3.12) and asyncio leave on a function that is async by other means.
    marks = ("_is_coroutine_mark", "_is_coroutine")
    if any(getattr(function, mark, None) is not None for mark in marks):
        return True
    return bool(_code_flags(getattr(type(function), "__call__", None)) & _COROUTINE)  # noqa: B004


def _code_flags(function: object) -> int:
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0


def _undecorated(function: object) -> object:
    seen: Set[int] = set()
    while hasattr(function, "__wrapped__") and id(function) not in seen:
        seen.add(id(function))
        function = function.__wrapped__
    return function


def _is_iterable(value: object) -> bool:
    try:
        iter(value)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True


def _is_unguarded(error: BaseException) -> bool:
    """Whether multiprocessing refused to start a process, in a process that is itself being started."""
    text = str(error) if isinstance(error, (RuntimeError, AssertionError)) else ""
    return "bootstrapping phase" in text or "daemonic processes are not allowed" in text


def _modules_in(folders: List[str]) -> List[str]:
    import pkgutil

    return [module.name for module in pkgutil.iter_modules(folders)]


def _nearest(name: str, names: List[str]) -> Optional[str]:
    import difflib

    found = difflib.get_close_matches(name, names, n=1)
    return found[0] if found else None
