"""Namespace aliases of one index (API 2026-07): names that reads resolve to a namespace, and that writes are refused.

Every rejection says its reason in ``details[0].reason``. Source: docs.pinecone.io, "Manage namespace aliases" (September 2026).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vector_pipeline.testing.pinecone_server.data_answers import next_page
from vector_pipeline.testing.pinecone_server.errors import ApiError, answer
from vector_pipeline.testing.pinecone_server.importing import importing_into
from vector_pipeline.testing.pinecone_server.keys import older
from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.namespaces import require_name
from vector_pipeline.testing.pinecone_server.requests import found_index, json_object, page_of
from vector_pipeline.testing.pinecone_server.store import ALIAS, IndexStore, Store, canonical

MAX_ALIASES = 1_000
Alias = dict[str, str]


def alias_routes(store: Store, index_name: str, knobs: Knobs) -> list[Route]:
    """Routes of ``/namespace-aliases``."""
    plane = _Aliases(store, index_name, knobs)
    return [
        Route("/namespace-aliases", plane.create, methods=["POST"]),
        Route("/namespace-aliases", plane.listing, methods=["GET"]),
        Route("/namespace-aliases/{name:path}", plane.describe, methods=["GET"]),
        Route("/namespace-aliases/{name:path}", plane.repoint, methods=["PATCH"]),
        Route("/namespace-aliases/{name:path}", plane.delete, methods=["DELETE"]),
    ]


class _Aliases:
    def __init__(self, store: Store, index_name: str, knobs: Knobs) -> None:
        self._store, self._index, self._knobs = store, index_name, knobs

    async def create(self, request: Request) -> Response:
        index, body = self._service(request), await json_object(request)
        name, target = _name(body.get("name")), _target(body)

        def make() -> Alias:
            aliases = index.documents(ALIAS)
            there = aliases.get(name)
            if there is not None:
                raise ApiError(
                    "ALREADY_EXISTS",
                    f"Alias {name} already exists",
                    reason="ALIAS_ALREADY_EXISTS",
                    metadata={"target_namespace": there["target_namespace"]},
                )
            if _exists(index, name):
                raise ApiError("ALREADY_EXISTS", f"{name} is a namespace", reason="NAME_IN_USE_BY_NAMESPACE")
            if len(aliases) >= MAX_ALIASES:
                text = f"An index can have at most {MAX_ALIASES} aliases"
                raise ApiError("RESOURCE_EXHAUSTED", text, reason="ALIASES_PER_INDEX_EXCEEDED")
            _require_target(index, target)
            now = _now()
            return {"name": name, "target_namespace": target, "created_at": now, "updated_at": now}

        return answer(await _changed(index, make))

    async def repoint(self, request: Request) -> Response:
        index, body = self._service(request), await json_object(request)
        target = _target(body)

        def move() -> Alias:
            alias = _found(index, request)
            _require_target(index, target)
            return {**alias, "target_namespace": target, "updated_at": _now(alias["updated_at"])}

        return answer(await _changed(index, move))

    async def listing(self, request: Request) -> Response:
        index = self._service(request)
        limit, after = page_of(request)
        prefix, target = request.query_params.get("prefix", ""), request.query_params.get("target_namespace")
        found = [
            alias
            for name, alias in sorted(index.documents(ALIAS).items())
            if name.startswith(prefix) and (target is None or alias["target_namespace"] == canonical(target))
        ]
        rest = [alias for alias in found if alias["name"] > after]
        body = {"namespace_aliases": rest[:limit], "total_count": len(found)}
        return answer(body | next_page(rest[limit - 1]["name"] if len(rest) > limit else None))

    async def describe(self, request: Request) -> Response:
        return answer(_found(self._service(request), request))

    async def delete(self, request: Request) -> Response:
        index = self._service(request)

        def drop() -> None:
            with index.lock:
                index.drop_document(ALIAS, _found(index, request)["name"])

        await run_in_threadpool(drop)
        return answer({})

    def _service(self, request: Request) -> IndexStore:
        """The index, where the service has aliases and the client asks for an API that has them."""
        if not self._knobs.aliases or older(request.scope):
            raise ApiError("NOT_FOUND", f"there is no {request.url.path} here")
        return found_index(self._store, self._index)


async def _changed(index: IndexStore, change: Callable[[], Alias]) -> Alias:
    """Decide and keep an alias in one step."""

    def apply() -> Alias:
        with index.lock:
            alias = change()
            index.put_document(ALIAS, alias["name"], alias)
            return alias

    return await run_in_threadpool(apply)


def _found(index: IndexStore, request: Request) -> Alias:
    name = request.path_params["name"]
    alias: Alias | None = index.documents(ALIAS).get(name)
    if alias is None:
        raise ApiError("NOT_FOUND", f"Alias {name} not found", reason="ALIAS_NOT_FOUND")
    return alias


def _name(name: Any) -> str:
    try:
        return require_name(name)
    except ApiError as error:
        raise ApiError("INVALID_ARGUMENT", error.message, reason="ALIAS_NAME_INVALID") from error


def _target(body: dict[str, Any]) -> str:
    return canonical(require_name(body.get("target_namespace"), "target_namespace"))


def _require_target(index: IndexStore, target: str) -> None:
    if target in index.documents(ALIAS):
        raise ApiError("INVALID_ARGUMENT", f"{target} is an alias: aliases cannot chain", reason="TARGET_IS_ALIAS")
    if not _exists(index, target):
        raise ApiError("NOT_FOUND", f"Namespace {target} not found", reason="TARGET_NAMESPACE_NOT_FOUND")
    if importing_into(index, target):
        text = f"Namespace {target} is still importing"
        raise ApiError("FAILED_PRECONDITION", text, status=400, reason="TARGET_NAMESPACE_NOT_ACTIVE")


def _exists(index: IndexStore, name: str) -> bool:
    known = index.known(name)
    return known is not None and known.exists


def _now(after: str = "") -> str:
    """The time, later than ``after`` in any case."""
    while (now := datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")) <= after:
        pass
    return now
