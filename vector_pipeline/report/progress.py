"""Progress of long work: whoever works reports amounts, whoever watches decides how it looks."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

_LOG_EVERY_S = 10.0


class ProgressSink(Protocol):
    """Receives amounts. ``step`` names what is done, ``unit`` what is counted."""

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None: ...


class LogSink:
    """Writes a line to a logger now and then: for runs that nobody watches live."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._last: dict[str, float] = {}

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        now = time.monotonic()
        if done < total and now - self._last.setdefault(step, now) < _LOG_EVERY_S:
            return
        self._last[step] = now
        self._logger.info("%s: %s of %s %s %s", step, f"{done:,}", f"{total:,}", unit, note)


_sink: ContextVar[ProgressSink | None] = ContextVar("vector_pipeline_progress", default=None)
# A run in this process may work on threads of its own, which do not inherit a context: they fall back to this one.
_shared: list[ProgressSink] = []


def current_sink() -> ProgressSink:
    """The sink in force: the one of ``reporting_to``, else a logger."""
    found = _sink.get()
    if found is not None:
        return found
    return _shared[-1] if _shared else LogSink(logging.getLogger("vector_pipeline"))


@contextmanager
def reporting_to(sink: ProgressSink) -> Iterator[None]:
    """Send progress to a sink for the time of a block."""
    token = _sink.set(sink)
    _shared.append(sink)
    try:
        yield
    finally:
        _shared.remove(sink)
        _sink.reset(token)
