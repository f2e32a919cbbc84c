"""The step `http`: one HTTP/1.1 GET request and its response."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..protocol import Job, StepJob
from ..task import VARIANTS, pattern
from .codec import KEPT_BYTES, Fault, HttpAnswer
from .net import BODY_SEED, Address, Peer, RequestStep, resolve


class HttpStep(RequestStep[HttpAnswer]):
    """One request and its response, from the embedded server or from a URL.

    The embedded server's bodies are known, so each one counts in the checksum; a URL's may change, and only its
    status is looked at.
    """

    def __init__(self, number: int, job: Job, step_job: StepJob, _place: object) -> None:
        """Resolves the URL's host; connects later. Failure if it is not one of plain HTTP or has no address."""
        super().__init__(number, step_job)
        url: Optional[str] = step_job.step.get("url")
        connection: str = step_job.step["connection"]
        closing = "Connection: close\r\n" if connection == "new" else ""
        #: The size of the embedded server's bodies; None for a URL, whose bodies have any.
        self._body_bytes: Optional[int] = None
        if url is not None:
            addresses, self._request = self._remote(url, closing)
            expected = KEPT_BYTES
        else:
            if job.server is None:
                raise self.setup("the job names no embedded server")
            self._delays: List[int] = self.delays(step_job)
            self._body_bytes = expected = step_job.step["body_bytes"]
            self.check_size("body", expected)
            addresses = [("127.0.0.1", job.server.http_port)]
            self._request = (
                f"GET /?delay_ns=%d&body_bytes={expected}&variant=%d HTTP/1.1\r\n"
                f"Host: 127.0.0.1:{job.server.http_port}\r\n{closing}\r\n"
            ).encode()
        self.ask(Peer(addresses, connection, job.task_timeout_ns, lambda: HttpAnswer(expected)))

    def request(self, index: int) -> bytes:
        """What task `index` sends."""
        if self._body_bytes is None:
            return self._request
        return self._request % (self._delays[index % len(self._delays)], index % VARIANTS)

    def read(self, answer: HttpAnswer) -> int:
        """The checksum of an answer; Fault if it is none of success."""
        if not 200 <= answer.status < 300:
            what = f"the answer's status is {answer.status}, and only 2xx counts as done"
            raise Fault(f"{what}; correct the url or the other side")
        if self._body_bytes is None:
            return self.checksum(None)
        if len(answer.body) != self._body_bytes:
            raise Fault(f"the answer has {len(answer.body)} bytes instead of {self._body_bytes}")
        return self.checksum(answer.body)

    def reference(self, index: int, item: object) -> int:
        """The checksum that the answer must have; the server is not asked."""
        if self._body_bytes is None:
            return self.checksum(None)
        return self.checksum(pattern(self._body_bytes, BODY_SEED + index % VARIANTS))

    def _remote(self, url: str, closing: str) -> Tuple[List[Address], bytes]:
        """The addresses behind a URL, and the whole request."""
        try:
            host, port, request = remote_request(url, closing)
            return resolve(host, port), request
        except Fault as fault:
            raise self.setup(str(fault)) from fault


def remote_request(url: str, closing: str) -> Tuple[str, int, bytes]:
    """Host, port and request of a URL in its normal form, which has a path and is all ASCII."""
    # Few workloads have one, and the import takes milliseconds.
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Fault(f"`{url}` is not a url: {error}") from error
    if parts.scheme != "http":
        raise Fault(
            f"`{url}` is not an http:// url, and only plain HTTP/1.1 is spoken; put a local proxy before the other side"
        )
    if not host:
        raise Fault(f"`{url}` names no host")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Fault(f"`{url}` is not a url in its normal form; write other characters as %XX")
    authority = f"[{host}]" if ":" in host else host
    request = (
        f"GET {parts.path or '/'}{'?' if parts.query else ''}{parts.query} HTTP/1.1\r\n"
        f"Host: {authority}{'' if port is None else f':{port}'}\r\n"
        f"User-Agent: conbench\r\nAccept: */*\r\n{closing}\r\n"
    )
    return host, port or 80, request.encode()
