"""The codecs of answers, fed in every way that a network may cut them."""

from __future__ import annotations

import random
import unittest
from contextlib import suppress
from itertools import chain
from typing import Iterator, Tuple

from conbench_agent.steps.codec import KEPT_BYTES, MAX_HEAD_BYTES, Answer, Fault, HttpAnswer, Lost, SizedAnswer

Read = Tuple[int, bytes, bool]


def feed(answer: Answer, stream: bytes, pieces: Iterator[int]) -> None:
    """Feeds `stream` in pieces of the given lengths until the answer is whole, or else its end."""
    answer.begin()
    while stream:
        space = answer.space()
        length = min(next(pieces), len(stream), len(space))
        space[:length] = stream[:length]
        stream = stream[length:]
        if answer.advance(length):
            return
    answer.advance(0)


def always(length: int) -> Iterator[int]:
    while True:
        yield length


def read(answer: HttpAnswer, stream: bytes, pieces: Iterator[int]) -> Read:
    feed(answer, stream, pieces)
    return answer.status, bytes(answer.body), answer.reusable


def whole(stream: bytes) -> Read:
    return read(HttpAnswer(0), stream, always(1 << 30))


def chunked(body: bytes, chunk: int) -> bytes:
    parts = [body[start : start + chunk] for start in range(0, len(body), chunk)]
    coded = b"".join(b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + coded + b"0\r\nTrailer: yes\r\n\r\n"


def sized(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class HttpAnswers(unittest.TestCase):
    def test_any_split_gives_the_same_response(self) -> None:
        body = random.Random(1).getrandbits(8 * 300).to_bytes(300, "little")
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        for stream, reusable in [
            (sized(body), True),
            (interim + sized(b""), True),
            (chunked(body, 7), True),
            (chunked(b"", 7), True),
            (b"HTTP/1.1 200 OK\r\n\r\n" + body, False),
        ]:
            expected = whole(stream)
            self.assertEqual((expected[0], expected[2]), (200, reusable))
            for split in range(1, len(stream)):
                # Twice on one codec: nothing of the first response may show in the second.
                answer = HttpAnswer(10)
                for pieces in (chain([split], always(len(stream))), always(split)):
                    self.assertEqual(read(answer, stream, pieces), expected, (stream, split))

    def test_random_pieces_of_random_bodies(self) -> None:
        draw = random.Random(2)
        for _ in range(60):
            body = bytes(draw.getrandbits(8) for _ in range(draw.randrange(3000)))
            pieces = iter(lambda: draw.randrange(1, 500), 0)
            answer = HttpAnswer(draw.randrange(3000))
            self.assertEqual(read(answer, sized(body), pieces), (200, body, True))
            self.assertEqual(read(answer, chunked(body, draw.randrange(1, 700)), pieces), (200, body, True))
            self.assertEqual(read(answer, b"HTTP/1.1 200 OK\r\n\r\n" + body, pieces), (200, body, False))

    def test_arbitrary_bytes_give_an_answer_or_a_fault(self) -> None:
        draw = random.Random(3)
        for _ in range(2000):
            head = draw.choice([b"", b"HTTP/1.1 ", sized(b"")[:-5], chunked(b"", 1)[:-19], b"HTTP/1.1 200 OK\r\n"])
            noise = bytes(draw.choice(b"\r\n;: 0af\x00\xffHTP/1.chunked") for _ in range(draw.randrange(60)))
            with suppress(Fault):
                read(HttpAnswer(0), head + noise, iter(lambda: draw.randrange(1, 50), 0))

    def test_what_does_not_end_is_a_fault_with_a_reason(self) -> None:
        cases = [
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + "x" * 70000, "does not end"),
            ("HTTP/1.1 200 OK\r\nName: " + "x" * 2 * MAX_HEAD_BYTES, "head is larger"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + "x" * 4999, "closed the connection"),
        ]
        for stream, reason in cases:
            for pieces in (1 << 30, 1000):
                with self.assertRaises(Fault, msg=stream) as caught:
                    read(HttpAnswer(0), stream.encode(), always(pieces))
                self.assertIn(reason, str(caught.exception))
                self.assertEqual(isinstance(caught.exception, Lost), "closed" in reason)

    def test_a_kept_buffer_is_small(self) -> None:
        answer = HttpAnswer(0)
        body = b"x" * (4 << 20)
        self.assertEqual(read(answer, sized(body), always(65536)), (200, body, True))
        answer.begin()
        self.assertLessEqual(len(answer.space()), KEPT_BYTES)

    def test_a_length_is_only_a_claim(self) -> None:
        answer = HttpAnswer(0)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n"
        answer.begin()
        answer.space()[: len(head)] = head
        self.assertFalse(answer.advance(len(head)))
        answer.advance(len(answer.space()))
        self.assertLessEqual(len(answer.space()), 1 << 20)

    def test_large_bodies_arrive_whole(self) -> None:
        body = bytes(range(256)) * (1 << 16)
        for stream in (sized(body), chunked(body, 1 << 16), b"HTTP/1.1 200 OK\r\n\r\n" + body):
            answer, sent = HttpAnswer(0), memoryview(stream)
            answer.begin()
            done = False
            while sent and not done:
                space = answer.space()
                length = min(len(space), len(sent), 1 << 18)
                space[:length] = sent[:length]
                sent = sent[length:]
                done = answer.advance(length)
            self.assertTrue(done or answer.advance(0))
            self.assertEqual(bytes(answer.body), body)


class SizedAnswers(unittest.TestCase):
    def test_a_response_is_whole_at_its_length(self) -> None:
        answer = SizedAnswer(5)
        for pieces in (always(1), always(5), iter([3, 2])):
            feed(answer, b"hello, more", pieces)
            self.assertEqual((bytes(answer.body), answer.reusable, answer.begun), (b"hello", True, True))

    def test_a_response_that_ends_early_is_lost(self) -> None:
        answer = SizedAnswer(5)
        with self.assertRaises(Lost):
            feed(answer, b"hell", always(3))
        self.assertTrue(answer.begun)
        with self.assertRaises(Lost):
            feed(answer, b"", always(1))
        self.assertFalse(answer.begun)
