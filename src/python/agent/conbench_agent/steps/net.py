"""Requests over TCP: what both forms of a step share, and the blocking form's connections and their pool.

The async form's are in `net_async`, which is imported at its first request: a candidate of threads need not pay for
asyncio.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from time import monotonic_ns
from typing import TYPE_CHECKING, Callable, Generic, List, NoReturn, Optional, Sequence, Tuple, Type, TypeVar, Union

from ..protocol import Failure, StepJob
from ..task import MODULUS, Done, Step, digest
from . import label
from .codec import Answer, Fault, Lost

if TYPE_CHECKING:
    from .net_async import LoopClient

#: The largest body, and the largest padding of a request, that the embedded server handles (16 MiB).
MAX_BODY_BYTES = 16 << 20
#: The longest delay that the embedded server grants (one hour).
MAX_DELAY_NS = 3_600_000_000_000
#: Sets the embedded server's bodies apart from the other patterns of a session.
BODY_SEED = 0xB0D1_E5B0_D1E5_0000

#: The seconds and microseconds of a `struct timeval`.
_TIMEVAL = struct.Struct("@ll")

_ADVICE = {
    errno.ECONNREFUSED: "; nothing listens there: start the other side, or correct the address",
    errno.EADDRNOTAVAIL: '; no local port is free: use `connection = "keep-alive"`, or lower the number in flight',
    errno.EMFILE: "; raise the limit on open files (`ulimit -n`), or lower the number in flight",
}

A = TypeVar("A", bound=Answer)

#: Host (an address, not a name) and port.
Address = Tuple[str, int]


def resolve(host: str, port: int) -> List[Address]:
    """Resolves a host name, once. Fault if it has no address."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Fault(f"cannot resolve `{host}`: {_text(error)}; correct the name") from error
    return [(str(address[0]), port) for *_, address in found]


class Peer(Generic[A]):
    """Whom a step asks, and how: all that its clients need to know. Every connection gets a codec from `answer`."""

    def __init__(
        self,
        addresses: Sequence[Address],
        connection: str,
        timeout_ns: int,
        answer: Callable[[], A],
        tail: bytes = b"",
    ) -> None:
        self.addresses = addresses
        self.keeps = connection == "keep-alive"
        # The operating system takes a timeout of zero for none.
        self.timeout_ns = max(timeout_ns, 1_000_000)
        self.answer = answer
        #: Bytes that follow every request.
        self.tail = tail

    def timed_out(self) -> Fault:
        """No answer came in time."""
        timeout = f"{self.timeout_ns / 1e9:g}s" if self.timeout_ns >= 10**9 else f"{self.timeout_ns / 1e6:g}ms"
        return Fault(
            f"no answer within the task's timeout of {timeout}; raise `task_timeout`, or lower the number in flight"
        )

    def not_connected(self, error: OSError) -> Fault:
        """No connection could be opened."""
        return self._fault(error, f"cannot connect: {_text(error)}{_advice(error)}", Fault)

    def broken(self, error: OSError) -> Fault:
        """An open connection failed."""
        return self._fault(error, f"the connection failed: {_text(error)}{_advice(error)}", Lost)

    def _fault(self, error: OSError, message: str, kind: Type[Fault]) -> Fault:
        """A socket's timeout is told apart from other errors."""
        return self.timed_out() if isinstance(error, (BlockingIOError, TimeoutError)) else kind(message)


