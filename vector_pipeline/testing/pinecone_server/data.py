"""Routes of the data plane of one index: upsert, query, fetch, update, delete, list, statistics.

Bodies as in Pinecone's OpenAPI description of API 2026-04. Writes answer their LSN in ``x-pinecone-request-lsn``, queries the one
up to which they see in ``x-pinecone-max-indexed-lsn``; each has the vectors API's older name too. Work runs in threads: the event
loop only reads bodies.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.filters import Condition, read_filter
from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.namespace import Match, Namespace
from vector_pipeline.testing.pinecone_server.records import (
    VectorShape,
    read_id,
    read_metadata,
    read_records,
    read_vectors,
    refuse_sparse,
)
from vector_pipeline.testing.pinecone_server.store import IndexStore, Store

MAX_TOP_K = 10_000
MAX_IDS = 1_000
MAX_PAGE = 100


def data_routes(store: Store, index_name: str, knobs: Knobs | None = None) -> list[Route]:
    """Routes of one index's host."""
    plane = _DataPlane(store, index_name, knobs or Knobs())
    posts = {
        "/vectors/upsert": plane.upsert,
        "/vectors/update": plane.update,
        "/vectors/delete": plane.delete,
        "/vectors/fetch_by_metadata": plane.fetch_by_metadata,
        "/query": plane.query,
        "/describe_index_stats": plane.stats,
    }
    gets = {"/vectors/fetch": plane.fetch, "/vectors/list": plane.list}
    return [
        *(Route(path, _post(work), methods=["POST"]) for path, work in posts.items()),
        *(Route(path, _get(work), methods=["GET"]) for path, work in gets.items()),
    ]


