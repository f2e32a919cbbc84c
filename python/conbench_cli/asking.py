"""`recommend`: asks the program which tool fits a function, and gives its answer."""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import warnings
from typing import Any, Awaitable, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union, cast

from . import program
from .answer import Answer, Asked, no_answer
from .crossing import MOST_ITEMS, Crossing, Drawn, search_path
from .errors import BadInput, ConbenchWarning, InsideAgent, ProgramFailed
from .running import Ended, run

#: Several names, or several numbers.
Names = Union[str, Sequence[str]]
Numbers = Union[int, Sequence[int]]

#: What an agent finds in its environment.
_AGENT = "CONBENCH_AGENT"

#: The longest name of a workload.
_MOST_NAME = 100

# The program's exit codes: docs/records.md.
_ANSWERED, _FAILED, _USAGE, _NO_ANSWER, _DISTURBED, _INTERRUPTED = 0, 1, 2, 3, 4, 130


def recommend(
    fn: Optional[Callable[..., object]] = None,
    items: Union[Iterable[object], Callable[[], Iterable[object]], None] = None,
    *,
    async_fn: Optional[Callable[..., Awaitable[object]]] = None,
    setup: Optional[Callable[[], object]] = None,
    teardown: Optional[Callable[[], object]] = None,
    budget: Union[str, float, None] = None,
    tolerance: Union[str, float, None] = None,
    tasks: Optional[int] = None,
    goal: Optional[str] = None,
    rate: Optional[str] = None,
    errors: Union[str, int, float, None] = None,
    engines: Optional[Names] = None,
    executors: Optional[Names] = None,
    cluster: Optional[str] = None,
    cluster_upload: Optional[Names] = None,
    allow_remote: bool = False,
    models: Optional[Names] = None,
    start_methods: Optional[Names] = None,
    workers: Optional[Numbers] = None,
    in_flight: Optional[Numbers] = None,
    chunk: Optional[Numbers] = None,
    check: Union[str, Callable[..., object], None] = None,
    max_calls: Optional[int] = None,
    task_timeout: Union[str, float, None] = None,
    seed: Optional[int] = None,
    progress: Optional[bool] = None,
) -> Answer:
    """Measures which concurrency tool fits a function that is called with each of some items.

    The function really runs, and often, in processes of its own and never in this one; `items` are drawn here. `fn` is
    a `def` or an `async def`, `async_fn` an `async def` that does the same for event loops. `setup` is called once in
    each process that runs tasks. `executors` are factories of your own, "module:factory"; `cluster` is one of Dask,
    "dask:local" or "dask://HOST:PORT". A time is a number of seconds or "10s", a share a number or "5%". The other
    options are those of `conbench recommend` and of workload files, by their names there.

    A progress line is shown where standard error is a terminal or a notebook's, or as `progress` says. Ctrl-C takes the
    best answer so far. Raises ConbenchError.
    """
    _check_this_process()
    if fn is None and async_fn is None:
        raise BadInput("neither `fn` nor `async_fn` is given")
    if async_fn is None and _is_async(fn):
        fn, async_fn = None, cast(Callable[..., Awaitable[object]], fn)
    where = program.find()
    with tempfile.TemporaryDirectory(prefix="conbench-py-") as temporary:
        directory = os.path.abspath(temporary)
        crossing = Crossing(directory, sys._getframe(1))
        step = {
            "function": None if fn is None else crossing.name(fn, "function"),
            "async_function": None if async_fn is None else crossing.name(async_fn, "async_function"),
            "setup": None if setup is None else crossing.name(setup, "setup"),
            "teardown": None if teardown is None else crossing.name(teardown, "teardown"),
            "items": None if items is None else crossing.draw(items, tasks),
            "check": check if check is None or isinstance(check, str) else crossing.name(check, "check"),
        }
        crossing.close()
        step["path"], modules = search_path(directory)
        workload = {
            "name": _short(fn or async_fn, step),
            "task_timeout": _time(task_timeout),
            "max_calls": max_calls,
            "objective": None if goal is None else {"goal": goal},
        }
        file = os.path.join(directory, "workload.toml")
        with open(file, "x", encoding="utf-8") as written:
            written.write(_toml(workload, step))
        if start_methods is None:
            start_methods = _start_methods(step)
        record = os.path.join(directory, "record.json")
        options = {
            "--python": sys.executable,
            "--runtimes": "python",
            "--output": record,
            "--budget": _time(budget),
            "--tolerance": f"{tolerance * 100:g}%" if isinstance(tolerance, (int, float)) else tolerance,
            "--tasks": tasks,
            "--rate": rate,
            "--errors": f"{errors * 100:g}%" if isinstance(errors, float) else errors,
            "--engines": _listed(engines),
            "--cluster": cluster,
            "--models": _listed(models),
            "--start-methods": _listed(start_methods),
            "--workers": _listed(workers),
            "--in-flight": _listed(in_flight),
            "--chunk": _listed(chunk),
            "--seed": seed,
        }
        said = [f"{name}={value}" for name, value in options.items() if value is not None]
        said += [f"--executor={factory}" for factory in _several(executors)]
        said += [f"--cluster-upload={file}" for file in _several(cluster_upload)]
        said += ["--allow-remote"] if allow_remote else []
        environment = {**os.environ, "PYTHONPATH": modules}
        if crossing.needs is not None:
            environment["CONBENCH_NEEDS"] = crossing.needs
        ended = run([where, "caller", directory, "recommend", file, *said], environment, _shows(progress))
        document = _document(record)
        _raise_for(ended, directory)
        drawn = crossing.items
        asked = Asked(fn, async_fn, setup, teardown, where, 0 if drawn is None else drawn.number)
        answer: Optional[Answer] = None
        try:
            answer = _answered(ended, document, asked)
            return answer
        finally:
            for text in [*_warned(drawn, tasks), *ended.warnings]:
                try:
                    warnings.warn(text, ConbenchWarning, stacklevel=2)
                except ConbenchWarning as raised:
                    # Whoever makes errors of warnings has the answer all the same.
                    raised.answer = answer
                    raise


