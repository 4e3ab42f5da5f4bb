"""What a process's spans are, collected. A process has one tracer provider for good, whichever test comes first."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def collected() -> Iterator[Any]:
    """An in-memory exporter of the spans that end meanwhile. Skips where OpenTelemetry's SDK is not installed."""
    trace = pytest.importorskip("opentelemetry.trace")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    provider = trace.get_tracer_provider()
    if not isinstance(provider, sdk.TracerProvider):
        provider = sdk.TracerProvider()
        trace.set_tracer_provider(provider)
    found = memory.InMemorySpanExporter()
    provider.add_span_processor(export.SimpleSpanProcessor(found))
    yield found
    found.shutdown()  # A provider forgets no processor: the exporter stops taking.