class RequestStep(Step, Generic[A]):
    """One request and its answer, in both forms."""

    is_async = True

    def __init__(self, number: int, step_job: StepJob) -> None:
        """The step with this number, counted as users count: from 1. Its `ask` follows."""
        self._number = number
        self._label = label(number, step_job)
        self._on_loop: Optional[LoopClient[A]] = None
        self._making = threading.Lock()

    def ask(self, peer: Peer[A]) -> None:
        """Names the one whom all requests go to; connects later."""
        self._peer = peer
        self._client = Client(peer, self.read)

    def request(self, index: int) -> bytes:
        """What task `index` sends, but for the peer's tail."""
        raise NotImplementedError

    def read(self, answer: A) -> int:
        """The checksum of a whole answer; Fault if it is not the one expected."""
        raise NotImplementedError

    def blocking(self, index: int, item: object) -> Done:
        """Sends the request on a connection that no other task uses, and waits for the answer."""
        try:
            return self._client.ask(self.request(index)), None
        except Fault as fault:
            self._fail(fault)

    async def asynchronous(self, index: int, item: object) -> Done:
        """Sends the request; the loop is free until the answer has come."""
        try:
            return await (self._on_loop or self._loop_client()).ask(self.request(index)), None
        except Fault as fault:
            self._fail(fault)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        if self._on_loop:
            self._on_loop.close()

    def checksum(self, body: Union[bytes, memoryview, None]) -> int:
        """The checksum of an answer with this body, or of one whose body does not count."""
        content = 1 if body is None else digest(body)
        # Mixed with the step's number, so that the answers of two steps cannot be exchanged.
        return (content + self._number) * 0x9E37_79B9_7F4A_7C15 % MODULUS

    def setup(self, message: str) -> Failure:
        """Why this step cannot be set up."""
        return Failure("setup", message, self._label)

    def check_size(self, what: str, size: int) -> None:
        """Checks a size against what the embedded server handles."""
        if size > MAX_BODY_BYTES:
            most = f"the {MAX_BODY_BYTES} bytes that the embedded server handles"
            raise self.setup(f"the {what} is larger than {most}; make it smaller")

    def delays(self, step_job: StepJob) -> List[int]:
        """How long the embedded server takes to answer: task i uses entry i % length."""
        if not step_job.draws or not step_job.draws[0]:
            raise self.setup("the job has no table of durations")
        if max(step_job.draws[0]) > MAX_DELAY_NS:
            raise self.setup("a delay is longer than one hour; shorten `delay`")
        return step_job.draws[0]

    def _loop_client(self) -> LoopClient[A]:
        from .net_async import LoopClient

        # Loops of several threads share it: each has a pool of its own there.
        with self._making:
            self._on_loop = self._on_loop or LoopClient(self._peer, self.read)
            return self._on_loop

    def _fail(self, fault: Fault) -> NoReturn:
        raise Failure("task", str(fault), self._label) from fault


class Client(Generic[A]):
    """Sends requests to one peer, in the blocking form; connections are pooled as HTTP client libraries do it.

    Any number of threads may use it: there are at most as many connections as there were requests at a time.
    """

    def __init__(self, peer: Peer[A], read: Callable[[A], int]) -> None:
        self._peer = peer
        self._read = read
        # The one used last is used next. A list's `append` and `pop` are safe from any thread.
        self._idle: List[_Link[A]] = []

    def ask(self, request: bytes) -> int:
        """Sends the request, and reads the answer."""
        link = self._answered(request)
        try:
            return self._read(link.answer)
        finally:
            if self._peer.keeps and link.answer.reusable:
                self._idle.append(link)
            else:
                link.close()

    def close(self) -> None:
        """Closes the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _answered(self, request: bytes) -> _Link[A]:
        """The connection on which the answer has come."""
        try:
            link = self._idle.pop()
        except IndexError:
            pass
        else:
            try:
                link.talk(request)
                return link
            except Lost:
                # Unless the answer had begun, this only says that the peer had closed an idle connection.
                if link.answer.begun:
                    raise
        link = _Link(self._peer)
        link.talk(request)
        return link


class _Link(Generic[A]):
    """An open connection with its codec."""

    def __init__(self, peer: Peer[A]) -> None:
        """Connects to the first address that answers."""
        self.answer = peer.answer()
        self._peer = peer
        self._socket = _connected(peer)

    def talk(self, request: bytes) -> None:
        """Sends a request and reads until the answer is whole. After a Fault, the connection is closed."""
        answer, peer = self.answer, self._peer
        deadline_ns = monotonic_ns() + peer.timeout_ns
        answer.begin()
        try:
            self._socket.sendall(request)
            if peer.tail:
                self._socket.sendall(peer.tail)
            while not answer.advance(self._socket.recv_into(answer.space())):
                # The socket's timeout is for one read; a peer that trickles would never reach it.
                if monotonic_ns() > deadline_ns:
                    raise peer.timed_out()
        except OSError as error:
            self.close()
            raise peer.broken(error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()


def new_socket(address: Address) -> socket.socket:
    """A socket that can connect to `address` and sends each piece at once."""
    made = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _connected(peer: Peer[A]) -> socket.socket:
    """A connection to the first address that answers."""
    # Timeouts of the kernel's: one of Python's adds a poll to every read and write.
    timeout = _TIMEVAL.pack(peer.timeout_ns // 10**9, peer.timeout_ns % 10**9 // 1000)
    fault = Fault("the other side has no address")
    for address in peer.addresses:
        connection: Optional[socket.socket] = None
        try:
            connection = new_socket(address)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
            connection.connect(address)
            return connection
        except OSError as error:
            fault = peer.not_connected(error)
            if connection:
                connection.close()
    raise fault


def _text(error: Exception) -> str:
    number = getattr(error, "errno", None)
    # Event loops write their own text, and the resolver has numbers of its own, below zero.
    return os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)


def _advice(error: OSError) -> str:
    return _ADVICE.get(error.errno or 0, "")