def _check_this_process() -> None:
    if os.environ.get(_AGENT):
        raise InsideAgent(
            "`recommend` was called while conbench measures this code: call it under "
            '`if __name__ == "__main__":`, so that importing the module does not'
        )
    if not sys.executable:
        raise BadInput(
            "this interpreter does not know its own program (`sys.executable`), so that none can be measured"
        )


def _warned(drawn: Optional[Drawn], tasks: Optional[int]) -> List[str]:
    """What is to be known of the items. Of as many as it reads at most, the program says it itself."""
    if drawn is None or not drawn.may_have_more or drawn.number in (tasks, MOST_ITEMS):
        return []
    return [f"the first {drawn.number} items are used again and again: `items` is not read to its end"]


def _answered(ended: Ended, document: Optional[Dict[str, Any]], asked: Asked) -> Answer:
    answer = None if document is None else Answer.of(document, ended, asked)
    if answer is not None:
        return answer
    if ended.code == _INTERRUPTED and ended.is_interrupted:
        raise KeyboardInterrupt
    raise no_answer(document, ended, asked)


def _raise_for(ended: Ended, directory: str) -> None:
    if ended.code in (_ANSWERED, _FAILED, _NO_ANSWER, _DISTURBED, _INTERRUPTED):
        return
    if ended.code < 0 and ended.is_interrupted:
        # Before it listens to signals.
        raise KeyboardInterrupt
    # The private file says nothing to its reader.
    message = ended.message.replace(directory + os.sep, "")
    if ended.code == _USAGE:
        raise BadInput(message or "the program refuses its arguments, without a word")
    how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"ended with code {ended.code}"
    raise ProgramFailed(f"the program {how}" + (f": {message}" if message else ""))


def _document(path: str) -> Optional[Dict[str, Any]]:
    """What the program saved, if it came that far."""
    try:
        with open(path, encoding="utf-8") as file:
            return cast(Dict[str, Any], json.load(file))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ProgramFailed(f"the program's record is no JSON: {error}") from None


def _toml(workload: Mapping[str, object], step: Mapping[str, Optional[str]]) -> str:
    lines = [f"{name} = {_value(value)}" for name, value in workload.items() if value is not None]
    lines += ["[[step]]", 'kind = "python"']
    lines += [f"{name} = {_value(value)}" for name, value in step.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, int):
        return str(int(value))
    # JSON writes a string as TOML does, but for this one sign.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")


def _short(function: object, step: Mapping[str, Optional[str]]) -> str:
    """What the answer calls the task: the function's own name, else the one under which it crossed."""
    own = getattr(function, "__name__", None)
    crossed = (step["function"] or step["async_function"] or "").rpartition(":")[2]
    return (own if isinstance(own, str) and own.isidentifier() else crossed)[:_MOST_NAME]


def _time(value: Union[str, float, None]) -> Optional[str]:
    if isinstance(value, (int, float)):
        if not 0 < value < 1e9:
            raise BadInput(f"a time of {value} s: give seconds, more than 0, or e.g. '10s'")
        return f"{max(round(value * 1e3), 1)}ms"
    return value


def _listed(values: Union[Names, Numbers, None]) -> Optional[str]:
    if values is None or isinstance(values, (str, int)):
        return None if values is None else str(values)
    return ",".join(str(value) for value in values)


def _several(names: Optional[Names]) -> Sequence[str]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else names


def _is_async(function: object) -> bool:
    import inspect

    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    call = getattr(type(function), "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _start_methods(step: Mapping[str, Optional[str]]) -> Optional[Tuple[str, ...]]:
    """Only `fork` for what is written in a notebook or at a prompt: no other way finds it in a worker process."""
    is_of_main = any(name and name.startswith("__main__:") for field, name in step.items() if field != "items")
    if not is_of_main or hasattr(sys.modules["__main__"], "__file__"):
        return None
    import multiprocessing

    return ("fork",) if "fork" in multiprocessing.get_all_start_methods() else None


def _shows(progress: Optional[bool]) -> bool:
    """Whether somebody sees a line of progress: at a terminal, or in a notebook."""
    if progress is not None:
        return progress
    stream = sys.stderr
    return stream is not None and (stream.isatty() or "ipykernel" in sys.modules)
