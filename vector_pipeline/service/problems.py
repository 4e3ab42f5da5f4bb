"""Errors on the wire: one line each, as RFC 9457 wants it, with a status that says what a client can do with it."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vector_pipeline.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VectorPipelineError,
)
from vector_pipeline.service.models import TAGS, Mistake, Problem

MEDIA_TYPE = "application/problem+json"
_STATUS: tuple[tuple[type[VectorPipelineError], int], ...] = (
    (InputError, 400),
    (NotFoundError, 404),
    (RefusedError, 409),
    (ConflictError, 409),
    (UnavailableError, 503),
)
"""Whatever else is wrong here, and nothing that a client could change: 500."""
_AGAIN_S = {409: "1", 503: "5"}
"""Retry-After: a reader asks a registry that does not answer every five seconds."""
_log = logging.getLogger(__name__)


def problem(
    status: int,
    detail: str,
    *,
    kind: str,
    headers: Mapping[str, str] | None = None,
    mistakes: list[Mistake] | None = None,
) -> Response:
    """An error as a response."""
    told = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=" ".join(detail.split()),
        kind=kind,
        errors=mistakes or [],
    )
    leave = None if mistakes else {"errors"}
    return Response(told.model_dump_json(exclude=leave), status, headers, MEDIA_TYPE)


def status_of(error: VectorPipelineError) -> int:
    """The status of an error of this project."""
    if error.code == "timeout":
        return 504
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def tell_problems(app: FastAPI, clean: Callable[[str], str]) -> None:
    """Let every error of ``app`` be told so. ``clean`` takes secrets out of a message."""

    async def known(_: Request, error: Exception) -> Response:
        assert isinstance(error, VectorPipelineError)
        status, said = status_of(error), clean(str(error))
        if status >= 500:
            _log.warning("%s: %s", error.code, said)
        again = isinstance(error, ConflictError | UnavailableError) and status in _AGAIN_S
        return problem(status, said, kind=error.code, headers={"retry-after": _AGAIN_S[status]} if again else None)

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        mistakes = [_mistake(one) for one in error.errors()]
        no_json = any(one["type"] == "json_invalid" for one in error.errors())
        detail = "; ".join(f"{one.at}: {one.reason}" for one in mistakes)
        return problem(400 if no_json else 422, detail, kind="input", mistakes=mistakes)

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = {404: "not-found", 405: "input"}.get(error.status_code, "input")
        detail = "no such path. See: /openapi.json" if error.status_code == 404 else str(error.detail)
        return problem(error.status_code, detail, kind=kind, headers=error.headers)

    async def unexpected(_: Request, error: Exception) -> Response:
        # The server logs where; what a library says may hold anything, so that no client is told.
        return problem(500, f"unexpected {type(error).__name__}. The service's log says where", kind="error")

    app.add_exception_handler(VectorPipelineError, known)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _mistake(found: Mapping[str, Any]) -> Mistake:
    """Where and why; never what was sent."""
    if found["type"] == "json_invalid":
        return Mistake(at="body", reason="it is no JSON")
    # Behind the field stands which of its forms it was taken for.
    at = ".".join(str(one) for depth, one in enumerate(found["loc"]) if not (depth == 2 and one in TAGS))
    return Mistake(at=at, reason=str(found["msg"]))
