"""Requests over TCP in the async form, on any event loop of asyncio's kind: connections and their pool.

A connection is a socket that its loop watches from birth to death. Of what loops offer it takes the least CPU: on
asyncio a stream costs two to three times as much a request, and a transport nearly twice as much a new connection;
`sock_recv_into` is as cheap there, but on uvloop it costs twice as much.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Callable, Dict, Generic, List, Optional, Union

from .codec import Fault, Lost
from .net import A, Address, Peer, new_socket


class LoopClient(Generic[A]):
    """Sends requests to one peer, in the async form; connections are pooled as HTTP client libraries do it.

    A pool belongs to the event loop that filled it.
    """

    def __init__(self, peer: Peer[A], read: Callable[[A], int]) -> None:
        self._peer = peer
        self._read = read
        self._idle: Dict[asyncio.AbstractEventLoop, List[_Link[A]]] = {}

    async def ask(self, request: bytes) -> int:
        """Sends the request, and reads the answer."""
        loop = asyncio.get_running_loop()
        idle = self._idle.get(loop)
        if idle is None:
            idle = self._new_pool(loop)
        link = await self._answered(loop, idle, request)
        try:
            return self._read(link.answer)
        finally:
            if self._peer.keeps and link.answer.reusable:
                # The one used last is used next.
                idle.append(link)
            else:
                link.close()

    def close(self) -> None:
        """Closes the connections that are idle."""
        for loop in list(self._idle):
            self._close(loop)

    def _new_pool(self, loop: asyncio.AbstractEventLoop) -> List[_Link[A]]:
        """A pool for this loop. Those of loops that have ended are closed."""
        for other in list(self._idle):
            if other.is_closed():
                self._close(other)
        return self._idle.setdefault(loop, [])

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        for link in self._idle.pop(loop, []):
            link.close()

    async def _answered(self, loop: asyncio.AbstractEventLoop, idle: List[_Link[A]], request: bytes) -> _Link[A]:
        """The connection on which the answer has come."""
        while idle:
            link = idle.pop()
            if not link.is_open:
                continue
            try:
                await link.talk(request)
                return link
            except Lost:
                # Unless the answer had begun, this only says that the peer had closed an idle connection.
                if link.answer.begun:
                    raise
                break
        link = await self._connected(loop)
        await link.talk(request)
        return link

    async def _connected(self, loop: asyncio.AbstractEventLoop) -> _Link[A]:
        """A connection to the first address that answers."""
        fault = Fault("the other side has no address")
        for address in self._peer.addresses:
            try:
                link = _Link(loop, self._peer, new_socket(address))
                await link.connect(address)
                return link
            except OSError as error:
                fault = self._peer.not_connected(error)
            except Fault as timeout:
                fault = timeout
        raise fault


class _Link(Generic[A]):
    """A connection with its codec."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: Peer[A], connection: socket.socket) -> None:
        connection.setblocking(False)
        self.answer = peer.answer()
        self.is_open = True
        self._loop = loop
        self._peer = peer
        self._socket = connection
        self._fd = connection.fileno()
        #: What waits for its turn to be sent, last first.
        self._outgoing: List[Union[bytes, memoryview]] = []
        self._is_watched_for_room = False
        #: Whether a task waits for an event, and what it waits for: the fault, if there is one.
        self._expects = False
        self._outcome: asyncio.Future[Optional[Exception]]
        # One timer looks after many requests: it is set again only when it has run out.
        self._deadline = 0.0
        self._timeout_s = peer.timeout_ns / 1e9
        self._timer: Optional[asyncio.TimerHandle] = None

    async def connect(self, address: Address) -> None:
        """Connects. OSError if it cannot, Fault if it takes too long; it is closed then."""
        try:
            error = self._socket.connect_ex(address)
            if error == errno.EINPROGRESS:
                self._begin()
                self._watch_for_room(self._on_connected)
                await self._end_of_wait()
            elif error:
                raise OSError(error, "")
        except BaseException:
            self.close()
            raise
        self._loop.add_reader(self._fd, self._on_readable)

    async def talk(self, request: bytes) -> None:
        """Sends a request and waits until the answer is whole. After a Fault, the connection is closed."""
        self._begin()
        self.answer.begin()
        tail = self._peer.tail
        self._outgoing = [tail, request] if tail else [request]
        try:
            self._on_room()
            await self._end_of_wait()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        if not self.is_open:
            return
        self.is_open = self._expects = False
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            if self._timer:
                self._timer.cancel()
        self._socket.close()

    def _begin(self) -> None:
        self._expects = True
        self._outcome = self._loop.create_future()
        self._deadline = self._loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)

    async def _end_of_wait(self) -> None:
        fault = await self._outcome
        if fault:
            raise fault

    def _end(self, fault: Optional[Exception] = None) -> None:
        """What the task waits for has happened, or will not."""
        self._expects = False
        # A task that was cancelled waits no more.
        if not self._outcome.done():
            self._outcome.set_result(fault)

    def _watch_for_room(self, callback: Optional[Callable[[], None]]) -> None:
        """Calls back when the socket takes more, until told otherwise."""
        if callback:
            self._loop.add_writer(self._fd, callback)
        elif self._is_watched_for_room:
            self._loop.remove_writer(self._fd)
        self._is_watched_for_room = callback is not None

    def _on_connected(self) -> None:
        self._watch_for_room(None)
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._end(OSError(error, "") if error else None)

    def _on_room(self) -> None:
        """Sends what the socket takes."""
        outgoing = self._outgoing
        try:
            while outgoing:
                sent = self._socket.send(outgoing[-1])
                if sent == len(outgoing[-1]):
                    outgoing.pop()
                else:
                    outgoing[-1] = memoryview(outgoing[-1])[sent:]
        except BlockingIOError:
            if not self._is_watched_for_room:
                self._watch_for_room(self._on_room)
            return
        except OSError as error:
            self._end(self._peer.broken(error))
        self._watch_for_room(None)

    def _on_readable(self) -> None:
        """Reads what has come."""
        if not self._expects:
            # The peer has closed an idle connection, or sent what would be taken for the next answer.
            self.close()
            return
        try:
            if self.answer.advance(self._socket.recv_into(self.answer.space())):
                self._end()
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(self._peer.broken(error))
        except Fault as fault:
            self._end(fault)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._expects:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
        else:
            self._end(self._peer.timed_out())
