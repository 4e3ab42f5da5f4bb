"""Reading requests: bodies, limits, tokens of pages. What is wrong is an ``ApiError``."""

import base64
import binascii
from typing import Any

import orjson
from starlette.requests import Request

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.store import IndexStore, Store


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise ApiError("INVALID_ARGUMENT", f"The body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ApiError("INVALID_ARGUMENT", "The body must be a JSON object.")
    return body


def page_of(request: Request, most: int = 100) -> tuple[int, str]:
    """``limit`` (default and most: ``most``) and what the last page ended with ("" at the beginning)."""
    text = request.query_params.get("limit", str(most))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise ApiError("INVALID_ARGUMENT", f"limit must be an integer from 1 to {most}")
    token = request.query_params.get("paginationToken", "")
    try:
        return int(text), base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError) as error:
        raise ApiError("INVALID_ARGUMENT", "paginationToken is invalid") from error


def pagination(last: str | None) -> dict[str, Any]:
    """The part of an answer that leads to the next page; nothing on the last."""
    if last is None:
        return {}
    return {"pagination": {"next": base64.urlsafe_b64encode(last.encode()).decode()}}


def found_index(store: Store, name: str) -> IndexStore:
    """A classic index: one that holds vectors in namespaces."""
    index = store.index(name)
    if index is None:
        raise ApiError("NOT_FOUND", f"Index {name} not found")
    return index
