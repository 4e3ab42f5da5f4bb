"""A way to a Chroma, embedded or served: one interface for the rest of the adapter.

chromadb's ``ServerAPI`` is what both of its clients stand on. The client above it adds embedding functions, and checks that
``targets.checks`` has made already, in Python, value by value.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar
from uuid import UUID

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from vector_pipeline.errors import NotFoundError
from vector_pipeline.targets.chroma.failures import Failures, FaultError

if TYPE_CHECKING:
    from chromadb.api import ServerAPI

T = TypeVar("T")


class At(TypedDict):
    """Where a database is: arguments of every call."""

    tenant: str
    database: str


Call = Callable[["ServerAPI"], T]
_MOST_BROKEN = 4


class Connection(ABC):
    """Calls of one target. ``retry_s``: for how long what did nothing is tried again."""

    def __init__(self, failures: Failures, at: At, retry_s: float) -> None:
        self.failures = failures
        self.at = at
        self.retry_s = retry_s
        self.most_bytes: int | None = None
        """What a request may hold, as far as is known; None: whatever there is."""
        self._checked = False

    @abstractmethod
    def exists(self) -> bool:
        """Whether there may be anything to read."""

    @abstractmethod
    def session(self) -> AbstractContextManager[None]:
        """Calls within see one state, where that can be had, and nobody else writes between them."""

    @abstractmethod
    def counter(self, collection: UUID) -> int | None:
        """A number that grows with every write to the collection, whoever makes it; None where there is none."""

    def learn(self, most_bytes: int) -> None:
        """A request of more than that was too large."""
        self.most_bytes = most_bytes if self.most_bytes is None else min(self.most_bytes, most_bytes)

    def vacuum(self) -> None:  # noqa: B027 (a server's are not)
        """Leave nothing of what was deleted in Chroma's files, where those are ours to touch."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _once(self, call: Call[T]) -> T:
        """Make the call, errors as they come."""

    def call(self, call: Call[T], *, write: bool = False, retried: Counter[str] | None = None) -> T:
        """Make the call, again where that is safe; what it raises is ours. ``retried`` counts the tries by reason.

        The tenant and the database are looked for before the first call: Chroma's other answers do not tell what is missing.
        """
        if not self._checked:
            try:
                self._called(lambda api: api.get_database(self.at["database"], tenant=self.at["tenant"]), False, None)
            except NotFoundError:
                raise self.failures.missing_database() from None
            self._checked = True
        return self._called(call, write, retried)

    def asked(self, call: Call[T], *, write: bool = False) -> T:
        """``call`` where the tenant or the database may not be there yet: nothing is looked for first."""
        return self._called(call, write, None)

    def _called(self, call: Call[T], write: bool, retried: Counter[str] | None) -> T:
        def count(state: RetryCallState) -> None:
            reason = _reason(state.outcome.exception()) if state.outcome is not None else None
            if retried is not None and reason is not None:
                retried[reason] += 1

        late = stop_after_delay(self.retry_s)
        retrying = Retrying(
            retry=retry_if_exception(lambda error: _reason(error) is not None),
            stop=lambda state: late(state) or _stays_broken(state), wait=wait_random_exponential(multiplier=0.05, max=2.0),
            before_sleep=count, reraise=True,
        )  # fmt: skip
        try:
            result: T = retrying(self._judged, call, write)
        except FaultError as error:
            raise error.fault.error from None
        return result

    def _judged(self, call: Call[T], write: bool) -> T:
        try:
            return self._once(call)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # Rust's panics are no Exceptions
            fault = self.failures.of(error, write=write)
            if fault is None:
                raise
            raise FaultError(fault) from None


def _reason(error: BaseException | None) -> str | None:
    return error.fault.again if isinstance(error, FaultError) else None


def _stays_broken(state: RetryCallState) -> bool:
    """A server that breaks on a read may have been in the middle of a write; a fourth time it is the read, or no Chroma."""
    broken = state.outcome is not None and _reason(state.outcome.exception()) in ("500", "answer")
    return broken and state.attempt_number >= _MOST_BROKEN


def settings(**values: Any) -> Any:
    """chromadb's settings: no telemetry, and nothing from a ``.env`` that lies about."""
    from chromadb.config import Settings

    return Settings(_env_file=None, anonymized_telemetry=False, **values)
