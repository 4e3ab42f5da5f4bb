"""What a service counts, in Prometheus's format.

Laws
----
1. Counters are the readers' own: a query that fails over from one version to another is counted once for each.
2. A scrape asks the parts as readiness does, in bounded time. Labels are names of the configuration: no client makes any.
"""

import time
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from vector_pipeline import __version__
from vector_pipeline.service.gate import Tally
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.pool import added
from vector_pipeline.service.readers import Readers, State
from vector_pipeline.serving import ArmMetrics

TEXTS = ("text/plain", "application/openmetrics-text")
"""Media types that metrics are told in."""
_BREAKER = ("closed", "half-open", "open")
_ARM = ["dataset", "arm"]


def registry_of(readers: Readers, tally: Tally, limits: Limits) -> CollectorRegistry:
    """Everything that ``/metrics`` tells."""
    made = CollectorRegistry()
    made.register(ReaderCollector(readers))
    made.register(RequestCollector(tally, limits))
    ProcessCollector(registry=made)
    return made


def text_of(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The document and its media type: Prometheus's text, or OpenMetrics where that is accepted."""
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


class ReaderCollector(Collector):
    """The readers' counters, and how each dataset was when it was last asked."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def collect(self) -> Iterator[Metric]:
        yield from self._queries()
        yield from self._datasets()

    def describe(self) -> Iterator[Metric]:
        """Nothing: what is collected is not needed to register."""
        return iter(())

    def _queries(self) -> Iterator[Metric]:
        found: dict[tuple[str, str], ArmMetrics] = {}
        for dataset, metrics in self._readers.metrics():
            for arm, one in metrics.arms.items():
                known = found.get((dataset, arm))
                found[dataset, arm] = one if known is None else added(known, one)
        queries = CounterMetricFamily("vector_pipeline_queries", "Calls of the reader, failed ones too.", labels=_ARM)
        errors = CounterMetricFamily("vector_pipeline_query_errors", "Calls of the reader that failed.", labels=_ARM)
        whole = HistogramMetricFamily("vector_pipeline_query_seconds", "Of whole calls.", labels=_ARM)
        embed = CounterMetricFamily("vector_pipeline_embed_seconds", "Spent embedding queries.", labels=_ARM)
        search = CounterMetricFamily("vector_pipeline_search_seconds", "Spent waiting for the target.", labels=_ARM)
        for labels, one in sorted(found.items()):
            queries.add_metric(labels, one.count)
            errors.add_metric(labels, one.errors)
            buckets = [("+Inf" if bound == float("inf") else f"{bound:g}", calls) for bound, calls in one.buckets]
            whole.add_metric(labels, buckets, one.seconds)
            embed.add_metric(labels, one.embed_s)
            search.add_metric(labels, one.search_s)
        yield from (queries, errors, whole, embed, search)

    def _datasets(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("vector_pipeline_dataset_ready", "1: it answers.", labels=["dataset"])
        state = GaugeMetricFamily("vector_pipeline_dataset_state", "1 for its state.", labels=["dataset", "state"])
        info = GaugeMetricFamily(
            "vector_pipeline_served", "1 for what answers now.", labels=["dataset", "version", "space", "arm"]
        )
        age = GaugeMetricFamily(
            "vector_pipeline_alias_age_seconds", "Since the registry said where the alias points.", labels=["dataset"]
        )
        pushed = GaugeMetricFamily(
            "vector_pipeline_alias_pushed", "1: the registry tells of moves by itself.", labels=["dataset"]
        )
        breaker = GaugeMetricFamily(
            "vector_pipeline_breaker_state", "1 for the state of the live index's breaker.", labels=["dataset", "state"]
        )
        share = GaugeMetricFamily(
            "vector_pipeline_route_share", "Of the readers that get another version.", labels=["dataset", "version"]
        )
        now = time.monotonic()
        for one in self._readers.known():
            ready.add_metric([one.dataset], one.state == State.READY)
            for name in State:
                state.add_metric([one.dataset, name.value], one.state == name)
            health = one.health
            if health is None:
                continue
            if health.version is not None:
                info.add_metric([one.dataset, str(health.version), health.space or "", health.arm], 1)
            if health.age_s is not None:
                age.add_metric([one.dataset], health.age_s + now - one.at)
            pushed.add_metric([one.dataset], health.pushed)
            for closed in _BREAKER:
                breaker.add_metric([one.dataset, closed], health.breaker == closed)
            if health.route is not None:
                share.add_metric([one.dataset, str(health.route["version"])], _number(health.route, "share"))
        yield from (ready, state, info, age, pushed, breaker, share)


class RequestCollector(Collector):
    """What the gate counted."""

    def __init__(self, tally: Tally, limits: Limits) -> None:
        self._tally = tally
        self._limits = limits

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("vector_pipeline_http_requests", "Answered.", labels=["route", "status"])
        for (route, status), count in sorted(self._tally.requests.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        yield CounterMetricFamily(
            "vector_pipeline_http_saturated", "Refused because all places were taken.", value=self._tally.saturated
        )
        yield GaugeMetricFamily("vector_pipeline_http_working", "Being answered now.", value=self._tally.working)
        yield GaugeMetricFamily(
            "vector_pipeline_http_max_concurrency", "That may be answered at once.", value=self._limits.max_concurrency
        )
        built = GaugeMetricFamily("vector_pipeline_build_info", "1 for this program.", labels=["version"])
        built.add_metric([__version__], 1)
        yield built

    def describe(self) -> Iterator[Metric]:
        """Nothing: what is collected is not needed to register."""
        return iter(())


def _number(found: Mapping[str, object], name: str) -> float:
    value = found[name]
    assert isinstance(value, int | float)
    return float(value)
