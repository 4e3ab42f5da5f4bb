"""The application: endpoints over the readers. Any ASGI server runs it; ``running`` is the one that comes with it."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.responses import JSONResponse, Response

from vector_pipeline import __version__
from vector_pipeline.service.gate import QUERY_ROUTE, Gate, Tally
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.models import (
    Alive,
    Datasets,
    Problem,
    QueryAnswer,
    QueryRequest,
    Readiness,
    answer_of,
    dataset_of,
    readiness_of,
)
from vector_pipeline.service.problems import MEDIA_TYPE, hide, tell_problems
from vector_pipeline.service.readers import Readers
from vector_pipeline.service.telling import TEXTS, registry_of, text_of

_FREE: dict[str, Any] = {"security": []}
"""Needs no token."""
_REF = "#/components/schemas/{model}"
_ABOUT = """Asks the live version of a dataset. Which version that is, is decided where it is promoted: a cut-over or a rollback is
followed within a second, and every answer says which version of which space gave it. Errors are `application/problem+json`
(RFC 9457)."""
_MEANINGS = {
    400: "The request is wrong: no JSON, a filter that is none, more hits than the target gives.",
    401: "A token is needed.",
    404: "No such dataset, target or space is served here.",
    408: "The body did not arrive in time.",
    409: "Refused: this machine's embedder is not the live one, or no bridge is on.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "The request is not as this document says.",
    500: "Something is wrong with the service or its configuration.",
    503: "Nothing is promoted yet, the registry or the target does not answer, an index is lost, or all places are taken: see "
    "Retry-After.",
    504: "Not answered in time.",
}


def create_app(
    readers: Readers,
    *,
    limits: Limits | None = None,
    required: Collection[str] = (),
    token: str | None = None,
    warm: bool = False,
) -> FastAPI:
    """The service of some datasets.

    Args:
        readers: opened at start where that can be done; closed at the end.
        required: datasets without which the service is not ready although nothing of them is promoted yet.
        token: that every client must send; None: whoever reaches the service may ask.
        warm: load the models of what is live before the first request.
    """
    limits, tally = limits or Limits(), Tally()
    must = frozenset(required)
    readers.hidden = (token,) if token else ()

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await readers.begin(warm=warm)
        try:
            yield
        finally:
            await readers.close()

    app = Service(
        title="vector-pipeline", version=__version__, description=_ABOUT, lifespan=life, docs_url=None, redoc_url=None,
        redirect_slashes=False,
        # Spans of requests join those of whoever asks; logs would hold what exceptions say.
        telemetry={"logs": False, "operation_spans": False},
    )  # fmt: skip
    app.add_middleware(Gate, limits=limits, token=token, tally=tally)
    tell_problems(app, readers.clean)
    _ask(app, readers)
    _tell(app, readers, must)
    registry = registry_of(readers, tally, limits)

    @app.get(
        "/metrics", summary="Metrics, in Prometheus's format", operation_id="metrics", response_class=Response,
        responses={200: {"content": {one: {"schema": {"type": "string"}} for one in TEXTS}}, **_problems(401)},
    )  # fmt: skip
    async def metrics(request: Request) -> Response:
        await readers.standings()
        text, media_type = text_of(registry, request.headers.get("accept", ""))
        return Response(text, media_type=media_type)

    return app


class Service(FastAPI):
    """FastAPI, whose document knows of problems and of the token."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            made = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )  # fmt: skip
            _, problem = models_json_schema([(Problem, "serialization")], ref_template=_REF)
            made["components"]["schemas"].update(problem["$defs"])
            made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            # The token is wanted where the service was started with one.
            made["security"] = [{"token": []}, {}]
            self.openapi_schema = made
        return self.openapi_schema


def _ask(app: FastAPI, readers: Readers) -> None:
    @app.post(
        QUERY_ROUTE, summary="The nearest chunks to a text", operation_id="query", response_model=QueryAnswer,
        responses=_problems(*_MEANINGS),
    )  # fmt: skip
    async def query(dataset: str, asked: QueryRequest, request: Request) -> QueryAnswer:
        """Ask what production points at. All texts of a request are answered by one version."""
        hide(request, asked.hidden)
        async with readers.reader(dataset, asked.target, asked.space) as reader:
            found = await reader.answers(asked.texts, top_k=asked.top_k, filter=asked.filter, key=asked.key)
        return answer_of(dataset, found)

    @app.get(
        "/v1/datasets", summary="What is served here", operation_id="datasets", response_model=Datasets,
        responses=_problems(401),
    )  # fmt: skip
    async def datasets() -> Datasets:
        """Every dataset with the version and space that answer now."""
        return Datasets(datasets=[dataset_of(one) for one in await readers.standings()])


def _tell(app: FastAPI, readers: Readers, required: frozenset[str]) -> None:
    @app.get(
        "/healthz", summary="Whether the process lives", operation_id="alive", response_model=Alive, openapi_extra=_FREE
    )  # fmt: skip
    async def alive() -> Alive:
        """Asks nothing else: who restarts processes asks this."""
        return Alive()

    @app.get(
        "/readyz", summary="Whether queries are answered", operation_id="ready", response_model=Readiness,
        responses={503: {"model": Readiness, "description": "A dataset cannot answer, or the service is ending: see why."}},
        openapi_extra=_FREE,
    )  # fmt: skip
    async def ready(request: Request) -> Response:
        """Asks every part that a query needs, for a few seconds at most: who sends requests here asks this."""
        told = readiness_of(await readers.standings(), required, ending=readers.ending, told=request.state.trusted)
        return JSONResponse(told.model_dump(mode="json"), 200 if told.ready else 503)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    return {one: {"description": _MEANINGS[one], "content": {MEDIA_TYPE: {"schema": schema}}} for one in statuses}
