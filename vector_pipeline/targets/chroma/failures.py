"""The border of chromadb: what it raises becomes ours here, and nowhere else in this package.

Laws
----
1. What certainly did nothing (429, 503, no connection) is worth another try, and so is every read. A write whose answer did not
   come, was none of Chroma's, or said that the server broke on it, has an unknown outcome and is never sent again from here.
   A mistake of the caller's is only what chromadb's own checks say, before anything is sent or on the server.
2. Messages are one line: the target, what Chroma said, what to do. No token is in any of them, and no foreign exception hangs on
   ours: its words are not ours to vouch for.
"""

import re
from dataclasses import dataclass
from typing import Any

import httpx

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.config.secrets import scrub
from vector_pipeline.errors import (
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
    VectorPipelineError,
)

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
_HALF_GONE = re.compile(r"Missing \w+ segment")
"""What a server says of a collection that is being deleted."""
_MOST_SAID = 300
STATUSES = frozenset({401, 402, 403, 413, 429, 502, 503, 504})
"""What is told by its number: chromadb makes plain exceptions of some of them."""


class StatusError(Exception):
    """An answer with one of ``STATUSES``; never leaves the package."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class AnswerError(Exception):
    """Something answered that is no Chroma, such as a gateway's page; never leaves the package."""


class TooLargeError(InputError):
    """A request that is too large for the server."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed call: the error that it is when nothing more is tried, and whether trying again is worth it."""

    error: VectorPipelineError
    again: str | None = None
    """Why it may be tried again, for ``WriteReceipt.retried``; None: it may not."""


class FaultError(Exception):
    """Carries a ``Fault`` to whoever decides about another try; never leaves the package."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.error))
        self.fault = fault


class Failures:
    """Faults of one target's calls."""

    def __init__(self, name: str, config: ChromaTargetConfig) -> None:
        self._name, self._config = name, config
        self._hidden: tuple[str, ...] = ()

    def hide(self, *secrets: str) -> None:
        """What no message may repeat, beside the secrets of the configuration."""
        self._hidden += secrets

    def of(self, error: BaseException, *, write: bool) -> Fault | None:
        """None for what is not chromadb's: a mistake of ours, an interrupt."""
        match error:
            case StatusError():
                return self._status(error.status, str(error), write=write)
            case httpx.HTTPError() | httpx.InvalidURL() | httpx.StreamError():
                return self._connection(error, write=write)
            case AnswerError():
                return self._broken(error, write=write, again="answer")
        from chromadb import errors as chroma

        match error:
            case chroma.NotFoundError():
                return Fault(NotFoundError(self._line(error)))
            case chroma.ChromaError() if _HALF_GONE.search(str(error)):
                return Fault(NotFoundError(self._line(error)))
            case chroma.ChromaAuthError() | chroma.AuthorizationError():
                return self._status(403, str(error), write=write)
            case chroma.RateLimitError():
                return self._status(429, str(error), write=write)
            case chroma.QuotaError():
                return Fault(RefusedError(self._line(error), fix="Raise the quota, or send less"))
            case chroma.BatchSizeExceededError():
                return self._status(413, str(error), write=write)
            case ValueError() if "exceeds maximum batch size" in str(error):
                return self._status(413, str(error), write=write)
            case chroma.UniqueConstraintError() | chroma.IDAlreadyExistsError():
                return Fault(ConflictError(self._line(error)))
            case chroma.InternalError() | chroma.VersionMismatchError():
                return self._broken(error, write=write)
            case chroma.ChromaError() if "already exists" in str(error):
                return Fault(ConflictError(self._line(error)))
            case chroma.ChromaError() | ValueError() | TypeError() | KeyError():
                return Fault(InputError(self._line(error)))
            case OSError():
                return Fault(
                    UnavailableError(self._line(error), fix="Check the folder, its permissions and free space")
                )
        if type(error).__name__ == "PanicException" or type(error) is Exception:
            # Rust's panics are nothing that could be imported, and an answer that chromadb does not know is a plain Exception.
            return self._broken(error, write=write)
        return None

    def _status(self, status: int, said: str, *, write: bool) -> Fault:
        text = f"{self._where()} answered {status}: {self._said(said)}"
        match status:
            case 401 | 403:
                return Fault(ConfigError(text, fix=self._credentials()))
            case 402:
                return Fault(RefusedError(text, fix="See the account's plan and quota"))
            case 413:
                return Fault(
                    TooLargeError(text, fix="Send smaller records, or let the server and gateways before it take more")
                )
            case 429 | 503:
                return Fault(UnavailableError(text, fix="Try again later"), again=str(status))
            case _ if write:
                return Fault(UnknownOutcomeError(text))
            case _:
                return Fault(UnavailableError(text), again=str(status))

    def _connection(self, error: Exception, *, write: bool) -> Fault:
        said = type(error).__name__ if isinstance(error, httpx.LocalProtocolError) else self._said(str(error))
        text = f"{self._where()} does not answer: {said or type(error).__name__}"
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.LocalProtocolError):
            return Fault(ConfigError(text, fix="Check `url:` and `token:` of the target"))
        if write and not isinstance(error, _NEVER_SENT):
            return Fault(UnknownOutcomeError(text))
        fix = f"Start it (chroma run --path FOLDER --port PORT), or check `url:` of target {self._name}"
        return Fault(UnavailableError(text, fix=fix), again="connection")

    def _broken(self, error: BaseException, *, write: bool, again: str = "500") -> Fault:
        if write:
            return Fault(UnknownOutcomeError(self._line(error)))
        return Fault(UnavailableError(self._line(error)), again=again)

    def missing_database(self) -> ConfigError:
        """The tenant or the database is not there."""
        return ConfigError(
            f"{self._where()} has no database {self._config.database} of tenant {self._config.tenant}",
            fix="Create it (chromadb.AdminClient), or correct `tenant:` and `database:`",
        )

    def _credentials(self) -> str:
        if self._config.token is None:
            return f"Give target {self._name} a `token:` such as ${{env:CHROMA_TOKEN}}"
        return f"Check {', '.join(self._config.token.names())}, and what that token may do in this tenant and database"

    def _line(self, error: BaseException) -> str:
        return f"{self._where()}: {self._said(str(error)) or type(error).__name__}"

    def _where(self) -> str:
        place: Any = self._config.url if self._config.url is not None else self._config.path
        return f"target {self._name} (Chroma, {scrub(str(place))})"

    def _said(self, text: str) -> str:
        secrets = [one for one in (self._config.url, self._config.token) if one is not None]
        text = scrub(text, *secrets)
        for secret in self._hidden:
            text = text.replace(secret, "***")
        said = " ".join(re.sub(r"\x1b\[[0-9;]*m|<[^>]*>", " ", text).split())
        return said if len(said) <= _MOST_SAID else f"{said[: _MOST_SAID - 3]}..."
