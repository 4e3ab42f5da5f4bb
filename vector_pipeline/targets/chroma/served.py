"""A Chroma server over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.errors import ConfigError, UnavailableError
from vector_pipeline.targets.chroma.connection import At, Call, Connection, T, settings
from vector_pipeline.targets.chroma.failures import STATUSES, Failures, StatusError

if TYPE_CHECKING:
    from chromadb.api import ServerAPI


class Served(Connection):
    """One HTTP session of its own."""

    def __init__(self, name: str, config: ChromaTargetConfig, failures: Failures) -> None:
        super().__init__(failures, At(tenant=config.tenant, database=config.database), min(30.0, config.timeout_s))
        self._name, self._config = name, config
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
        return call(self._opened())

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
        system = System(
            settings(
                chroma_api_impl="chromadb.api.fastapi.FastAPI",
                chroma_server_host=self._config.url.resolve_url(),
                chroma_server_http_port=8000,
                chroma_server_headers=self._headers(),
            )
        )
        api: ServerAPI = system.instance(ServerAPI)  # type: ignore[type-abstract]
        session: httpx.Client = api._session  # type: ignore[attr-defined]  # the only way to a time-out
        session.timeout = httpx.Timeout(self._config.timeout_s)
        session.event_hooks["response"].append(_tell_status)
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

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._api is not None:
                self._api._session.close()  # type: ignore[attr-defined]
                self._system.stop()
                self._api = None


def _tell_status(response: httpx.Response) -> None:
    if response.status_code in STATUSES:
        response.read()
        raise StatusError(response.status_code, response.text)
