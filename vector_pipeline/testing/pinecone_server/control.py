"""The control plane: create, list, describe, configure and delete indexes."""

import asyncio
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vector_pipeline.testing.pinecone_server.errors import ApiError, answer
from vector_pipeline.testing.pinecone_server.keys import older
from vector_pipeline.testing.pinecone_server.requests import json_object
from vector_pipeline.testing.pinecone_server.shapes import Index, merge_tags, parse_index, protection, shape_of, tell
from vector_pipeline.testing.pinecone_server.store import Store


class Hosts(Protocol):
    """Who serves indexes."""

    async def open(self, name: str) -> None: ...

    async def close(self, name: str) -> None: ...

    def host(self, name: str) -> str: ...


def control_routes(store: Store, hosts: Hosts) -> list[Route]:
    """Routes of ``/indexes``."""
    control = _Control(store, hosts)
    return [
        Route("/indexes", control.create, methods=["POST"]),
        Route("/indexes", control.listing, methods=["GET"]),
        Route("/indexes/{name}", control.describe, methods=["GET"]),
        Route("/indexes/{name}", control.configure, methods=["PATCH"]),
        Route("/indexes/{name}", control.delete, methods=["DELETE"]),
    ]


class _Control:
    def __init__(self, store: Store, hosts: Hosts) -> None:
        self._store, self._hosts = store, hosts
        self._lock = asyncio.Lock()
        """Changes of indexes come one after the other."""

    async def create(self, request: Request) -> Response:
        index = parse_index(await json_object(request))
        async with self._lock:
            if self._store.model(index["name"]) is not None:
                raise ApiError("ALREADY_EXISTS", "Resource already exists.")
            await run_in_threadpool(self._store.create_index, index["name"], index, shape_of(index))
            await self._hosts.open(index["name"])
        return answer(self._told(index, request), 201)

    async def listing(self, request: Request) -> Response:
        models = [self._store.model(name) for name in self._store.names()]
        return answer({"indexes": [self._told(index, request) for index in models if index is not None]})

    async def describe(self, request: Request) -> Response:
        return answer(self._told(self._found(request), request))

    async def configure(self, request: Request) -> Response:
        body = await json_object(request)
        if body.get("schema"):
            raise ApiError("INVALID_ARGUMENT", "The schema of an index cannot be changed.")
        if body.get("deployment"):
            raise ApiError("INVALID_ARGUMENT", "A serverless index has no replicas and no pods to configure.")
        async with self._lock:
            index = dict(self._found(request))
            if "deletion_protection" in body:
                index["deletion_protection"] = protection(body["deletion_protection"])
            index["tags"] = merge_tags(index["tags"], body.get("tags"))
            await run_in_threadpool(self._store.set_model, index["name"], index)
        return answer(self._told(index, request), 202 if older(request.scope) else 200)

    async def delete(self, request: Request) -> Response:
        async with self._lock:
            index = self._found(request)
            if index["deletion_protection"] == "enabled":
                raise ApiError(
                    "FORBIDDEN",
                    "Deletion protection is enabled for this index. Disable deletion protection before retrying.",
                )
            await self._hosts.close(index["name"])
            await run_in_threadpool(self._store.delete_index, index["name"])
        return Response(status_code=202)

    def _found(self, request: Request) -> Index:
        name = request.path_params["name"]
        index = self._store.model(name)
        if index is None:
            raise ApiError("NOT_FOUND", f"Index {name} not found.")
        return index

    def _told(self, index: Index, request: Request) -> dict[str, Any]:
        return tell(index, self._hosts.host(index["name"]), older=older(request.scope))
