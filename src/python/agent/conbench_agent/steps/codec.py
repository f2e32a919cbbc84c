"""Answers to a request, without I/O: bytes go in as they come, and at some point the answer is whole.

The blocking and the async form of a step drive the same codec, so the client cannot decide between them.
"""

from __future__ import annotations

import re
from typing import Dict, Generator, List, Match, Optional, TypeVar

#: The largest response head, and the longest line of a chunked body.
MAX_HEAD_BYTES = 64 << 10
#: The largest response body.
MAX_BODY_BYTES = 64 << 20
#: A buffer that is kept between responses is at most this large, unless responses are expected to be larger.
KEPT_BYTES = 64 << 10
#: Bodies up to this length get their room at once; a longer one gets it as its bytes come, because a length is only a
#: claim.
TRUSTED_BYTES = 1 << 20
#: The embedded server's head has about 100 bytes.
HEAD_BYTES = 256

_BLANK_LINE = re.compile(rb"\n\r?\n")
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([0-9]{3})(?: [^\r\n]*)?\r?"
    rb"(\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r?\n)*)\r?\n"
)
_FIELD = re.compile(rb"\n(content-length|transfer-encoding|connection):([^\r\n]*)")
_LINE = re.compile(rb"([^\n]*)\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[\t ]*(?:;[^\r]*)?\r?")

_NOTHING = memoryview(b"")

_T = TypeVar("_T")
#: Decodes as far as it can, and yields False each time that it needs more bytes.
_Decoder = Generator[bool, None, _T]


class Fault(Exception):
    """Why a request had no answer, and what to do about it."""


class Lost(Fault):
    """The connection failed or ended before the answer was whole."""


def closed() -> Lost:
    """The other side ended the connection."""
    return Lost("the other side closed the connection before its answer was whole; see why it did")


class Answer:
    """What a peer answers to one request; used again for the next one on the same connection.

    `begin` comes first. Then bytes are read into `space`, which is never empty, and `advance` is told of them, until
    it says that the answer is whole. `body` holds until the next `begin`.
    """

    def __init__(self, room: int) -> None:
        """With room for this many bytes."""
        self._view = memoryview(bytearray(room))
        self._filled = 0
        #: Whether any byte of the answer has come.
        self.begun = False
        #: Whether the connection may serve another request after this answer.
        self.reusable = False
        #: The answer's body; empty until it is whole.
        self.body = _NOTHING

    def begin(self) -> None:
        """Prepares for the answer to a new request."""
        raise NotImplementedError

    def space(self) -> memoryview:
        """Room for the next bytes."""
        return self._view[self._filled :]

    def advance(self, length: int) -> bool:
        """Takes note that `length` bytes were read into `space`; 0 is the end of the stream.

        True when the answer is whole. Fault when the bytes are not an answer, or the stream ended within it.
        """
        raise NotImplementedError


class SizedAnswer(Answer):
    """A response of a known length, at least one byte."""

    def begin(self) -> None:
        """Prepares for the answer to a new request."""
        self._filled = 0
        self.begun = False
        self.reusable = True
        self.body = _NOTHING

    def advance(self, length: int) -> bool:
        """Takes note of bytes."""
        if not length:
            raise closed()
        self.begun = True
        self._filled += length
        if self._filled < len(self._view):
            return False
        self.body = self._view
        return True


