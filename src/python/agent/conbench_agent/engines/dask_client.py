"""The way to a Dask cluster: the package, an address, a client; and in words what fails there."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
import threading
import warnings
from concurrent.futures import TimeoutError as FutureTimeoutError
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, Callable, Dict, Iterable, List, NoReturn, Optional, Tuple

from ..protocol import Failure

#: How long a scheduler may take to answer.
PATIENCE_S = 5.0
#: How long a worker may take to answer what takes it no time, and tasks to come back that should long have done so.
ANSWER_S, TASKS_S = 8.0, 10.0
#: Packages that log to the terminal: in this process they serve the client alone.
_LOGGERS = ("distributed", "dask", "tornado", "asyncio", "bokeh")
_ADDRESS = re.compile(r"(?P<scheme>tcp|tls)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")


def load() -> Any:
    """The package `distributed`, silenced; Failure if this interpreter cannot import it."""
    try:
        package = import_module("distributed")
    except Exception as error:
        raise Failure(
            "setup",
            f"{sys.executable} cannot import the package distributed ({type(error).__name__}: {error}): install it "
            "with `pip install distributed`",
        ) from error
    silence()
    return package


def silence() -> None:
    """Keeps the loggers and warnings of the client off the user's terminal: what fails is told in frames."""
    known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _LOGGERS]
    for name in {*_LOGGERS, *known}:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
    warnings.filterwarnings("ignore", module=r"(distributed|dask)(\.|$)")


def connect(address: str, advice: str = "start one, or mend the address") -> Any:
    """A client of the scheduler at this address; Failure says what is wrong there, with advice if nothing answers."""
    package = load()
    _knock(address, advice)
    try:
        return within_patience(lambda: package.Client(address, timeout=PATIENCE_S))
    except ImportError as error:
        # So the client says that the two do not fit.
        _fail_version(package, address, error)
    except Exception as error:
        _fail_connecting(package, address, error)


def of_workers(client: Any, workers: Iterable[str], function: Callable[..., object], *given: object) -> Dict[str, Any]:
    """What a function gives on each of these workers, by their addresses; Failure names one that says nothing."""

    async def ask() -> Dict[str, Any]:
        calls = {
            address: asyncio.ensure_future(client.run(function, *given, workers=[address], asynchronous=True))
            for address in workers
        }
        if calls:
            await asyncio.wait(calls.values(), timeout=ANSWER_S)
        silent = [address for address, call in calls.items() if not call.done()]
        for address in silent:
            calls[address].cancel()
        if silent:
            raise _silent(silent)
        return {address: call.result()[address] for address, call in calls.items()}

    loop = client.loop.asyncio_loop
    asked = asyncio.run_coroutine_threadsafe(ask(), loop)
    return asked.result(ANSWER_S + PATIENCE_S)


def is_timeout(error: BaseException) -> bool:
    """Whether something took too long, in the words of any of those who wait."""
    return isinstance(error, (TimeoutError, asyncio.TimeoutError, FutureTimeoutError))


def _silent(workers: List[str]) -> Failure:
    which = f"the worker {workers[0]}" if len(workers) == 1 else f"{len(workers)} workers ({workers[0]}, ..)"
    return Failure(
        "setup",
        f"{which} of the Dask cluster did not answer within {ANSWER_S:g} s: look whether it is stopped, or its host is "
        "gone, and end it if so",
    )


def within_patience(make: Callable[[], Any]) -> Any:
    """What `make` gives, in a thread that need not come back: who waits for the first word of a server waits long."""
    given: SimpleQueue[Tuple[Any, Optional[Exception]]] = SimpleQueue()

    def try_to() -> None:
        try:
            given.put((make(), None))
        except Exception as error:
            given.put((None, error))

    threading.Thread(target=try_to, name="conbench-connect", daemon=True).start()
    try:
        made, error = given.get(timeout=PATIENCE_S)
    except Empty:
        raise OSError(f"it says nothing within {PATIENCE_S:g} s") from None
    if error is not None:
        raise error
    return made


def _knock(address: str, advice: str) -> None:
    """Sees that something listens there."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None or not 0 < int(parts["port"]) < 1 << 16:
        raise Failure(
            "setup", f"{address!r} is no address of a Dask scheduler: write tcp://HOST:PORT, or tls://HOST:PORT"
        )
    host, port = parts["host"].strip("[]"), int(parts["port"])
    try:
        # To find the address of a name takes its time, too.
        within_patience(lambda: socket.create_connection((host, port), PATIENCE_S).close())
    except OSError as error:
        # What has no number of its own is no answer.
        why = error.strerror or f"nothing within {PATIENCE_S:g} s"
        raise Failure("setup", f"no Dask scheduler answers at {address} ({why}): {advice}") from error


def is_ours(address: str) -> bool:
    """Whether an address is one of this host: others cannot be bound to here."""
    scheme, _, place = address.partition("://")
    if scheme == "inproc":
        return True
    try:
        found = socket.getaddrinfo(place.rpartition(":")[0].strip("[]"), 0, type=socket.SOCK_DGRAM)
        for family, kind, protocol, _, where in found:
            with socket.socket(family, kind, protocol) as one:
                one.bind(where)
    except OSError:
        return False
    return True


def _fail_version(package: Any, address: str, error: BaseException) -> NoReturn:
    raise Failure(
        "setup",
        f"the scheduler at {address} is of another version than distributed {package.__version__} here, and the two "
        f"cannot speak with each other ({_brief(error)}): install the same version at both ends",
    ) from error


def _fail_connecting(package: Any, address: str, error: BaseException) -> NoReturn:
    if address.startswith("tls://"):
        raise Failure(
            "setup",
            f"cannot connect to {address} by TLS ({_brief(error)}): set `distributed.comm.tls` in Dask's configuration "
            "to the certificates of the cluster",
        ) from error
    if isinstance(error, (OSError, ValueError, KeyError, MemoryError)):
        raise Failure(
            "setup",
            f"what answers at {address} is no Dask scheduler ({_brief(error)}): give the address of the scheduler, "
            "which is not that of a worker or of the dashboard",
        ) from error
    _fail_version(package, address, error)


def _brief(error: BaseException) -> str:
    """The error's kind and its first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
