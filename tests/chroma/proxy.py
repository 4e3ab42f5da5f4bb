"""Something between us and a Chroma server: a gate that wants a token, and a network that loses things."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

TOKEN = "a-very-secret-token"


class Proxy(ThreadingHTTPServer):
    """``plan`` says what happens to a request, by method and path: a status that it is answered with, several words (the server
    says to have broken on them), ``lose`` (it is done, and nobody hears of it), ``page`` (it is done, and answered with a
    gateway's page), ``hang`` (no answer, nothing done), or None: it passes.
    """

    daemon_threads = True

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server_url = server
        self.plan: Callable[[str, str], int | str | None] = lambda method, path: None
        self.wants_token = False
        self.most_bytes = 10**9
        self.largest = 0
        """Bytes of a request that was let through."""
        self.logins: set[str | None] = set()
        self.seen: Counter[str] = Counter()
        self.client = httpx.Client(timeout=30)
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen[f"{self.command} {self.path.rpartition('/')[2]}"] += 1
        if self.server.wants_token and self.headers.get("x-chroma-token") != TOKEN:
            said = self.headers.get("x-chroma-token")
            return self._answer(401, f'{{"error":"Unauthorized","message":"no such token: {said}"}}'.encode())
        self.server.logins.add(self.headers.get("authorization"))
        fate = 413 if len(body) > self.server.most_bytes else self.server.plan(self.command, self.path)
        if fate != 413:
            self.server.largest = max(self.server.largest, len(body))
        if isinstance(fate, int):
            return self._answer(fate, f"<html><b>status {fate}</b></html>".encode())
        if isinstance(fate, str) and " " in fate:
            return self._answer(500, fate.encode())
        if fate == "hang":
            self.server.released.wait(30)
            self.close_connection = True
            return None
        headers = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "accept")}
        found = self.server.client.request(
            self.command, self.server.server_url + self.path, content=body, headers=headers
        )
        if fate == "lose":
            self.close_connection = True
            return None
        page = b"<html><h1>Welcome to the hotel</h1></html>"
        return self._answer(found.status_code, page if fate == "page" else found.content)

    do_GET = do_POST = do_PUT = do_DELETE = _any

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on a test's screen."""


@contextmanager
def proxied(server: str) -> Iterator[Proxy]:
    """A proxy before the server of that URL."""
    proxy = Proxy(server)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()
        proxy.client.close()
