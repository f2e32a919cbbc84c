"""A warm parent: it has imported what agents need, and forks a life whenever it is asked to.

Nothing of the user's is imported here, nor anything that does not come with Python: what a life imports of these is its
own. Requests come as packets, one a life, with four descriptors: the socket of the life's guard, and the agent's
requests, replies and output.
"""

from __future__ import annotations

import array
import gc
import json
import os
import random
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Callable, Iterable, List, NoReturn, Optional, Tuple

from . import engines
from .protocol import REPLIES_FD, REQUESTS_FD

#: What engines, and the modules that they use, import of the standard library, some of it only at work.
_LIBRARY = [
    "asyncio",
    "concurrent.futures",
    "concurrent.futures.process",
    "concurrent.futures.thread",
    "ctypes",
    "multiprocessing",
    "multiprocessing.connection",
    "multiprocessing.forkserver",
    "multiprocessing.pool",
    "multiprocessing.popen_fork",
    "multiprocessing.popen_forkserver",
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.queues",
    "multiprocessing.resource_tracker",
    "multiprocessing.spawn",
    "multiprocessing.synchronize",
    "queue",
]
#: And what they, and the user's code, need of this package. Not the kinds of steps: a fork server imports those that
#: its agent has imported.
_PACKAGE = ["calibrate", "running", "user.loading", "user.traceback", "user.values"]

_PACKET_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1

#: Has the kernel kill this process when its parent ends.
_Bind = Callable[[], object]


class Unfit(Exception):
    """This process cannot be a parent."""


def serve(warm_up: Callable[[], object]) -> None:
    """Forks lives until the requests end, and with them this process. Returns in a life alone, which is an agent.

    `warm_up` is called once everything is imported. Unfit if a fork would not be what a new process is.
    """
    _import_all()
    warm_up()
    if _threads() != 1:
        raise Unfit("something that Python imports by itself has started a thread")
    bind = _binder()
    # Not `gc.freeze`: the collections of a life, and of its forked workers, would pass over what is here now, and those
    # of a new process would not. This keeps this process itself from touching the pages that lives share with it.
    gc.collect()
    gc.disable()
    for descriptor in (REQUESTS_FD, REPLIES_FD):
        # A guard that held the socket too would hide that this process is gone.
        os.set_inheritable(descriptor, False)
    control = socket.socket(fileno=REQUESTS_FD)
    control.send(b"ready")
    while True:
        request, descriptors = _receive(control)
        if request is None:
            os._exit(0)
        _reap()
        if _is_forked(request, descriptors, bind):
            control.detach()
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _import_all() -> None:
    for name in (*_LIBRARY, *engines.modules(), *(f"{__package__}.{name}" for name in _PACKAGE)):
        # A build may lack some of them; the lives that need one say so.
        with suppress(ImportError):
            import_module(name)


def _threads() -> int:
    """The threads of this process, whoever started them."""
    return len(os.listdir("/proc/self/task"))


def _binder() -> _Bind:
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, AttributeError, OSError):
        # The life's guard, and the guard above it, do without.
        return lambda: None
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _receive(control: socket.socket) -> Tuple[Optional[List[str]], List[int]]:
    """The next request: the guard's program, and four descriptors; None at the end."""
    space = socket.CMSG_LEN(4 * array.array("i").itemsize)
    # (`socket.recv_fds` would let programs that lives start inherit the descriptors.)
    packet, ancillary, _, _ = control.recvmsg(_PACKET_BYTES, space, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    if not packet or len(descriptors) != 4:
        return None, []
    return json.loads(packet)["fork"]["guard"], descriptors.tolist()


def _reap() -> None:
    """Takes leave of the guards that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _is_forked(program: List[str], descriptors: List[int], bind: _Bind) -> bool:
    """Forks a child, which forks a life and becomes its guard. Returns False here, and True in the life."""
    guards_socket, *pipes = descriptors
    # What cannot be forked is seen by whoever waits at the other end of the guard's socket.
    with suppress(OSError):
        if os.fork() == 0:
            _fork_life(program, guards_socket, pipes, bind)
            return True
    return False


def _fork_life(program: List[str], guards_socket: int, pipes: List[int], bind: _Bind) -> None:
    """Forks a life, in which it returns, and becomes its guard."""
    try:
        # A group of its own for each, as those have that a guard starts.
        os.setpgid(0, 0)
        guard = os.getpid()
        life = os.fork()
        if life:
            _become_guard([*program, str(life)], guards_socket)
        os.setpgid(0, 0)
        bind()
        if os.getppid() != guard:
            os._exit(1)
        _become_agent(guards_socket, pipes)
    except BaseException:
        os._exit(1)


def _become_guard(program: List[str], guards_socket: int) -> NoReturn:
    os.dup2(guards_socket, 0)
    os.execv(program[0], program)


def _become_agent(guards_socket: int, pipes: Iterable[int]) -> None:
    """Makes this process what a new one would be."""
    requests, replies, output = pipes
    for descriptor, number in ((requests, REQUESTS_FD), (replies, REPLIES_FD), (output, 1), (output, 2)):
        os.dup2(descriptor, number)
    for descriptor in (guards_socket, requests, replies, output):
        os.close(descriptor)
    gc.enable()
    random.seed()
    if threading.main_thread().native_id != os.getpid():
        # CPython 3.9 does not see to it.
        vars(threading.main_thread())["_native_id"] = os.getpid()
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        # Lives do not share the key by which processes of one program know each other.
        multiprocessing.current_process().authkey = os.urandom(32)
