"""Namespaces of one index: create, list, describe, delete.

Since API 2026-07 ``record_count`` and ``size_bytes`` are strings; before, the count was a number and there was no size.
"""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vector_pipeline.testing.pinecone_server.data_answers import next_page
from vector_pipeline.testing.pinecone_server.errors import ApiError, answer
from vector_pipeline.testing.pinecone_server.keys import older
from vector_pipeline.testing.pinecone_server.namespace import Description
from vector_pipeline.testing.pinecone_server.requests import found_index, json_object, page_of
from vector_pipeline.testing.pinecone_server.store import ALIAS, IndexStore, Store, canonical

MAX_NAME = 512


def namespace_routes(store: Store, index_name: str) -> list[Route]:
    """Routes of ``/namespaces``."""
    plane = _Namespaces(store, index_name)
    return [
        Route("/namespaces", plane.create, methods=["POST"]),
        Route("/namespaces", plane.listing, methods=["GET"]),
        Route("/namespaces/{name:path}", plane.describe, methods=["GET"]),
        Route("/namespaces/{name:path}", plane.delete, methods=["DELETE"]),
    ]


def require_name(name: Any, what: str = "name") -> str:
    """A name that a namespace can have: 1 to 512 ASCII characters without NUL."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isascii() or "\0" in name:
        raise ApiError("INVALID_ARGUMENT", f"{what} must be a string of 1 to {MAX_NAME} ASCII characters")
    return name


class _Namespaces:
    def __init__(self, store: Store, index_name: str) -> None:
        self._store, self._index = store, index_name

    async def create(self, request: Request) -> Response:
        body = await json_object(request)
        name, schema = require_name(body.get("name")), _schema(body.get("schema"))
        index = found_index(self._store, self._index)

        def make() -> None:
            with index.lock:
                if name in index.documents(ALIAS):
                    raise ApiError(
                        "ALREADY_EXISTS",
                        f"Namespace {name} cannot be created: an alias has that name",
                        reason="NAME_IN_USE_BY_ALIAS",
                    )
                if index.namespace(name).create(schema) is None:
                    raise ApiError("ALREADY_EXISTS", f"Namespace {name} already exists")

        await run_in_threadpool(make)
        return answer(_told(Description(name, 0, 0, schema), request))

    async def listing(self, request: Request) -> Response:
        limit, after = page_of(request)
        index = found_index(self._store, self._index)
        found = await run_in_threadpool(index.describe, request.query_params.get("prefix", ""))
        rest = [each for each in found if each.name > after]
        page = rest[:limit]
        body: dict[str, Any] = {"namespaces": [_told(each, request) for each in page], "total_count": len(found)}
        return answer(body | next_page(page[-1].name if len(rest) > limit else None))

    async def describe(self, request: Request) -> Response:
        index, name = self._addressed(request)
        known = index.known(name)
        seen = (await run_in_threadpool(known.look))[0] if known else None
        if seen is None:
            raise _absent(name)
        return answer(_told(seen, request))

    async def delete(self, request: Request) -> Response:
        index, name = self._addressed(request)

        def drop() -> int | None:
            with index.lock:
                aliases = [each["name"] for each in index.documents(ALIAS).values() if each["target_namespace"] == name]
                if aliases:
                    raise ApiError(
                        "FAILED_PRECONDITION",
                        f"Namespace {name} is the target of {', '.join(sorted(aliases))}: repoint or delete the alias first",
                        status=400,
                        reason="NAMESPACE_TARGETED_BY_ALIAS",
                        metadata={"alias": min(aliases)},
                    )
                known = index.known(name)
                return known.drop() if known else None

        lsn = await run_in_threadpool(drop)
        if lsn is None:
            raise _absent(name)
        return answer({}, headers={"x-pinecone-request-lsn": str(lsn), "x-pinecone-lsn-committed": str(lsn)})

    def _addressed(self, request: Request) -> tuple[IndexStore, str]:
        index, name = found_index(self._store, self._index), request.path_params["name"]
        if name in index.documents(ALIAS):
            raise ApiError(
                "INVALID_ARGUMENT",
                f"{name} is a namespace alias: use /namespace-aliases",
                reason="NAMESPACE_OPERATION_ON_ALIAS",
            )
        return index, canonical(name)


def _schema(schema: Any) -> dict[str, Any] | None:
    if schema is None:
        return None
    fields = schema.get("fields") if isinstance(schema, dict) else None
    if not isinstance(fields, dict) or not all(field == {"filterable": True} for field in fields.values()):
        raise ApiError("INVALID_ARGUMENT", 'schema.fields must map names of fields to {"filterable": true}')
    return {"fields": fields}


def _absent(name: str) -> ApiError:
    return ApiError("NOT_FOUND", f"Namespace {name} not found")


def _told(seen: Description, request: Request) -> dict[str, Any]:
    told: dict[str, Any] = {"name": seen.name}
    if older(request.scope):
        told["record_count"] = seen.records
    else:
        told |= {"record_count": str(seen.records), "size_bytes": str(seen.size_bytes)}
    if seen.fields is not None:
        told |= {"schema": dict(seen.fields), "indexed_fields": {"fields": sorted(seen.fields["fields"])}}
    return told
