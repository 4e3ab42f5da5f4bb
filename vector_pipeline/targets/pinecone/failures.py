"""The border of Pinecone's SDK: what it raises becomes ours here, and nowhere else in this package.

Laws
----
1. A write whose answer did not come, makes no sense, or said that something broke on it (408, every 5xx but 501 and 503), has an
   unknown outcome: it is never sent again from here; nor is one that failed as nothing here foresees. What certainly did nothing
   (429, 503, no connection) is worth another try, and so is every read.
2. Messages are one line: the target, what was tried, what the service said, what to do. The key is in none of them, and no foreign
   exception hangs on ours: a traceback shows it, and its words are not ours to vouch for.
"""

import re
from dataclasses import dataclass

import httpx
from pinecone.errors import exceptions as sdk

from vector_pipeline.config import PineconeTargetConfig
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

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_MONTH = r"(?:this|current) month|upgrade"
_MONTHLY = re.compile(rf"\b(?:{_MONTH})\b", re.IGNORECASE)
"""What a 429 says when it is not about this second."""
_LIMIT = r"limit (?:of|is|was|reached|exceeded)|(?:reach|exceed|hit)(?:s|es|ed)?\b[^.]{0,80}\b(?:limits?|max|maximum)"
_QUOTA = re.compile(
    rf"\b(?:quotas?|payment|billing|(?:your|current|starter|free) plan|{_LIMIT}|{_MONTH})\b", re.IGNORECASE
)
"""What a 403 says that is about an amount. Whole words: a role "is limited to" reading, and "see the explanation"."""
_QUOTA_CODES = frozenset({"QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED"})
_MOST_SAID = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed request: the error that it is when nothing more is tried, and whether trying again is worth it."""

    error: VectorPipelineError
    again: str | None = None
    """Why it may be tried again, for ``WriteReceipt.retried``: ``429``, ``503``, ``connection``. None: it may not."""
    after_s: float | None = None
    """What ``Retry-After`` said."""


class FaultError(Exception):
    """Carries a ``Fault`` to whoever decides about another try; never leaves the package."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.error))
        self.fault = fault


class UnreachableError(UnavailableError):
    """Nobody answers at an address: nothing was sent there."""


