"""A warm parent: it has imported what every agent imports before its job, and forks a life whenever it is asked to.

What a life finds must be what a new process would find, the collector's heap too: with asyncio and multiprocessing
imported here for all, full collections made tasks with many containers a fifth dearer under the engines that need
neither; with `gc.freeze` they became a fifth cheaper than they are. So nothing is imported here for the parent's own
sake but small modules in C, and nothing is collected.

Requests come as packets, one a life, with four descriptors: the socket of the life's guard, and the agent's requests,
replies and output.
"""

from __future__ import annotations

import _socket
import array
import gc
import json
import os
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any, Callable, Dict, Iterable, List, NoReturn, Optional, Tuple

from . import exits
from .protocol import REPLIES_FD, REQUESTS_FD

_PACKET_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9

#: Has the kernel kill this process when its parent ends.
_Bind = Callable[[], object]


class Unfit(Exception):
    """This process cannot be a parent."""


def serve(hello: Callable[[], Dict[str, object]]) -> Dict[str, object]:
    """Forks lives until the requests end, and with them this process. Returns in a life alone, which is an agent.

    `hello` is called once, here, and what it gives is every life's. Unfit if a fork would not be what a new process is.
    """
    from . import running  # noqa: F401
    from .user import caller

    caller.warm_up()
    greeting = hello()
    if _threads() != 1:
        raise Unfit("something that Python imports by itself has started a thread")
    bind = binder()
    # The next collection is the life's.
    gc.disable()
    for descriptor in (REQUESTS_FD, REPLIES_FD):
        # A guard that held the socket too would hide that this process is gone.
        os.set_inheritable(descriptor, False)
    control = _socket.socket(fileno=REQUESTS_FD)
    control.send(b"ready")
    while True:
        request, descriptors = _receive(control)
        if request is None:
            exits.run(0)
            os._exit(0)
        _reap()
        if _is_forked(request, descriptors, bind):
            control.detach()
            return greeting
        for descriptor in descriptors:
            os.close(descriptor)


def _threads() -> int:
    """The threads of this process, whoever started them."""
    return len(os.listdir("/proc/self/task"))


def binder() -> _Bind:
    """What has the kernel kill the process that calls it when its parent ends; nothing where that cannot be had."""
    try:
        # What `ctypes` stands on: that itself is far more than this needs, and would be part of each life.
        library: Any = import_module("_ctypes")
        prctl, call = library.dlsym(library.dlopen(None, os.RTLD_NOW), "prctl"), library.call_function
    except (ImportError, AttributeError, OSError):
        # A life whose guard is killed then ends with its requests, or by the guard above.
        return lambda: None
    return lambda: call(prctl, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))


def _receive(control: _socket.socket) -> Tuple[Optional[List[str]], List[int]]:
    """The next request: the guard's program, and four descriptors; None at the end."""
    space = _socket.CMSG_LEN(4 * array.array("i").itemsize)
    # (`socket.recv_fds` would let programs that lives start inherit the descriptors.)
    packet, ancillary, _, _ = control.recvmsg(_PACKET_BYTES, space, _socket.MSG_CMSG_CLOEXEC)
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
    exits.forget()
    gc.enable()
    if threading.main_thread().native_id != os.getpid():
        # CPython 3.9 does not see to it.
        vars(threading.main_thread())["_native_id"] = os.getpid()
