"""The step `tcp`: one request and one response of fixed sizes."""

from __future__ import annotations

import struct
from typing import List, Optional, Tuple

from ..protocol import Job, StepJob
from ..task import VARIANTS, pattern
from .codec import Fault, SizedAnswer
from .net import BODY_SEED, Address, Peer, RequestStep, resolve

#: The header of a request to the embedded server: the bytes of the padding that follows, those of the response, the
#: delay in ns, the variant.
HEADER = struct.Struct("<IIQQ")

#: A request's first bytes are sent together with its header; the rest, the same in every request, after them.
FIRST_BYTES = 1024


class TcpStep(RequestStep[SizedAnswer]):
    """One request and its response, from the embedded server or from an address.

    The embedded server's responses are known, so each one counts in the checksum; of an address's only the length is
    looked at.
    """

    def __init__(self, number: int, job: Job, step_job: StepJob, _place: object) -> None:
        """Resolves the address; connects later. Failure if a size is out of range or the address has no meaning."""
        super().__init__(number, step_job)
        address: Optional[str] = step_job.step.get("address")
        self._request_bytes: int = step_job.step["request_bytes"]
        self._response_bytes: int = step_job.step["response_bytes"]
        self.check_size("request", self._request_bytes)
        self.check_size("response", self._response_bytes)
        if not self._response_bytes:
            raise self.setup("a response of no bytes cannot be awaited; give it at least one")
        #: None for an address, which is sent no header.
        self._delays: Optional[List[int]] = None
        if address is not None:
            addresses = self._remote(address)
        elif job.server is None:
            raise self.setup("the job names no embedded server")
        else:
            self._delays = self.delays(step_job)
            addresses = [("127.0.0.1", job.server.tcp_port)]
        padding = pattern(self._request_bytes, job.seed)
        self._first = padding[:FIRST_BYTES]
        connection, tail = step_job.step["connection"], padding[FIRST_BYTES:]
        self.ask(Peer(addresses, connection, job.task_timeout_ns, lambda: SizedAnswer(self._response_bytes), tail))

    def request(self, index: int) -> bytes:
        """What task `index` sends, but for the tail."""
        if self._delays is None:
            return self._first
        delay_ns = self._delays[index % len(self._delays)]
        return HEADER.pack(self._request_bytes, self._response_bytes, delay_ns, index % VARIANTS) + self._first

    def read(self, answer: SizedAnswer) -> int:
        """The checksum of a whole answer."""
        return self.checksum(None if self._delays is None else answer.body)

    def reference(self, index: int, item: object) -> int:
        """The checksum that the answer must have; the server is not asked."""
        if self._delays is None:
            return self.checksum(None)
        return self.checksum(pattern(self._response_bytes, BODY_SEED + index % VARIANTS))

    def _remote(self, address: str) -> List[Address]:
        """The addresses behind `host:port`."""
        if not self._request_bytes:
            raise self.setup(f"`{address}` cannot see a request of no bytes; give it at least one")
        try:
            return resolve(*split_address(address))
        except Fault as fault:
            raise self.setup(str(fault)) from fault


def split_address(address: str) -> Tuple[str, int]:
    """Host and port of `host:port`, an IPv6 address in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon:
        raise Fault(f"`{address}` is not `host:port`")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise Fault(f"the port of `{address}` is not a number up to 65535")
    return host.strip("[]"), int(port)
