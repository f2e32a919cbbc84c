"""The steps `http` and `tcp`, in both forms, over real sockets; and peers that misbehave."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from typing import Any, Awaitable, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import parse_qsl

from conbench_agent.protocol import Candidate, Failure, Job, Load, Payload, Server, Sizes, StepJob
from conbench_agent.steps.codec import Fault
from conbench_agent.steps.http import HttpStep, remote_request
from conbench_agent.steps.net import BODY_SEED, RequestStep, resolve
from conbench_agent.steps.tcp import HEADER, TcpStep, split_address
from conbench_agent.task import VARIANTS, pattern

#: No test waits longer, so that none can hang.
PATIENCE_NS = 60 * 10**9
#: How long a test waits for a peer that never answers.
SHORT_NS = 50_000_000

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

LOOPS: List[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
try:
    import uvloop  # type: ignore[import-not-found, unused-ignore]

    LOOPS.append(uvloop.new_event_loop)
except ImportError:
    pass

Step = RequestStep[Any]
#: Does a step once, on any thread, and returns its checksum.
Form = Callable[[Step, int], int]


#: Peers make the same bodies again and again, and the largest take a while.
bytes_of = lru_cache(maxsize=64)(pattern)


class Peer:
    """A server on threads, which calls `serve` with each of its connections and counts them."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self._open: List[socket.socket] = []
        self._threads: List[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.leaving = threading.Event()
        self._start(self._accept)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        # Closing a listener wakes nobody; shutting it down does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for stream in self._open:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(stream)
            self._start(self._connection, stream)

    def _connection(self, stream: socket.socket) -> None:
        with stream, suppress(OSError):
            self._serve(stream)


def answering(answer: Callable[[int, bytes], bytes]) -> Peer:
    """A peer that answers the nth request it sees, over all connections, with `answer(n, its first line)`.

    An empty answer, and one with `close` in it, ends the connection.
    """
    lock, seen = threading.Lock(), [0]

    def serve(stream: socket.socket) -> None:
        with stream.makefile("rb") as lines:
            while True:
                first = lines.readline()
                for line in lines:
                    if line == b"\r\n":
                        break
                else:
                    return
                with lock:
                    number, seen[0] = seen[0], seen[0] + 1
                data = answer(number, first)
                # In two pieces, so that the client sees the seam.
                stream.sendall(data[: len(data) // 2])
                stream.sendall(data[len(data) // 2 :])
                if not data or b"close" in data:
                    # Even while the reader holds the socket.
                    stream.shutdown(socket.SHUT_RDWR)
                    return

    return Peer(serve)


def embedded_http() -> Peer:
    """What the embedded server does for `http`, without its delays."""

    def answer(_: int, line: bytes) -> bytes:
        query = dict(parse_qsl(line.split()[1].decode().partition("?")[2]))
        body = bytes_of(int(query["body_bytes"]), BODY_SEED + int(query["variant"]))
        assert int(query["delay_ns"]) == 5000 + int(query["variant"])
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    return answering(answer)


def embedded_tcp() -> Peer:
    """What the embedded server does for `tcp`, without its delays."""

    def serve(stream: socket.socket) -> None:
        with stream.makefile("rb") as requests:
            while True:
                header = requests.read(HEADER.size)
                if len(header) < HEADER.size:
                    return
                request_bytes, response_bytes, delay_ns, variant = HEADER.unpack(header)
                assert requests.read(request_bytes) == bytes_of(request_bytes, 1)
                assert delay_ns == 5000 + variant
                stream.sendall(bytes_of(response_bytes, BODY_SEED + variant))

    return Peer(serve)


class Silent(Peer):
    """A peer that accepts, and neither reads nor answers."""

    def __init__(self) -> None:
        super().__init__(lambda stream: (self.leaving.wait(), None)[1])


@contextmanager
def refusing() -> Iterator[int]:
    """A port that is taken and refuses: bound, but not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def job(step: Dict[str, Any], server: Optional[Server], timeout_ns: int) -> Job:
    """A job of one step, with a delay that depends on the variant."""
    draws = [[5000 + index % VARIANTS for index in range(32)]]
    return Job(
        candidate=Candidate("python", "sequential", Sizes()),
        load=Load("closed", 4),
        payload=Payload(0, 0),
        steps=[StepJob(step, 1, draws)],
        seed=1,
        task_timeout_ns=timeout_ns,
        server=server,
    )


def http_step(
    url: Optional[str] = None,
    port: Optional[int] = None,
    connection: str = "keep-alive",
    body_bytes: int = 3000,
    timeout_ns: int = PATIENCE_NS,
) -> HttpStep:
    step = {"kind": "http", "delay": {}, "body_bytes": body_bytes, "connection": connection}
    if url is not None:
        step["url"] = url
    of = job(step, None if port is None else Server(port, 0, 1), timeout_ns)
    return HttpStep(1, of, of.steps[0], None)


def tcp_step(
    address: Optional[str] = None,
    port: Optional[int] = None,
    connection: str = "keep-alive",
    request_bytes: int = 5000,
    response_bytes: int = 3001,
    timeout_ns: int = PATIENCE_NS,
) -> TcpStep:
    sizes = {"request_bytes": request_bytes, "response_bytes": response_bytes}
    step = {"kind": "tcp", "delay": {}, **sizes, "connection": connection}
    if address is not None:
        step["address"] = address
    of = job(step, None if port is None else Server(0, port, 1), timeout_ns)
    return TcpStep(2, of, of.steps[0], None)


def on_a_loop(new_loop: Callable[[], asyncio.AbstractEventLoop], step: Step, work: Callable[[], Awaitable[Any]]) -> Any:
    """What `work` returns; the step is closed at its end."""

    async def whole() -> Any:
        try:
            return await asyncio.wait_for(work(), PATIENCE_NS / 1e9)
        finally:
            step.close()

    loop = new_loop()
    try:
        return loop.run_until_complete(whole())
    finally:
        loop.close()


def everywhere(make: Callable[[], Step], indices: List[int]) -> List[List[object]]:
    """What each form gives for these indices, one after another: checksums, or messages of failures."""

    def outcome(error: Failure) -> str:
        assert error.kind == "task"
        assert error.where in ("step 1 (http)", "step 2 (tcp)")
        return error.message

    gained: List[List[object]] = [[]]
    step = make()
    for index in indices:
        try:
            gained[0].append(step.blocking(index, None)[0])
        except Failure as error:
            gained[0].append(outcome(error))
    step.close()

    for new_loop in LOOPS:
        step = make()

        async def each(step: Step = step) -> List[object]:
            found: List[object] = []
            for index in indices:
                try:
                    found.append((await step.asynchronous(index, None))[0])
                except Failure as error:
                    found.append(outcome(error))
            return found

        gained.append(on_a_loop(new_loop, step, each))
    return gained


class Embedded(unittest.TestCase):
    def test_both_forms_of_both_steps_agree_with_the_reference_on_kept_and_new_connections(self) -> None:
        indices = list(range(2 * VARIANTS))
        with embedded_http() as http, embedded_tcp() as tcp:
            for connection, each in [("keep-alive", 1), ("new", len(indices))]:
                sums = set()
                makers: List[Tuple[Peer, Callable[[], Step]]] = [
                    (http, partial(http_step, port=http.port, connection=connection)),
                    (tcp, partial(tcp_step, port=tcp.port, connection=connection)),
                ]
                for peer, make in makers:
                    expected = [make().reference(index, None) for index in indices]
                    sums.update(expected)
                    peer.connections = 0
                    for found in everywhere(make, indices):
                        self.assertEqual(found, expected)
                    self.assertEqual(peer.connections, each * (1 + len(LOOPS)))
                self.assertEqual(len(sums), 2 * VARIANTS, "each variant of each step has a checksum of its own")

    def test_a_table_of_one_draw_serves_any_index(self) -> None:
        with embedded_http() as peer:
            step_of = {"kind": "http", "delay": {}, "body_bytes": 9, "connection": "new"}
            of = job(step_of, Server(peer.port, 0, 1), PATIENCE_NS)
            of = of._replace(steps=[of.steps[0]._replace(draws=[[5000 + 7]])])
            step = HttpStep(1, of, of.steps[0], None)
            self.assertEqual(step.blocking(16 * 100 + 7, None)[0], step.reference(7, None))

    def test_bodies_of_16_mib_in_both_directions(self) -> None:
        size = 16 << 20
        with embedded_http() as http, embedded_tcp() as tcp:
            makers: List[Callable[[], Step]] = [
                lambda: http_step(port=http.port, body_bytes=size),
                lambda: tcp_step(port=tcp.port, request_bytes=size, response_bytes=size),
            ]
            for make in makers:
                expected = [make().reference(index, None) for index in (0, 1)]
                for found in everywhere(make, [0, 1]):
                    self.assertEqual(found, expected)

    def test_hundreds_in_flight_on_one_loop_all_get_their_own_answer(self) -> None:
        with embedded_http() as peer:
            for new_loop in LOOPS:
                peer.connections = 0
                step = http_step(port=peer.port)

                async def work(step: HttpStep = step) -> List[int]:
                    done = await asyncio.gather(*[step.asynchronous(index, None) for index in range(200)])
                    done += await asyncio.gather(*[step.asynchronous(index, None) for index in range(200)])
                    return [checksum for checksum, _ in done]

                expected = [step.reference(index, None) for index in range(200)]
                self.assertEqual(on_a_loop(new_loop, step, work), 2 * expected)
                self.assertEqual(peer.connections, 200, "as many connections as were in flight")

    def test_threads_share_a_pool_and_each_gets_its_own_answer(self) -> None:
        with embedded_tcp() as peer, ThreadPoolExecutor(8) as pool:
            step = tcp_step(port=peer.port)
            found = list(pool.map(lambda index: step.blocking(index, None)[0], range(200)))
            self.assertEqual(found, [step.reference(index, None) for index in range(200)])
            self.assertLessEqual(peer.connections, 8)
            step.close()

    def test_each_loop_has_connections_of_its_own(self) -> None:
        with embedded_http() as peer:
            step = http_step(port=peer.port)
            expected = step.reference(0, None)
            for new_loop in LOOPS:
                for _ in range(3):
                    loop = new_loop()
                    for _ in range(2):
                        self.assertEqual(loop.run_until_complete(step.asynchronous(0, None))[0], expected)
                    loop.close()
            step.close()
            self.assertEqual(peer.connections, 3 * len(LOOPS))


class Urls(unittest.TestCase):
    def test_keep_alive_uses_one_connection_and_new_one_each(self) -> None:
        for connection, each in [("keep-alive", 1), ("new", 10)]:
            with answering(lambda _, line: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as peer:
                expected = http_step(url=peer.url).reference(0, None)
                for found in everywhere(partial(http_step, peer.url, connection=connection), list(range(10))):
                    self.assertEqual(found, [expected] * 10)
                self.assertEqual(peer.connections, each * (1 + len(LOOPS)))

    def test_chunked_and_close_delimited_responses_are_read_to_their_end(self) -> None:
        answers = [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
            EMPTY,
            EMPTY,
        ]
        with answering(lambda number, line: answers[number % 4]) as peer:
            expected = http_step(url=peer.url).reference(0, None)
            for found in everywhere(lambda: http_step(url=peer.url), [0, 1, 2, 3]):
                self.assertEqual(found, [expected] * 4)
            self.assertEqual(peer.connections, 2 * (1 + len(LOOPS)), "the second response ends its connection")

    def test_a_request_asks_for_the_path_and_query_of_its_url(self) -> None:
        lines = []
        with answering(lambda _, line: lines.append(line) or EMPTY) as peer:  # type: ignore[func-returns-value]
            everywhere(lambda: http_step(url=peer.url + "a%20b?c=%d"), [0])
        self.assertEqual(lines, [b"GET /a%20b?c=%d HTTP/1.1\r\n"] * (1 + len(LOOPS)))

    def test_urls_become_requests(self) -> None:
        host, port, request = remote_request("http://[::1]:8080/a%20b?c=d", "Connection: close\r\n")
        self.assertEqual((host, port), ("::1", 8080))
        self.assertTrue(request.startswith(b"GET /a%20b?c=d HTTP/1.1\r\nHost: [::1]:8080\r\n"), request)
        self.assertTrue(request.endswith(b"Accept: */*\r\nConnection: close\r\n\r\n"))
        self.assertEqual(remote_request("http://example.org", "")[:2], ("example.org", 80))
        for url, reason in [
            ("https://example.org/", "only plain HTTP/1.1"),
            ("example", "only plain HTTP/1.1"),
            ("http://host:x/", "not a url"),
            ("http:///", "names no host"),
            ("http://host/a b", "not a url"),
            ("http://host/\u00e9", "not a url"),
        ]:
            with self.assertRaisesRegex(Fault, re.escape(reason)):
                remote_request(url, "")

    def test_addresses_are_split_at_the_port(self) -> None:
        self.assertEqual(split_address("localhost:80"), ("localhost", 80))
        self.assertEqual(split_address("[::1]:80"), ("::1", 80))
        for address in ("localhost", "localhost:http", "localhost:", "localhost:-1", "localhost:65536"):
            with self.assertRaises(Fault):
                split_address(address)

    def test_an_address_is_sent_no_header_and_its_answer_does_not_count(self) -> None:
        seen = []

        def serve(stream: socket.socket) -> None:
            with stream.makefile("rb") as requests:
                seen.append(requests.read(3000))
            stream.sendall(b"any")

        with Peer(serve) as peer:
            make = partial(tcp_step, f"127.0.0.1:{peer.port}", request_bytes=3000, response_bytes=3)
            for found in everywhere(make, [5]):
                self.assertEqual(found, [make().reference(0, None)])
        self.assertEqual(seen, [pattern(3000, 1)] * (1 + len(LOOPS)))

    def test_the_second_address_is_tried_when_the_first_refuses(self) -> None:
        with answering(lambda _, line: EMPTY) as peer, refusing() as refused:

            def make() -> HttpStep:
                step = http_step(url=peer.url)
                step._peer.addresses = [("127.0.0.1", refused), ("127.0.0.1", peer.port)]
                return step

            for found in everywhere(make, [0]):
                self.assertEqual(found, [make().reference(0, None)])


class Misbehaviour(unittest.TestCase):
    def check(self, make: Callable[[], Step], reason: str) -> None:
        """Every form fails for the same reason, which holds `reason`."""
        found = everywhere(make, [0])
        self.assertIn(reason, str(found[0][0]))
        for other in found:
            self.assertEqual(other, found[0])

    def test_a_kept_connection_that_the_peer_closed_is_replaced_once(self) -> None:
        # Every second request finds its connection closed under it.
        with answering(lambda number, line: b"" if number % 2 else EMPTY) as peer:
            expected = http_step(url=peer.url).reference(0, None)
            step = http_step(url=peer.url)
            self.assertEqual([step.blocking(index, None)[0] for index in range(3)], [expected] * 3)
            self.assertEqual(peer.connections, 3)
            step.close()
        for new_loop in LOOPS:
            with answering(lambda number, line: b"" if number % 2 else EMPTY) as peer:
                step = http_step(url=peer.url)

                async def work(step: HttpStep = step) -> List[int]:
                    return [(await step.asynchronous(index, None))[0] for index in range(3)]

                self.assertEqual(on_a_loop(new_loop, step, work), [expected] * 3)
                self.assertEqual(peer.connections, 3)
        with answering(lambda number, line: b"") as peer:
            self.check(lambda: http_step(url=peer.url), "closed the connection")
            self.assertEqual(peer.connections, 1 + len(LOOPS), "a new connection is not tried again")

    def test_bytes_that_nobody_asked_for_end_an_idle_connection_of_a_loop(self) -> None:
        for new_loop in LOOPS:
            told = threading.Event()

            def serve(stream: socket.socket, told: threading.Event = told) -> None:
                stream.recv(1000)
                stream.sendall(b"abc")
                told.wait()
                stream.sendall(b"unasked")
                while stream.recv(1000):
                    pass

            with Peer(serve) as peer:
                step = tcp_step(f"127.0.0.1:{peer.port}", request_bytes=1, response_bytes=3)

                async def work(step: TcpStep = step, peer: Peer = peer, told: threading.Event = told) -> None:
                    await step.asynchronous(0, None)
                    told.set()
                    # The loop sees them sooner or later; from then on a request opens another connection.
                    while peer.connections == 1:
                        await asyncio.sleep(0.01)
                        await step.asynchronous(0, None)

                on_a_loop(new_loop, step, work)

    def test_bad_answers_fail_the_task_with_the_reason(self) -> None:
        for answer, reason in [
            (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "status is 500"),
            (b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "status is 301"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nclose", "closed the connection"),
            (b"close your eyes\r\n", "not an HTTP/1.x response"),
        ]:
            with answering(partial(lambda answer, number, line: answer, answer)) as peer:
                self.check(lambda: http_step(url=peer.url), reason)

    def test_a_body_of_another_length_is_refused(self) -> None:
        with answering(lambda number, line: EMPTY) as peer:
            self.check(lambda: http_step(port=peer.port), "has 0 bytes instead of 3000")

    def test_a_connection_that_is_reset_fails_the_task(self) -> None:
        def serve(stream: socket.socket) -> None:
            stream.recv(10000)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with Peer(serve) as peer:
            self.check(lambda: http_step(url=peer.url), "the connection failed: Connection reset by peer")
            self.check(lambda: tcp_step(port=peer.port, request_bytes=0), "Connection reset by peer")

    def test_a_peer_that_does_not_answer_is_a_timeout(self) -> None:
        with Silent() as peer:
            reason = "no answer within the task's timeout of 50ms"
            self.check(lambda: http_step(url=peer.url, timeout_ns=SHORT_NS), reason)
            # More than the buffers between the two ends hold.
            self.check(lambda: tcp_step(port=peer.port, request_bytes=16 << 20, timeout_ns=SHORT_NS), reason)

    def test_a_peer_that_trickles_is_a_timeout(self) -> None:
        def serve(stream: socket.socket) -> None:
            stream.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                stream.sendall(b"name: value\r\n")
                threading.Event().wait(0.01)

        with Peer(serve) as peer:
            self.check(lambda: http_step(url=peer.url, timeout_ns=SHORT_NS), "timeout of 50ms")

    def test_one_timer_looks_after_many_requests(self) -> None:
        with answering(lambda number, line: b"HTTP/1.1 200 OK\r\n" if number >= 20 else EMPTY) as peer:
            for new_loop in LOOPS[:1]:
                step = http_step(url=peer.url, timeout_ns=SHORT_NS)

                async def work(step: HttpStep = step) -> None:
                    # Longer than one timeout on the whole, and far shorter each.
                    for _ in range(20):
                        await step.asynchronous(0, None)
                        await asyncio.sleep(0.005)
                    with self.assertRaisesRegex(Failure, "timeout of 50ms"):
                        await step.asynchronous(0, None)

                on_a_loop(new_loop, step, work)

    def test_a_task_that_is_cancelled_takes_its_connection_with_it(self) -> None:
        for new_loop in LOOPS:
            asked = threading.Event()

            def answer(number: int, _: bytes, asked: threading.Event = asked) -> bytes:
                asked.set()
                return EMPTY if number else b"HTTP/1.1 200 OK\r\n"

            with answering(answer) as peer:
                step = http_step(url=peer.url)

                async def work(step: HttpStep = step, asked: threading.Event = asked) -> int:
                    task = asyncio.ensure_future(step.asynchronous(0, None))
                    while not asked.is_set():
                        await asyncio.sleep(0.001)
                    task.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await task
                    return (await step.asynchronous(1, None))[0]

                self.assertEqual(on_a_loop(new_loop, step, work), step.reference(1, None))
                self.assertEqual(peer.connections, 2)

    def test_one_that_is_not_there_is_named(self) -> None:
        with refusing() as port:
            reason = "cannot connect: Connection refused; nothing listens there"
            self.check(lambda: http_step(url=f"http://127.0.0.1:{port}/"), reason)
            self.check(lambda: tcp_step(port=port, connection="new"), reason)

    def test_a_step_that_cannot_be_set_up_says_why(self) -> None:
        many = 1 << 40
        cases: List[Tuple[Callable[[], Step], str]] = [
            (lambda: http_step(url="https://localhost/"), "only plain HTTP/1.1"),
            (lambda: http_step(url="http://no-such-host.invalid/"), "cannot resolve `no-such-host.invalid`"),
            (lambda: http_step(port=1, body_bytes=many), "the body is larger than"),
            (lambda: http_step(), "names no embedded server"),
            (lambda: tcp_step(), "names no embedded server"),
            (lambda: tcp_step(port=1, response_bytes=0), "at least one"),
            (lambda: tcp_step("localhost:1", request_bytes=0), "at least one"),
            (lambda: tcp_step("localhost"), "not `host:port`"),
            (lambda: tcp_step(port=1, request_bytes=many), "the request is larger than"),
            (lambda: tcp_step(port=1, response_bytes=many), "the response is larger than"),
        ]
        for make, reason in cases:
            with self.assertRaises(Failure) as caught:
                make()
            self.assertEqual(caught.exception.kind, "setup")
            self.assertIn(reason, caught.exception.message)

    def test_delays_must_be_there_and_short_enough(self) -> None:
        of = job({"kind": "http", "delay": {}, "body_bytes": 1, "connection": "new"}, Server(1, 1, 1), 1)
        cases: List[Tuple[List[List[int]], str]] = [
            ([], "no table"),
            ([[]], "no table"),
            ([[1, 3_600_000_000_001]], "longer than one hour"),
        ]
        for draws, reason in cases:
            with self.assertRaisesRegex(Failure, reason):
                HttpStep(1, of, of.steps[0]._replace(draws=draws), None)

    def test_names_are_resolved_to_addresses(self) -> None:
        self.assertEqual(resolve("127.0.0.1", 80), [("127.0.0.1", 80)])
        self.assertEqual(resolve("::1", 80), [("::1", 80)])
