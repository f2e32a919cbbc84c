"""What runs on the workers of a Dask cluster, and how it comes there.

A worker that cannot unpickle a task loses its scheduler, and so would one that joins a cluster while another program's
tasks are under way; the scheduler, too, unpickles each task, and pickles it again for the worker. So what is submitted
here is made of what every Python has, and finds the package only when it is called. It crosses by reference, as a
function of the user's does: what is no name of a module is pickled by value, in the scheduler for each task.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from functools import cache
from typing import Any, Dict, Iterable, List, Tuple
from uuid import uuid4

from ..protocol import Failure
from . import dask_client, dask_install

_WORKERS_MODULE = dask_install.PACKAGE + ".engines.dask_worker"
_HAS = "getattr(__import__('sys').modules.get({package!r}), 'DIGEST', None)"
_CALL = "__import__('sys').modules[{module!r}].{name}(*given)"
_INSTALL = "exec(text, space) or space['install'](digest, packed)"


def submit(client: Any, name: str, *given: object, **options: Any) -> Any:
    """Submits a call of this function of `dask_worker`; its future."""
    # Tasks have names by which Dask knows how long their like take.
    key = f"{name}-{uuid4()}"
    return client.submit(eval, *call(name, *given), key=key, pure=False, **options)


def run(client: Any, workers: Iterable[str], name: str, *given: object) -> Dict[str, Any]:
    """Runs this function of `dask_worker` on these workers; what each gives, by its address."""
    return dask_client.of_workers(client, workers, eval, *call(name, *given))


def call(name: str, *given: object) -> Tuple[str, Dict[str, object]]:
    """What `eval` is given to call this function of `dask_worker`."""
    return _text(name), {"given": given}


@cache
def _text(name: str) -> str:
    return _CALL.format(module=_WORKERS_MODULE, name=name)


def is_missing(error: BaseException) -> bool:
    """Whether a call came to a worker that the package was not brought to."""
    return isinstance(error, KeyError) and error.args == (_WORKERS_MODULE,)


def ship(client: Any, workers: Iterable[str]) -> None:
    """Brings the package to those of these workers that lack it, or this version of it; Failure if one cannot."""
    digest, packed = _package()
    has = dask_client.of_workers(client, workers, eval, _HAS.format(package=dask_install.PACKAGE))
    missing: List[str] = [address for address, found in has.items() if found != digest]
    if not missing:
        return
    space = {"text": _text_of(dask_install.__file__), "space": {"__name__": "conbench_install"}}
    given = {**space, "digest": digest, "packed": packed}
    told = dask_client.of_workers(client, missing, eval, _INSTALL, given)
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
