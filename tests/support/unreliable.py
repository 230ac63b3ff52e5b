"""A proxy in front of an HTTP server that fails some of the requests, and counts them all."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.waiting import HANG_SECONDS

FAULTS = ("500", "503", "dropped", "answer lost", "cut short", "stalled")
"""How a request may fail; with "answer lost", the server has carried it out."""

_OURS = {"connection", "content-length", "expect", "transfer-encoding"}
"""Headers of one connection, which are not passed on to the next."""


@dataclass
class Flaky:
    """The settings of a proxy, and a record of its requests."""

    upstream: str
    url: str = ""
    one_in: int = 0
    """One in so many requests fails; 0 means none."""
    faults: tuple[str, ...] = FAULTS
    requests: list[tuple[str, str]] = field(default_factory=list)
    """The method and the path with query of each request."""
    dealt: list[str] = field(default_factory=list)
    """The faults so far, in order."""
    chance: random.Random = field(default_factory=lambda: random.Random(20161))
    lock: threading.Lock = field(default_factory=threading.Lock)
    end: threading.Event = field(default_factory=threading.Event)

    def meet(self, method: str, path: str) -> str | None:
        """Record a request and choose its fault, if any."""
        with self.lock:
            self.requests.append((method, path))
            if not self.one_in or self.chance.randrange(self.one_in):
                return None
            self.dealt.append(self.chance.choice(self.faults))
            return self.dealt[-1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Flaky

    def log_message(self, *_words: Any) -> None:
        """Print nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client may give up
            self.close_connection = True

    def pass_on(self) -> None:
        fault = self.proxy.meet(self.command, self.path)
        body = self._body()
        if fault in {"500", "503"}:
            self._answer(int(fault), [], b"")
            return
        if fault == "stalled":
            self.proxy.end.wait(HANG_SECONDS)
        self.close_connection = fault is not None
        if fault in {"dropped", "stalled"}:
            return
        status, headers, data = self._ask(body)
        if fault != "answer lost":
            self._answer(status, headers, data, cut=fault == "cut short")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=HANG_SECONDS)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _OURS:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data

    def _answer(
        self, status: int, headers: list[tuple[str, str]], data: bytes, *, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        for name, value in headers:
            if name.lower() not in _OURS:
                self.send_header(name, value)
        self.send_header("Content-Length", (lengths or [str(len(data))])[0])
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)


@contextmanager
def flaky(upstream: str) -> Iterator[Flaky]:
    """Put a proxy in front of a server.

    Args:
        upstream: the server's host and port.
    """
    proxy = Flaky(upstream)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.end.set()
        server.shutdown()
        thread.join()
        server.server_close()