def _post(work: Callable[[dict[str, Any]], Response]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(lambda: work(read_body(body)))

    return endpoint


def _get(work: Callable[[QueryParams], Response]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(work, request.query_params)

    return endpoint


def read_body(body: bytes) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError("INVALID_ARGUMENT", f"Invalid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError("INVALID_ARGUMENT", "Invalid JSON: expected an object")
    return value


class _DataPlane:
    """The calls of one index."""

    def __init__(self, store: Store, index_name: str, knobs: Knobs) -> None:
        self._store = store
        self._name = index_name
        self._knobs = knobs

    def upsert(self, body: dict[str, Any]) -> Response:
        index, shape = self._index()
        namespace = index.writable(_namespace(body))
        vectors = body.get("vectors")
        lsn = namespace.upsert(read_records(vectors, shape))
        return _written({"upsertedCount": len(vectors or ())}, lsn)

    def query(self, body: dict[str, Any]) -> Response:
        index, shape = self._index()
        top_k = body.get("topK")
        if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
            raise ApiError("INVALID_ARGUMENT", f"topK must be a number from 1 to {MAX_TOP_K}")
        vector, name = body.get("vector"), body.get("id")
        if (vector is None) == (name is None):
            raise ApiError("INVALID_ARGUMENT", "Either 'vector' or 'id' must be given, and not both")
        refuse_sparse(body.get("sparseVector"))
        wanted = read_id(name) if vector is None else read_vectors([vector], shape, query=True)[0]
        condition = _condition(body)
        namespace = self._readable(index, body)
        found, lsn = namespace.query(wanted, top_k, condition) if namespace else ([], 0)
        values, metadata = body.get("includeValues") is True, body.get("includeMetadata") is True
        matches = [_answered(match, values=values, metadata=metadata, score=True) for match in found]
        answer = {"matches": matches, "namespace": _namespace(body), "usage": {"readUnits": _units(namespace)}}
        return _answer(answer, {"x-pinecone-max-indexed-lsn": str(lsn), "x-pinecone-lsn-reconciled": str(lsn)})

    def fetch(self, parameters: QueryParams) -> Response:
        index, _ = self._index()
        ids = parameters.getlist("ids")
        if not 1 <= len(ids) <= MAX_IDS:
            raise ApiError("INVALID_ARGUMENT", f"ids: between 1 and {MAX_IDS} ids are fetched at once, not {len(ids)}")
        namespace = self._readable(index, parameters)
        found = namespace.fetch([read_id(name) for name in ids])[0] if namespace else []
        return _answer({**_vectors(found, _namespace(parameters)), "usage": {"readUnits": _tens(len(found))}})

    def fetch_by_metadata(self, body: dict[str, Any]) -> Response:
        index, _ = self._index()
        condition = _condition(body)
        if condition is None:
            raise ApiError("INVALID_ARGUMENT", "A filter is required")
        limit = body.get("limit", MAX_PAGE)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_TOP_K:
            raise ApiError("INVALID_ARGUMENT", f"limit must be a number from 1 to {MAX_TOP_K}")
        after = read_token(body.get("paginationToken"))
        namespace = self._readable(index, body)
        found = namespace.fetch_where(condition, after, limit + 1)[0] if namespace else []
        page = found[:limit]
        answer = {**_vectors(page, _namespace(body)), "usage": {"readUnits": _tens(len(page))}}
        return _answer({**answer, **next_page(page[-1].id if len(found) > limit else None)})

    def list(self, parameters: QueryParams) -> Response:
        index, _ = self._index()
        try:
            limit = int(parameters.get("limit", MAX_PAGE))
        except ValueError as error:
            raise ApiError("INVALID_ARGUMENT", "limit must be a number") from error
        if not 1 <= limit <= MAX_PAGE:
            raise ApiError("INVALID_ARGUMENT", f"limit must be a number from 1 to {MAX_PAGE}")
        after = read_token(parameters.get("paginationToken"))
        namespace = self._readable(index, parameters)
        found = namespace.page(parameters.get("prefix", ""), after, limit + 1)[0] if namespace else []
        page = found[:limit]
        answer = {
            "vectors": [{"id": name} for name in page],
            "namespace": _namespace(parameters),
            "usage": {"readUnits": 1},
        }
        return _answer({**answer, **next_page(page[-1] if len(found) > limit else None)})

    def update(self, body: dict[str, Any]) -> Response:
        index, shape = self._index()
        namespace = index.writable(_namespace(body))
        refuse_sparse(body.get("sparseValues"))
        metadata = read_metadata(body.get("setMetadata"))[0]
        values, condition = body.get("values"), _condition(body)
        if (body.get("id") is None) == (condition is None):
            raise ApiError("INVALID_ARGUMENT", "Either 'id' or 'filter' must be given, and not both")
        if condition is None:
            vector = read_vectors([values], shape)[0] if values else None
            return _written({}, namespace.update(read_id(body["id"]), vector, metadata))
        if values:
            raise ApiError("INVALID_ARGUMENT", "Values cannot be updated by a filter")
        if body.get("dryRun") is True:
            return _answer({"matchedRecords": namespace.count_where(condition)})
        matched, lsn = namespace.update_where(condition, metadata or {})
        return _written({"matchedRecords": matched}, lsn)

    def delete(self, body: dict[str, Any]) -> Response:
        index, _ = self._index()
        namespace = index.writable(_namespace(body))
        ids, everything, condition = body.get("ids"), body.get("deleteAll") is True, _condition(body)
        if [bool(ids), everything, condition is not None].count(True) != 1:
            raise ApiError("INVALID_ARGUMENT", "Exactly one of 'ids', 'deleteAll' and 'filter' must be given")
        if not namespace.exists:
            raise ApiError("NOT_FOUND", "Namespace not found")
        if everything:
            return _written({}, namespace.wipe())
        if condition is not None:
            return _written({}, namespace.delete_where(condition))
        if not isinstance(ids, list) or len(ids) > MAX_IDS:
            raise ApiError("INVALID_ARGUMENT", f"ids: a list of at most {MAX_IDS} ids is deleted at once")
        return _written({}, namespace.delete([read_id(name) for name in ids]))

    def stats(self, body: dict[str, Any]) -> Response:
        index, shape = self._index()
        if body.get("filter"):
            raise ApiError(
                "INVALID_ARGUMENT", "Serverless indexes do not support describing index stats with metadata filtering"
            )
        seen = index.describe()
        return _answer(
            {
                "namespaces": {each.name: {"vectorCount": each.records} for each in seen},
                "dimension": shape.dimension,
                "indexFullness": 0.0,
                "totalVectorCount": sum(each.records for each in seen),
                "metric": shape.metric,
                "vectorType": "dense",
            }
        )

    def _index(self) -> tuple[IndexStore, VectorShape]:
        index = self._store.index(self._name)
        if index is None:
            raise ApiError("NOT_FOUND", f"Index {self._name} not found")
        if index.shape is None:
            text = f"Index {self._name} was created with a document schema: use its documents, not the vectors API"
            raise ApiError("INVALID_ARGUMENT", text)
        return index, index.shape

    def _readable(self, index: IndexStore, given: Mapping[str, Any]) -> Namespace | None:
        return index.known(index.resolve(_namespace(given)))


def _namespace(given: Mapping[str, Any]) -> str:
    name = given.get("namespace") or ""
    if not isinstance(name, str) or len(name) > 512 or not name.isascii() or "\0" in name:
        raise ApiError("INVALID_ARGUMENT", "namespace must be a string of at most 512 ASCII characters")
    return name


def _condition(body: Mapping[str, Any]) -> Condition | None:
    value = body.get("filter")
    return None if value is None else read_filter(value)


def _answered(match: Match, *, values: bool, metadata: bool, score: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"id": match.id}
    if score:
        found["score"] = match.score
    found["values"] = match.vector if values else []
    if metadata and match.metadata is not None:
        found["metadata"] = match.metadata
    return found


def _vectors(found: Iterable[Match], namespace: str) -> dict[str, Any]:
    return {
        "vectors": {match.id: _answered(match, values=True, metadata=True) for match in found},
        "namespace": namespace,
    }


def _units(namespace: Namespace | None) -> int:
    """Read units of a query: a GB of the namespace is one; at least one is told, as a whole number."""
    described = namespace.look()[0] if namespace else None
    return max(1, math.ceil((described.size_bytes if described else 0) / 1e9))


def _tens(count: int) -> int:
    return max(1, math.ceil(count / 10))


def read_token(value: Any) -> str | None:
    """The last id of the page before, out of a pagination token."""
    if not value:
        return None
    try:
        return bytes.fromhex(value).decode("ascii")
    except (ValueError, TypeError) as error:
        raise ApiError("INVALID_ARGUMENT", "Invalid pagination token") from error


def next_page(last: str | None) -> dict[str, Any]:
    """``pagination`` with a token for the page behind ``last``; nothing where this was the last page."""
    return {} if last is None else {"pagination": {"next": last.encode("ascii").hex()}}


def _written(body: dict[str, Any], lsn: int) -> Response:
    return _answer(body, {"x-pinecone-request-lsn": str(lsn), "x-pinecone-lsn-committed": str(lsn)})


def _answer(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    data = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(data, 200, dict(headers or {}), media_type="application/json")
