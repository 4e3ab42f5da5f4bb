"""What calls outside the data plane read from requests: bodies, pages, the index. What is wrong is an ``ApiError``."""

from typing import Any

from starlette.requests import Request

from vector_pipeline.testing.pinecone_server.data_answers import read_body, token_of
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.store import IndexStore, Store


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object."""
    return read_body(await request.body())


def page_of(request: Request, most: int = 100) -> tuple[int, str]:
    """``limit`` (default and most: ``most``) and what the last page ended with ("" at the beginning)."""
    text = request.query_params.get("limit", str(most))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ApiError("INVALID_ARGUMENT", f"limit must be an integer from 1 to {most}")
    return int(text), token_of(request.query_params.get("paginationToken")) or ""


def found_index(store: Store, name: str) -> IndexStore:
    """An index; ``ApiError`` 404 for none."""
    index = store.index(name)
    if index is None:
        raise ApiError("NOT_FOUND", f"Index {name} not found")
    return index
