"""API keys: a request without one of the server's is answered 401, as Pinecone does it.

Since API 2026-07 the body is the plain text ``Unauthorized``; before, it was an error like every other.
"""

import hmac

from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from vector_pipeline.testing.pinecone_server.errors import ApiError

MESSAGE = "Invalid API key."


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """A header's value; ``wanted`` in lower case."""
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None


def older(scope: Scope) -> bool:
    """The request asks for an API before 2026-07. None said is the present one."""
    version = header(scope, b"x-pinecone-api-version")
    return version is not None and version < b"2026-07"


def allowed(scope: Scope, keys: frozenset[str]) -> bool:
    """The request carries one of ``keys``."""
    given = header(scope, b"api-key")
    return given is not None and any(hmac.compare_digest(given, key.encode()) for key in keys)


def unauthorized(scope: Scope, *, control: bool) -> Response:
    if older(scope):
        return ApiError("UNAUTHENTICATED", MESSAGE).response(control=control)
    return PlainTextResponse("Unauthorized", 401)
