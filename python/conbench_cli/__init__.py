"""Which concurrency tool fits your function: threads, processes, async, a mix of them, or none. Measured, from Python.

    from conbench_cli import recommend

    answer = recommend(parse, pages)
    print(answer)
    with answer.executor() as pool:
        results = list(pool.map(parse, pages))

Nothing is imported here before it is used: `import conbench_cli` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, List

if TYPE_CHECKING:
    from .answer import Answer
    from .asking import recommend
    from .errors import (
        BadInput,
        ConbenchError,
        ConbenchWarning,
        InsideAgent,
        NeedsCloudpickle,
        NoAnswer,
        ProgramFailed,
        ProgramNotFound,
    )
    from .executors import Pool

__all__ = [
    "Answer",
    "BadInput",
    "ConbenchError",
    "ConbenchWarning",
    "InsideAgent",
    "NeedsCloudpickle",
    "NoAnswer",
    "Pool",
    "ProgramFailed",
    "ProgramNotFound",
    "recommend",
]

_HOMES = {"Answer": "answer", "Pool": "executors", "recommend": "asking"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module("." + _HOMES.get(name, "errors"), __name__), name)
    globals()[name] = found
    return found


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
