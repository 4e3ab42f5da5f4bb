"""Pinecone's SDK as this package uses it: one client for the control plane, one for each index, shared by all threads.

Laws
----
1. Nothing is opened, and no key is read, before the first request.
2. The SDK sends every request once: trying again is decided in ``calls``. Left alone it sends three times more what met a 5xx
   or lost its answer, writes too, and its data plane does not take a ``RetryConfig``: parts of its inside are replaced. A release
   that has other parts is refused.
3. Bodies are written by orjson inside the SDK: ``orjson.Fragment`` stands for what is JSON already (``encoding``).
"""

import threading
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import httpx
from pinecone import Pinecone, RetryConfig
from pinecone.errors.exceptions import PineconeError

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import ConfigError, UnavailableError
from vector_pipeline.targets.pinecone.failures import Failures

if TYPE_CHECKING:
    from pinecone.index import Index

_CONNECTIONS = 64
"""Twice what is kept open while idle."""
_CONNECT_S = 10.0
_ONCE = RetryConfig(max_retries=0)
PINECONE = "https://api.pinecone.io"


class Client:
    """``control`` and ``data(host)``: the SDK's objects. Close it once."""

    def __init__(self, name: str, config: PineconeTargetConfig, failures: Failures) -> None:
        self._name, self._config, self._failures = name, config, failures
        self._control: Pinecone | None = None
        self._indexes: dict[str, Index] = {}
        self._closed = False
        self._lock = threading.Lock()

    @property
    def control_host(self) -> str:
        """The control plane's address, as a template."""
        return str(self._config.host or PINECONE)

    @property
    def control(self) -> Pinecone:
        with self._lock:
            return self._opened()

    def data(self, host: str) -> "Index":
        """The client of the index that is served at ``host``."""
        with self._lock:
            control = self._opened()
            found = self._indexes.get(host)
            if found is None:
                found = self._indexes[host] = _once(control.index(host=host))
            return found

    def key(self) -> str:
        """The API key, for requests that the SDK does not make: never to be shown."""
        return self._config.api_key.resolve()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for index in self._indexes.values():
                index.close()
            self._indexes.clear()
            if self._control is not None:
                self._control.close()
                self._control = None

    def _timeout(self) -> float:
        """The SDK hands it to httpx as it is. Whether a host is there is known sooner than its answer."""
        seconds = self._config.timeout_s
        return cast(float, httpx.Timeout(seconds, connect=min(seconds, _CONNECT_S)))

    def _opened(self) -> Pinecone:
        if self._closed:
            raise UnavailableError(f"target {self._name} is closed")
        if self._control is None:
            try:
                self._control = Pinecone(
                    api_key=self.key(),
                    host=self._config.host.resolve_url() if self._config.host else PINECONE,
                    timeout=self._timeout(),
                    connection_pool_maxsize=_CONNECTIONS,
                    retry_config=_ONCE,
                    source_tag="vector_pipeline",
                )
            except PineconeError as error:
                raise self._failures.fault(error, "open a client", writes=False).error from None
        return self._control


def _once(index: "Index") -> "Index":
    """Law 2."""
    try:
        from pinecone._internal.constants import DATA_PLANE_API_VERSION
        from pinecone._internal.http_client import HTTPClient

        once = HTTPClient(replace(index._config, retry_config=_ONCE), DATA_PLANE_API_VERSION)
        index._http.close()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"the package pinecone {version('pinecone')} cannot be told to send a request once ({error})",
            fix="Install the one that this was made for: pip install 'vector-pipeline[pinecone]'",
        ) from None
    index._http = once
    return index