class Failures:
    """Faults of one target's requests."""

    def __init__(self, name: str, config: PineconeTargetConfig) -> None:
        self._name, self._config = name, config

    def fault(self, error: Exception, what: str, *, writes: bool) -> Fault:
        """What an exception of the SDK means for a request that was to do ``what``."""
        where = f"target {self._name}: cannot {what}"
        match error:
            case sdk.ApiError():
                return self._answered(error, where, writes=writes)
            case sdk.PineconeTimeoutError() | sdk.PineconeConnectionError():
                return self._unanswered(error, where, writes=writes)
            case sdk.ResponseParsingError():
                fix = "A newer pinecone package may know it: pip install -U 'vector-pipeline[pinecone]'"
                return self._senseless(error.message, where, fix, writes=writes)
            case sdk.PineconeValueError() if "API key" in error.message:
                return Fault(
                    ConfigError(f"{where}: the API key is no key: it has blanks or other characters", fix=self._key_fix)
                )
            case sdk.PineconeValueError() | sdk.PineconeTypeError():
                return Fault(InputError(f"{where}: {self._clean(str(error))}"))
            case httpx.TransportError():
                return self._unanswered(error, where, writes=writes)
            case _:
                # Such as an answer that cannot be unpacked; or what a later release of the SDK raises.
                fix = "Is the target's `host:` right, and what stands between?"
                return self._senseless(f"{type(error).__name__}: {error}", where, fix, writes=writes)

    def _senseless(self, said: str, where: str, fix: str, *, writes: bool) -> Fault:
        """Something was answered, and nobody knows what."""
        what = f"{where}: the answer makes no sense ({self._clean(said)})"
        return Fault(UnknownOutcomeError(what) if writes else UnavailableError(what, fix=fix))

    def _answered(self, error: sdk.ApiError, where: str, *, writes: bool) -> Fault:
        """The service said no, or that it broke."""
        said = self._clean(error.message)
        match error.status_code:
            case 401:
                return Fault(ConfigError(f"{where}: the API key is not accepted", fix=self._key_fix))
            case 402:
                return Fault(RefusedError(f"{where}: {said}", fix="Settle the payment in Pinecone's console"))
            case 403:
                return Fault(self._forbidden(error, said, where))
            case 404:
                return Fault(NotFoundError(f"{where}: {said}"))
            case 409:
                return Fault(ConflictError(f"{where}: {said}"))
            case 412 | 501:
                return Fault(RefusedError(f"{where}: {said}"))
            case 429:
                return self._too_many(error, said, where)
            case 503:
                fix = "See status.pinecone.io, then run it again"
                return Fault(UnavailableError(f"{where}: the service is away ({said})", fix=fix), "503", _after(error))
            case status if status == 408 or status >= 500:
                broke = f"{where}: the service broke on it, {status} ({said})"
                if writes:
                    return Fault(UnknownOutcomeError(broke))
                return Fault(UnavailableError(broke), str(status), _after(error))
            case _:
                return Fault(InputError(f"{where}: {said}"))

    def _forbidden(self, error: sdk.ApiError, said: str, where: str) -> VectorPipelineError:
        if error.error_code in _QUOTA_CODES or _QUOTA.search(said):
            return RefusedError(f"{where}: {said}", fix="Raise the project's quota or its plan in Pinecone's console")
        fix = f"Let the key in {self._variable} read and write this project, or use another key"
        return ConfigError(f"{where}: the API key may not do that ({said})", fix=fix)

    def _too_many(self, error: sdk.ApiError, said: str, where: str) -> Fault:
        if _MONTHLY.search(said):
            return Fault(
                RefusedError(f"{where}: {said}", fix="Raise the project's quota or its plan in Pinecone's console")
            )
        fix = "Lower the target's `limits:`, or ask Pinecone for higher ones"
        return Fault(UnavailableError(f"{where}: too many requests ({said})", fix=fix), "429", _after(error))

    def _unanswered(self, error: sdk.PineconeError | httpx.TransportError, where: str, *, writes: bool) -> Fault:
        """No answer came. What was never sent has done nothing."""
        cause = error if isinstance(error, httpx.TransportError) else error.__cause__
        late = isinstance(error, sdk.PineconeTimeoutError | httpx.TimeoutException)
        said = "no answer in time" if late else self._clean(str(error))
        if isinstance(cause, httpx.LocalProtocolError):
            return Fault(ConfigError(f"{where}: the request cannot be sent", fix=self._key_fix))
        if isinstance(cause, _NEVER_SENT):
            fix = (
                "Is it up, and is the target's `host:` right?" if self._config.host else "Check the network and proxies"
            )
            return Fault(UnreachableError(f"{where}: nobody answers there ({said})", fix=fix), "connection")
        if writes:
            return Fault(UnknownOutcomeError(f"{where}: it was sent, and {'no answer came in time' if late else said}"))
        return Fault(UnavailableError(f"{where}: {said}"), "timeout" if late else "connection")

    @property
    def _variable(self) -> str:
        return ", ".join(self._config.api_key.names())

    @property
    def _key_fix(self) -> str:
        return f"Set {self._variable} to a key of the project (Pinecone's console, API keys)"

    def _clean(self, said: str) -> str:
        text = " ".join(scrub(said, self._config.api_key, self._config.host or "").split())
        return text.rstrip(".") if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}…"


def _after(error: sdk.ApiError) -> float | None:
    """``Retry-After`` in seconds."""
    headers = error.headers or {}
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        seconds = float(given)
    except ValueError:
        return None
    return seconds if seconds >= 0 else None
