"""Refusals of the Pinecone-protocol server, in the shapes that Pinecone documents.

The control plane answers ``{"error": {"code": "NOT_FOUND", "message": …}, "status": 404}``. An index host answers gRPC's status:
``{"code": 5, "message": …, "details": [{"@type": …ErrorInfo, "reason": …, "metadata": {…}}]}``, whose ``reason`` is the part that
programs branch on. Source: Pinecone's OpenAPI descriptions 2026-04 and its documentation of API 2026-07.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

CODES: Mapping[str, tuple[int, int]] = {
    "INVALID_ARGUMENT": (400, 3),
    "NOT_FOUND": (404, 5),
    "ALREADY_EXISTS": (409, 6),
    "PERMISSION_DENIED": (403, 7),
    "FORBIDDEN": (403, 7),
    "UNAUTHENTICATED": (401, 16),
    "RESOURCE_EXHAUSTED": (429, 8),
    "QUOTA_EXCEEDED": (403, 8),
    "PAYMENT_REQUIRED": (402, 8),
    "FAILED_PRECONDITION": (412, 9),
    "ABORTED": (409, 10),
    "OUT_OF_RANGE": (400, 11),
    "UNIMPLEMENTED": (501, 12),
    "INTERNAL": (500, 13),
    "UNAVAILABLE": (503, 14),
    "UNPROCESSABLE_ENTITY": (422, 3),
    "PAYLOAD_TOO_LARGE": (413, 11),
    "METHOD_NOT_ALLOWED": (405, 12),
}
"""Names of errors, with the HTTP status and the gRPC number that go with them."""


class ApiError(Exception):
    """A refusal: ``code`` is one of ``CODES``; ``reason`` and ``metadata`` go into ``details`` on an index host."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or CODES[code][0]
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.headers = dict(headers or {})

    def response(self, *, control: bool) -> Response:
        """As the control plane words it, or as an index host does."""
        body: dict[str, Any]
        if control:
            body = {"error": {"code": self.code, "message": self.message}, "status": self.status}
        else:
            body = {"code": CODES[self.code][1], "message": self.message, "details": self._details()}
        return answer(body, self.status, self.headers)

    def _details(self) -> list[dict[str, Any]]:
        if self.reason is None:
            return []
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        return [{"@type": kind, "reason": self.reason, "domain": "pinecone.io", "metadata": self.metadata}]


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body), status, dict(headers or {}), media_type="application/json")
