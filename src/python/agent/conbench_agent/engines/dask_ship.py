"""What runs on the workers of a Dask cluster, and how it comes there.

A worker that cannot unpickle a task loses its scheduler, and so would one that joins a cluster while another program's
tasks are under way; the scheduler, too, unpickles each task. So what is submitted here is made of what every Python
has, and finds the package only when it is called.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from functools import cache
from typing import Any, List, Tuple

from ..protocol import Failure
from . import dask_install

_WORKERS_MODULE = dask_install.PACKAGE + ".engines.dask_worker"
_HAS = "getattr(__import__('sys').modules.get({package!r}), 'DIGEST', None)"
_INSTALL = "exec(text, space) or space['install'](digest, packed)"


class Remote:
    """A function of `dask_worker`, by its name; it is called on workers alone."""

    def __init__(self, name: str) -> None:
        """Names it."""
        self.__name__ = name

    def __reduce__(self) -> Tuple[Any, Tuple[str]]:
        return eval, (f"lambda *given: __import__('sys').modules[{_WORKERS_MODULE!r}].{self.__name__}(*given)",)

    def __call__(self, *given: object) -> Any:
        """Does it here, where workers are threads of this process."""
        from . import dask_worker

        return getattr(dask_worker, self.__name__)(*given)


def is_missing(error: BaseException) -> bool:
    """Whether a call came to a worker that the package was not brought to."""
    return isinstance(error, KeyError) and error.args == (_WORKERS_MODULE,)


def ship(client: Any) -> None:
    """Brings the package to all workers that do not have it, or have another version of it; Failure if one cannot."""
    digest, packed = _package()
    has = client.run(eval, _HAS.format(package=dask_install.PACKAGE))
    missing: List[str] = [address for address, found in has.items() if found != digest]
    if not missing:
        return
    space = {"text": _text_of(dask_install.__file__), "space": {"__name__": "conbench_install"}}
    told = client.run(eval, _INSTALL, {**space, "digest": digest, "packed": packed}, workers=missing)
    for address, why in told.items():
        if why:
            raise Failure("setup", f"the worker {address} cannot be used: {why}: let that session end first")


@cache
def _package() -> Tuple[str, bytes]:
    """The texts of the package's modules, packed, and their digest."""
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parts = []
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        names = [dask_install.PACKAGE, *os.path.relpath(folder, top).split(os.sep)]
        package = ".".join(name for name in names if name != ".")
        for file in sorted(files):
            stem, extension = os.path.splitext(file)
            if extension == ".py":
                is_package = stem == "__init__"
                name, kind = (package, "package") if is_package else (f"{package}.{stem}", "module")
                parts.append("\n".join([name, kind, _text_of(os.path.join(folder, file))]))
    whole = "\0".join(parts).encode()
    return hashlib.sha256(whole).hexdigest(), zlib.compress(whole)


def _text_of(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