class HttpAnswer(Answer):
    """An HTTP/1.x response to a GET request: `Content-Length`, chunked, or up to the end of the stream.

    One buffer holds head and body, and is used again for the next response. A chunked body is decoded into one of its
    own, and what is decoded makes room for what comes.
    """

    def __init__(self, expected_body_bytes: int) -> None:
        """For responses of about this size."""
        self._room = HEAD_BYTES + expected_body_bytes
        super().__init__(self._room)
        #: The status of a whole response.
        self.status = 0

    def begin(self) -> None:
        """Prepares for the answer to a new request."""
        if len(self._view) > max(self._room, KEPT_BYTES):
            self._view = memoryview(bytearray(self._room))
        self._filled = 0
        self._read = 0
        self._end = 0
        self._until_closed = False
        self._decoder = self._decode()
        self.begun = False
        self.reusable = False
        self.body = _NOTHING
        self.status = 0

    def space(self) -> memoryview:
        """Room for the next bytes."""
        if self._filled == len(self._view):
            self._grow()
        return self._view[self._filled :]

    def advance(self, length: int) -> bool:
        """Takes note of bytes, and decodes them."""
        if length:
            self.begun = True
            self._filled += length
            return next(self._decoder, True)
        if not self._until_closed:
            raise closed()
        self._decoder.close()
        self.body = self._view[self._read : self._filled]
        return True

    def _grow(self) -> None:
        size = 2 * self._filled
        if self._end:
            size = min(self._end, max(size, TRUSTED_BYTES))
        larger = memoryview(bytearray(size))
        larger[: self._filled] = self._view[: self._filled]
        self._view = larger

    def _decode(self) -> _Decoder[None]:
        while True:
            head = yield from self._head()
            status = int(head[2])
            if not 100 <= status < 200 or status == 101:
                break
            # An interim response: the one that was asked for follows.
            self._forget()
        said = _said(head[3])
        self.status = status
        self.reusable = _keeps_alive(head[1], said)
        if status in (101, 204, 304):
            yield from self._sized(0)
        elif b"transfer-encoding" in said:
            chunked = said[b"transfer-encoding"][-1] == b"chunked"
            yield from self._chunked() if chunked else self._endless()
        else:
            length = _content_length(said)
            yield from self._endless() if length is None else self._sized(length)

    def _head(self) -> _Decoder[Match[bytes]]:
        """Reads a head, which is at the beginning of the buffer."""
        searched = 0
        while True:
            blank = _BLANK_LINE.search(self._view, searched, self._filled)
            if blank:
                break
            if not b"HTTP/1.".startswith(self._view[: min(7, self._filled)]):
                raise _malformed("this is not an HTTP/1.x response")
            if self._filled > MAX_HEAD_BYTES:
                raise _malformed(f"the response's head is larger than {MAX_HEAD_BYTES} bytes")
            searched = max(0, self._filled - 2)
            yield False
        head = _HEAD.fullmatch(self._view, 0, blank.end())
        if not head:
            raise _malformed("this is not an HTTP/1.x response")
        self._read = head.end()
        return head

    def _sized(self, length: int) -> _Decoder[None]:
        """Reads a body of this length."""
        self._end = self._read + length
        while self._filled < self._end:
            yield False
        # Bytes that nobody asked for would be taken for the next response.
        self.reusable &= self._filled == self._end
        self.body = self._view[self._read : self._end]

    def _endless(self) -> _Decoder[None]:
        """Reads a body that goes to the end of the stream."""
        self.reusable = False
        self._until_closed = True
        while True:
            _check_body(self._filled - self._read)
            yield False

    def _chunked(self) -> _Decoder[None]:
        """Reads a chunked body and its trailer."""
        body = bytearray()
        while True:
            size = _CHUNK_SIZE.fullmatch((yield from self._line()))
            if not size:
                raise _malformed("the size of a chunk is not a number")
            left = int(size[1], 16)
            if not left:
                break
            _check_body(len(body) + left)
            while left:
                data = self._view[self._read : min(self._read + left, self._filled)]
                body += data
                self._read += len(data)
                left -= len(data)
                if left:
                    yield from self._more()
            if (yield from self._line()) not in (b"", b"\r"):
                raise _malformed("a chunk is longer than its size")
        while (yield from self._line()) not in (b"", b"\r"):
            pass
        self.reusable &= self._read == self._filled
        self.body = memoryview(body)

    def _line(self) -> _Decoder[bytes]:
        """Reads a line, and returns it without its line feed."""
        while True:
            line = _LINE.match(self._view, self._read, self._filled)
            if line:
                self._read = line.end()
                return line[1]
            if self._filled - self._read > MAX_HEAD_BYTES:
                raise _malformed("a line of the chunked body does not end")
            yield from self._more()

    def _more(self) -> _Decoder[None]:
        self._forget()
        yield False

    def _forget(self) -> None:
        """Gives the room of what has been read to what comes."""
        left = self._filled - self._read
        self._view[:left] = self._view[self._read : self._filled]
        self._read, self._filled = 0, left


#: The comma-separated values of the fields that matter, in lower case, over all their lines.
_Said = Dict[bytes, List[bytes]]


def _said(fields: bytes) -> _Said:
    said: _Said = {}
    for name, value in _FIELD.findall(fields.lower()):
        said.setdefault(name, []).extend(map(bytes.strip, value.split(b",")))
    return said


def _keeps_alive(minor_version: bytes, said: _Said) -> bool:
    """Whether the connection stays open after this response (RFC 9112, section 9.3)."""
    options = said.get(b"connection", ())
    return b"close" not in options and (minor_version == b"1" or b"keep-alive" in options)


def _content_length(said: _Said) -> Optional[int]:
    """The body's length, if the head tells it (RFC 9112, section 6.3)."""
    lengths = said.get(b"content-length")
    if lengths is None:
        return None
    if not lengths[0].isdigit() or len(lengths[0]) >= 20:
        raise _malformed("the response's content-length is not a number")
    if lengths.count(lengths[0]) != len(lengths):
        raise _malformed("the response has two content-lengths")
    length = int(lengths[0])
    _check_body(length)
    return length


def _check_body(length: int) -> None:
    """Refuses a body that is longer than what is read."""
    if length > MAX_BODY_BYTES:
        raise _malformed(f"the response's body is larger than {MAX_BODY_BYTES} bytes, the most that is read")


def _malformed(what: str) -> Fault:
    return Fault(f"{what}; only plain HTTP/1.1 is spoken")
