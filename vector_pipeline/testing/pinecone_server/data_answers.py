"""What the calls of the data plane share: reading parts of a request, wording parts of an answer."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.responses import Response

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.filters import Condition, read_filter
from vector_pipeline.testing.pinecone_server.limits import MAX_RECORDS, check_result
from vector_pipeline.testing.pinecone_server.namespace import Match, Namespace
from vector_pipeline.testing.pinecone_server.records import VectorShape, read_id
from vector_pipeline.testing.pinecone_server.store import IndexStore, Store


def classic_index(store: Store, name: str) -> tuple[IndexStore, VectorShape]:
    """An index that serves vectors; ``ApiError`` 404 for none, 400 for a document index."""
    index = store.index(name)
    if index is None:
        raise ApiError("NOT_FOUND", f"Index {name} not found")
    if index.shape is None:
        text = f"Index {name} was created with a document schema: use the documents API, not the vectors API"
        raise ApiError("INVALID_ARGUMENT", text)
    return index, index.shape


def read_body(body: bytes) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ApiError("INVALID_ARGUMENT", f"Invalid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError("INVALID_ARGUMENT", "Invalid JSON: expected an object")
    return value


def namespace_of(given: Mapping[str, Any]) -> str:
    """The namespace as it was asked for; "" for the default one."""
    name = given.get("namespace") or ""
    if not isinstance(name, str) or len(name) > 512 or not name.isascii() or "\0" in name:
        raise ApiError("INVALID_ARGUMENT", "namespace must be a string of at most 512 ASCII characters")
    return name


def condition_of(body: Mapping[str, Any]) -> Condition | None:
    """The filter; None where there is none."""
    value = body.get("filter")
    return None if value is None else read_filter(value)


def ids_of(ids: Any, verb: str) -> list[str]:
    """1 to 1,000 ids."""
    if not isinstance(ids, list) or not ids:
        raise ApiError("INVALID_ARGUMENT", f"ids: a list of ids to {verb} is required")
    if len(ids) > MAX_RECORDS:
        raise ApiError("INVALID_ARGUMENT", f"Cannot {verb} {len(ids)} ids at once: the limit is {MAX_RECORDS}")
    return [read_id(name) for name in ids]


def whole_number(value: Any, name: str, most: int) -> int:
    """A number from 1 to ``most``; in a URL it is a string."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ApiError("INVALID_ARGUMENT", f"{name} must be a whole number from 1 to {most}")
    return value


def token_of(value: Any) -> str | None:
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


def match_told(match: Match, *, values: bool, metadata: bool, score: bool = False) -> dict[str, Any]:
    """One record: ``values`` is [] where not asked for, ``metadata`` is left out."""
    found: dict[str, Any] = {"id": match.id}
    if score:
        found["score"] = match.score
    found["values"] = match.vector if values else []
    if metadata and match.metadata is not None:
        found["metadata"] = match.metadata
    return found


def vectors_told(found: Iterable[Match], namespace: str) -> dict[str, Any]:
    """Records by id, as fetches answer them."""
    return {
        "vectors": {match.id: match_told(match, values=True, metadata=True) for match in found},
        "namespace": namespace,
    }


def query_units(namespace: Namespace | None) -> int:
    """Read units of a query: one for a GB of the namespace; told in whole numbers, at least 1."""
    described = namespace.look()[0] if namespace else None
    return max(1, math.ceil((described.size_bytes if described else 0) / 1e9))


def fetch_units(count: int) -> int:
    """Read units of a fetch: one for ten records."""
    return max(1, math.ceil(count / 10))


def written(body: dict[str, Any], lsn: int) -> Response:
    """The answer of a write that was committed at ``lsn``."""
    return told(body, {"x-pinecone-request-lsn": str(lsn), "x-pinecone-lsn-committed": str(lsn)})


def told(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """An answer; float32 arrays are written with the fewest digits that read back the same."""
    data = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    if "matches" in body:
        check_result(data)
    return Response(data, 200, dict(headers or {}), media_type="application/json")
