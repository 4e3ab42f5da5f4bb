"""Errors on the wire: one line each, as RFC 9457 wants it, with a status that says what a client can do with it."""

import logging
import re
from collections.abc import Callable, Collection, Mapping
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
_LONGEST, _NAME, _MISTAKES = 1_000, 64, 16
"""Characters of an error, and of a name in it; mistakes of one request that are told. No client gets back more than it sent."""
_SHORTEST = 4
"""Characters of a text that is hidden: shorter ones are in everything."""
_CUT = re.compile(r"(.{4,60})\.\.\.")
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
    line = " ".join(_plain(detail).split())
    told = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…", kind=kind,
        errors=mistakes or [],
    )  # fmt: skip
    leave = None if mistakes else {"errors"}
    return Response(told.model_dump_json(exclude=leave), status, headers, MEDIA_TYPE)


def status_of(error: VectorPipelineError) -> int:
    """The status of an error of this project."""
    if error.code == "timeout":
        return 504
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def hide(request: Request, texts: Callable[[], Collection[str]]) -> None:
    """What no error of this request may say from here on; asked for when there is one."""
    request.state.hidden = texts


def tell_problems(app: FastAPI, clean: Callable[[str], str]) -> None:
    """Let every error of ``app`` be told so. ``clean`` takes secrets out of a message."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, VectorPipelineError)
        status, said = status_of(error), _without(clean(str(error)), getattr(request.state, "hidden", tuple)())
        if status >= 500:
            _log.warning("%s: %s", error.code, said)
        again = isinstance(error, ConflictError | UnavailableError) and status in _AGAIN_S
        return problem(status, said, kind=error.code, headers={"retry-after": _AGAIN_S[status]} if again else None)

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        mistakes = [_mistake(one) for one in error.errors()[:_MISTAKES]]
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
    return Mistake(at=_plain(at)[:_NAME], reason=_plain(str(found["msg"]).removeprefix("Value error, ")))


def _plain(text: str) -> str:
    """What can be encoded: half of a surrogate pair cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


def _without(message: str, texts: Collection[str]) -> str:
    """Libraries repeat in their errors what they were given: as it is, quoted, or the beginning of it with dots behind."""
    for one in sorted(texts, key=len, reverse=True):
        quoted = repr(one)[1:-1]
        for form in {one, quoted}:
            if len(form) >= _SHORTEST:
                message = message.replace(form, "…")
        for cut in _CUT.findall(message):
            begun = next((size for size in range(len(cut), _SHORTEST - 1, -1) if cut.endswith(quoted[:size])), 0)
            if begun:
                message = message.replace(f"{quoted[:begun]}...", "…")
    return message
