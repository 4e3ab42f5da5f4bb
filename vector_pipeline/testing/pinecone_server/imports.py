"""Bulk imports of one index: start, list, describe, cancel. How they run: ``importing``."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vector_pipeline.testing.pinecone_server.data_answers import next_page
from vector_pipeline.testing.pinecone_server.errors import ApiError, answer
from vector_pipeline.testing.pinecone_server.import_files import require_uri
from vector_pipeline.testing.pinecone_server.importing import IMPORT, UNDER_WAY, Import, Importing
from vector_pipeline.testing.pinecone_server.requests import found_index, json_object, page_of
from vector_pipeline.testing.pinecone_server.store import IndexStore, Store

MAX_URI = 1_500
_KEPT = ("id", "uri", "status", "createdAt", "finishedAt", "percentComplete", "recordsImported", "error")


def import_routes(store: Store, index_name: str, importing: Importing) -> list[Route]:
    """Routes of ``/bulk/imports``."""
    plane = _Imports(store, index_name, importing)
    return [
        Route("/bulk/imports", plane.start, methods=["POST"]),
        Route("/bulk/imports", plane.listing, methods=["GET"]),
        Route("/bulk/imports/{id}", plane.describe, methods=["GET"]),
        Route("/bulk/imports/{id}", plane.cancel, methods=["DELETE"]),
    ]


class _Imports:
    def __init__(self, store: Store, index_name: str, importing: Importing) -> None:
        self._store, self._name, self._importing = store, index_name, importing

    async def start(self, request: Request) -> Response:
        body = await json_object(request)
        uri = body.get("uri")
        if not isinstance(uri, str) or not 1 <= len(uri) <= MAX_URI:
            raise ApiError("INVALID_ARGUMENT", f"uri must be a string of 1 to {MAX_URI} characters")
        require_uri(uri)
        abort = _aborts(body.get("errorMode"))
        index = self._index()
        if index.shape is None:
            raise ApiError("INVALID_ARGUMENT", f"Index {self._name} is a document index: it takes no vectors")
        return answer({"id": await run_in_threadpool(self._importing.begin, index, uri, abort=abort)})

    async def listing(self, request: Request) -> Response:
        limit, after = page_of(request)
        imports = sorted(self._index().documents(IMPORT).values(), key=lambda each: -int(each["id"]))
        if after and not after.isdecimal():
            raise ApiError("INVALID_ARGUMENT", "Invalid pagination token")
        rest = [each for each in imports if not after or int(each["id"]) < int(after)]
        page = rest[:limit]
        body = {"data": [_told(each) for each in page]}
        return answer(body | next_page(page[-1]["id"] if len(rest) > limit else None))

    async def describe(self, request: Request) -> Response:
        return answer(_told(self._found(request)))

    async def cancel(self, request: Request) -> Response:
        found = self._found(request)
        if found["status"] not in UNDER_WAY:
            raise ApiError(
                "FAILED_PRECONDITION", f"Import {found['id']} is {found['status']} and cannot be cancelled", status=400
            )
        await run_in_threadpool(self._importing.cancel, self._index(), found["id"])
        return answer({})

    def _index(self) -> IndexStore:
        return found_index(self._store, self._name)

    def _found(self, request: Request) -> Import:
        number = request.path_params["id"]
        found: Import | None = self._index().documents(IMPORT).get(number)
        if found is None:
            raise ApiError("NOT_FOUND", f"Import {number} not found")
        return found


def _aborts(mode: Any) -> bool:
    """The import ends at the first bad record; by default it goes on without it."""
    chosen = mode.get("onError", "continue") if isinstance(mode, dict) else mode
    if mode is None:
        return False
    if not isinstance(chosen, str) or chosen.lower() not in ("abort", "continue"):
        raise ApiError("INVALID_ARGUMENT", "errorMode.onError must be abort or continue")
    return chosen.lower() == "abort"


def _told(document: Import) -> dict[str, Any]:
    return {key: document[key] for key in _KEPT if key in document}
