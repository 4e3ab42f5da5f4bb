"""A Chroma server over HTTP.

A user and a password in `url:` are sent as a header, and stand in no address: httpx logs those.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock, local
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import UUID

import httpx

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.errors import ConfigError, UnavailableError
from vector_pipeline.targets.chroma.connection import At, Call, Connection, T, settings
from vector_pipeline.targets.chroma.failures import STATUSES, AnswerError, Failures, StatusError

if TYPE_CHECKING:
    from chromadb.api import ServerAPI


_MOST_BYTES = 30_000_000
"""Of one request: a server refuses more than 40 MB unless it was told otherwise."""
_PRE_FLIGHT = "/pre-flight-checks"


class Served(Connection):
    """One HTTP session of its own."""

    def __init__(self, name: str, config: ChromaTargetConfig, failures: Failures) -> None:
        super().__init__(failures, At(tenant=config.tenant, database=config.database), min(30.0, config.timeout_s))
        self._name, self._config = name, config
        self.most_bytes = _MOST_BYTES
        self._answered = local()
        self._lock = RLock()
        self._system: Any = None
        self._api: ServerAPI | None = None
        self._closed = False

    def exists(self) -> bool:
        return True

    @contextmanager
    def session(self) -> Iterator[None]:
        yield

    def counter(self, collection: UUID) -> int | None:  # noqa: ARG002 (a server tells none)
        return None

    def _once(self, call: Call[T]) -> T:
        api, self._answered.yes = self._opened(), False
        try:
            return call(api)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            if self._answered.yes:  # before, they are chromadb's own checks
                raise AnswerError(f"it is no answer of Chroma's ({type(error).__name__})") from None
            raise

    def _opened(self) -> "ServerAPI":
        with self._lock:
            if self._closed:
                raise UnavailableError(f"target {self._name} is closed")
            if self._api is None:
                self._system, self._api = self._open()
            return self._api

    def _open(self) -> "tuple[Any, ServerAPI]":
        from chromadb.api import ServerAPI
        from chromadb.config import System

        assert self._config.url is not None
        url, credentials = _split(self._config.url.resolve_url())
        self.failures.hide(*(one.removeprefix("Basic ") for one in credentials.values()))
        system = System(
            settings(
                chroma_api_impl="chromadb.api.fastapi.FastAPI",
                chroma_server_host=url,
                chroma_server_http_port=8000,
                chroma_server_headers={**self._headers(), **credentials},
            )
        )
        api: ServerAPI = system.instance(ServerAPI)  # type: ignore[type-abstract]
        session: httpx.Client = api._session  # type: ignore[attr-defined]  # the only way to a time-out
        session.timeout = httpx.Timeout(self._config.timeout_s)
        session.event_hooks["response"].append(self._look)
        system.start()
        return system, api

    def _headers(self) -> dict[str, str]:
        if self._config.token is None:
            return {}
        token = self._config.token.resolve()
        if not token or not token.isascii() or not token.isprintable() or token != token.strip():
            raise ConfigError(
                f"the token of target {self._name} cannot be sent: it is empty, or has a character that no header takes",
                fix=f"Check {', '.join(self._config.token.names())}",
            )
        return {"x-chroma-token": token}

    def _look(self, response: httpx.Response) -> None:
        if response.status_code in STATUSES:
            response.read()
            raise StatusError(response.status_code, response.text)
        if not response.request.url.path.endswith(_PRE_FLIGHT):
            self._answered.yes = True

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._api is not None:
                self._api._session.close()  # type: ignore[attr-defined]
                self._system.stop()
                self._api = None


def _split(url: str) -> tuple[str, dict[str, str]]:
    """A URL without a user and a password, and the header that says them."""
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = login.partition(":")
    said = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return urlunsplit(parts._replace(netloc=place)), {"Authorization": f"Basic {said}"}
