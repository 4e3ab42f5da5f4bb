"""The ASGI application: one for the control plane and all index hosts, told apart by the port that a request came in at.

A request goes through, in this order: counting, the API key, faults, latency and bandwidth, and its route. ``/_dev`` on the control
plane's port needs no key and meets no faults.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vector_pipeline.testing.pinecone_server.errors import ApiError, answer
from vector_pipeline.testing.pinecone_server.faults import Pipe, lose, meet, vanish
from vector_pipeline.testing.pinecone_server.keys import allowed, unauthorized
from vector_pipeline.testing.pinecone_server.knobs import QUOTAS, Counts, Fault, Knobs
from vector_pipeline.testing.pinecone_server.requests import json_object

READS = ("/query", "/vectors/fetch", "/vectors/fetch_by_metadata", "/vectors/list", "/describe_index_stats")
"""POST or GET: they change nothing."""


@dataclass
class Service:
    """What the application needs of the server around it."""

    knobs: Knobs
    keys: frozenset[str]
    control_routes: list[Route]
    index_routes: Callable[[str], list[Route]]
    index_at: Callable[[int], str | None]
    """The index that a port serves."""
    cut: Callable[[Scope], None]
    """Close a request's connection without an answer."""
    control_port: int = 0
    counts: Counts = field(init=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    pipe: Pipe = field(init=False)
    _tables: dict[str, list[Route]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts = Counts(self.knobs)
        self.pipe = Pipe(self.knobs)
        self.control_routes = [*self.control_routes, *self._dev_routes()]

    def table(self, index: str) -> list[Route]:
        """Routes of an index's host."""
        if index not in self._tables:
            self._tables[index] = self.index_routes(index)
        return self._tables[index]

    def forget(self, index: str) -> None:
        self._tables.pop(index, None)

    def _dev_routes(self) -> list[Route]:
        async def knobs(request: Request) -> Response:
            if request.method == "PATCH":
                self.knobs.change(await json_object(request))
            return answer(self.knobs.as_dict())

        async def counts(_: Request) -> Response:
            return answer(self.counts.as_dict())

        return [
            Route("/_dev/knobs", knobs, methods=["GET", "PATCH"]),
            Route("/_dev/counts", counts, methods=["GET"]),
        ]


def build_app(service: Service) -> ASGIApp:
    """The application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(service, scope, receive, send).run()

    return app


class _Exchange:
    """One request and what becomes of it."""

    def __init__(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        self.service, self.scope, self.receive, self.outer = service, scope, receive, send
        port = scope["server"][1]
        self.control = port == service.control_port
        self.index = None if self.control else service.index_at(port)
        self.status = "error"

    async def run(self) -> None:
        routes = self.service.control_routes if self.control else self.service.table(self.index) if self.index else []
        route, child = _find(routes, self.scope)
        name = f"{self.scope['method']} {route.path_format}" if route else "other"
        try:
            if route is None:
                await self._refuse(self._nothing(child))
            elif route.path.startswith("/_dev/"):
                await self._serve(route, child)
            elif not allowed(self.scope, self.service.keys):
                await unauthorized(self.scope, control=self.control)(self.scope, self.receive, self._send)
            else:
                await self._faulty(name, route, child)
        finally:
            self.service.counts.answered(name, self.status)

    async def _faulty(self, name: str, route: Route, child: Scope) -> None:
        service, knobs = self.service, self.service.knobs
        if self.control and not knobs.control_plane:
            await self._serve(route, child)
            return
        writes = self.scope["method"] != "GET" and route.path not in READS
        fault = service.counts.draw(name, writes=writes)
        if fault is not None:
            service.counts.met(fault)
        if knobs.latency_s:
            await asyncio.sleep(knobs.latency_s)
        if fault in (Fault.DROPPED, Fault.TIMEOUT):
            self.status = "timeout" if fault is Fault.TIMEOUT else "dropped"
            await vanish(fault, self.scope, self.receive, service.cut, service.stopping)
        elif fault is Fault.LOST_RESPONSE:
            await lose(lambda send: self._serve(route, child, send), self.scope, self.receive, service.cut)
            self.status = "lost"
        elif fault is not None:
            await self._refuse(meet(fault, knobs))
        elif writes and knobs.quota is not None:
            await self._refuse(ApiError(*QUOTAS[knobs.quota]))
        else:
            await service.pipe.carry(_length(self.scope))
            await self._serve(route, child)

    async def _serve(self, route: Route, child: Scope, send: Send | None = None) -> None:
        self.scope.update(child)
        try:
            await route.handle(self.scope, self.receive, send or self._send)
        except ApiError as error:
            await error.response(control=self.control)(self.scope, self.receive, send or self._send)

    async def _refuse(self, error: ApiError) -> None:
        await error.response(control=self.control)(self.scope, self.receive, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = str(message["status"])
        elif not self.control and message.get("body"):
            await self.service.pipe.carry(len(message["body"]))
        await self.outer(message)

    def _nothing(self, partial: Scope) -> ApiError:
        if partial:
            return ApiError("METHOD_NOT_ALLOWED", f"{self.scope['method']} is not allowed for {self.scope['path']}")
        return ApiError("NOT_FOUND", f"there is no {self.scope['path']} here")


def _find(routes: list[Route], scope: Scope) -> tuple[Route | None, Scope]:
    """The route of a request, with what it adds to the scope; no route but a scope where only the method differs."""
    partial: Scope = {}
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            return route, child
        if match is Match.PARTIAL:
            partial = child
    return None, partial


def _length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
