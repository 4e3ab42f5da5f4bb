"""Spans of OpenTelemetry, where it is installed. The application's exporter decides what becomes of them; without one they cost
microseconds.

Laws
----
1. No span holds a query's text, a filter, a key or a hit. Exceptions are told by their code alone.
2. Without ``opentelemetry-api`` (the extra ``telemetry``) nothing is imported, and nothing is done.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vector_pipeline.errors import VectorPipelineError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

Attributes = dict[str, str | int | float | bool]
_SILENT: AbstractContextManager[Attributes] = nullcontext({})


class Spans:
    """Where spans of a reader go."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None
        if find_spec("opentelemetry") is not None and find_spec("opentelemetry.trace") is not None:
            from opentelemetry import trace

            self._tracer = trace.get_tracer("vector_pipeline")

    def span(self, name: str, attributes: Mapping[str, str | int | float | bool]) -> AbstractContextManager[Attributes]:
        """A span below the present one. What is put into the dictionary becomes attributes when it ends."""
        return _SILENT if self._tracer is None else self._recorded(self._tracer, name, attributes)

    @contextmanager
    def _recorded(self, tracer: "Tracer", name: str, attributes: Mapping[str, Any]) -> Iterator[Attributes]:
        from opentelemetry.trace import Status, StatusCode

        more: Attributes = {}
        with tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:  # fmt: skip
            try:
                yield more
            except VectorPipelineError as error:
                span.set_attribute("error.type", error.code)
                span.set_status(Status(StatusCode.ERROR))
                raise
            finally:
                if span.is_recording():
                    span.set_attributes(more)
