"""Before a request is looked at: who may ask, how much is taken, how many are answered at once. And what is logged of it.

Laws
----
1. A request has a place only once its body is here, so that slow clients take none from others; both are bounded, and nobody
   queues.
2. A token is compared in constant time. Without one that is right, nothing is answered but whether the process lives and is ready.
3. The log has method, path, status and milliseconds: no query string, no header, no body.
"""

import asyncio
import hmac
import logging
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vector_pipeline.service.limits import Limits
from vector_pipeline.service.problems import problem

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that need no token: whoever starts and balances has none."""
_PATHS = frozenset({*OPEN, "/metrics", "/openapi.json", "/v1/datasets"})
_QUERY = re.compile(r"/v1/datasets/[^/]+/query")
QUERY_ROUTE = "/v1/datasets/{dataset}/query"
_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
_SHOWN, _METHOD = 200, 16
"""Characters of a path and of a method in the log."""
_log = logging.getLogger("vector_pipeline.service.access")


@dataclass(slots=True)
class Tally:
    """What the gate counts. Of one event loop."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By route and status."""
    saturated: int = 0
    """Refused because all places were taken."""
    reading: int = 0
    """Requests whose body is being received."""
    working: int = 0
    """Requests that have a place."""


def route_of(path: str) -> str:
    """The route of a path, so that no client can make labels."""
    return path if path in _PATHS else QUERY_ROUTE if _QUERY.fullmatch(path) else "other"


class Gate:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, *, limits: Limits, token: str | None, tally: Tally) -> None:
        self._app = app
        self._limits = limits
        self._token = token
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, route = time.perf_counter(), 500, route_of(scope["path"])

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        try:
            refused = await self._passed(scope, receive, sent, route)
            if refused is not None:
                await refused(scope, receive, sent)
        except _Gone:
            status = 499  # As nginx: the client closed the connection. Nobody is answered.
        finally:
            self._tally.requests[route, status] += 1
            took = (time.perf_counter() - began) * 1000
            raw = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
            path = raw[:_SHOWN].decode("ascii", "backslashreplace").encode("unicode_escape").decode()
            _log.info("%s %s %d %.1f ms", scope["method"][:_METHOD], path, status, took)

    async def _passed(self, scope: Scope, receive: Receive, send: Send, route: str) -> Response | None:
        """Let a request through, or give what refuses it."""
        headers = Headers(scope=scope)
        trusted = self._token is None or _same(headers.get("authorization", ""), self._token)
        scope.setdefault("state", {})["trusted"] = trusted
        if not trusted and route not in OPEN:
            return problem(
                401, "a token is needed. Send the header Authorization: Bearer …", kind="unauthorized",
                headers={"www-authenticate": "Bearer"},
            )  # fmt: skip
        if scope["method"] != "POST" or route != QUERY_ROUTE:  # Of nothing else is a body read.
            await self._app(scope, receive, send)
            return None
        if not _JSON.match(headers.get("content-type", "")):
            return problem(415, "the body must be JSON. Send the header Content-Type: application/json", kind="input")
        body = await self._body(headers, receive)
        if isinstance(body, Response):
            return body
        if self._tally.working >= self._limits.max_concurrency:
            return self._saturated()
        self._tally.working += 1
        try:
            await self._app(scope, _once(body, receive), send)
        finally:
            self._tally.working -= 1
        return None

    async def _body(self, headers: Headers, receive: Receive) -> bytes | Response:
        """The whole body, or what refuses it."""
        most = self._limits.body_bytes
        said, close = f"the body is larger than {most} bytes. Send fewer texts", {"connection": "close"}
        too_much = problem(413, said, kind="input", headers=close)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            return too_much
        if self._tally.reading >= self._limits.max_reading:
            return self._saturated()
        self._tally.reading += 1
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    body += message.get("body", b"")
                    if len(body) > most:
                        return too_much
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            said = f"the body did not arrive within {self._limits.timeout_s:g} s"
            return problem(408, said, kind="timeout", headers=close)
        finally:
            self._tally.reading -= 1

    def _saturated(self) -> Response:
        self._tally.saturated += 1
        return problem(
            503, f"{self._limits.max_concurrency} requests are being answered already. Try again soon", kind="saturated",
            headers={"retry-after": "1"},
        )  # fmt: skip


class _Gone(Exception):
    """The client went away while it sent its body."""


def _same(authorization: str, token: str) -> bool:
    """Law 2."""
    scheme, _, given = authorization.partition(" ")
    # Headers are latin-1, and whoever sends other letters sends bytes of UTF-8.
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token.encode())


def _once(body: bytes, receive: Receive) -> Receive:
    """A body that was received already, then whatever comes."""
    waiting = [body]

    async def received() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return received
