"""Routes of the data plane of one index.

Bodies as in Pinecone's OpenAPI description of API 2026-04. Writes answer their LSN in ``x-pinecone-request-lsn``, queries the one
up to which they see in ``x-pinecone-max-indexed-lsn``; each has the vectors API's older name too. Fetches and lists tell no LSN.
Work runs in threads: the event loop only reads bodies.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vector_pipeline.testing.pinecone_server.data_answers import read_body
from vector_pipeline.testing.pinecone_server.data_reads import Reads
from vector_pipeline.testing.pinecone_server.data_writes import Writes
from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.limits import Rates, check_request
from vector_pipeline.testing.pinecone_server.store import Store

Endpoint = Callable[[Request], Awaitable[Response]]


def data_routes(store: Store, index_name: str, knobs: Knobs | None = None) -> list[Route]:
    """Routes of one index's host."""
    knobs = knobs or Knobs()
    rates = Rates(knobs)
    reads, writes = Reads(store, index_name, rates), Writes(store, index_name, rates, knobs)
    posts = {
        "/vectors/update": writes.update,
        "/vectors/delete": writes.delete,
        "/vectors/fetch_by_metadata": reads.fetch_by_metadata,
        "/query": reads.query,
        "/describe_index_stats": reads.stats,
    }
    return [
        Route("/vectors/upsert", _post(lambda body: writes.upsert(read_body(body), len(body))), methods=["POST"]),
        *(Route(path, _post(_parsed(work)), methods=["POST"]) for path, work in posts.items()),
        Route("/vectors/fetch", _get(reads.fetch), methods=["GET"]),
        Route("/vectors/list", _get(reads.list), methods=["GET"]),
    ]


def _parsed(work: Callable[[dict[str, Any]], Response]) -> Callable[[bytes], Response]:
    return lambda body: work(read_body(body))


def _post(work: Callable[[bytes], Response]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        check_request(body)
        return await run_in_threadpool(work, body)

    return endpoint


def _get(work: Callable[[QueryParams], Response]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(work, request.query_params)

    return endpoint
