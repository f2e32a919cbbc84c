"""The modules that hold items and pitfalls."""

from __future__ import annotations

from importlib import import_module

#: In the order of the catalogue.
MODULES = (
    "threads",
    "processes",
    "crossing",
    "coroutines",
    "mixing",
    "pitfalls.exits",
    "pitfalls.event_loop",
    "pitfalls.threads",
    "pitfalls.processes",
    "pitfalls.blas",
)


def load() -> None:
    """Imports them, so that all items and pitfalls are known."""
    for module in MODULES:
        import_module(f"{__package__}.{module}")
