"""Knobs: what goes wrong on purpose, the same way each time, and what was counted."""

import threading
import time
from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pinecone import Index

from vector_pipeline.testing.pinecone_server import Knobs, PineconeServer
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.knobs import Counts, Fault

FAULTS = [fault.value for fault in Fault]


def upsert(http: httpx.Client, name: str, **more: Any) -> httpx.Response:
    body = {"vectors": [{"id": name, "values": [1, 2, 3]}], "namespace": "ns"}
    return http.post("/vectors/upsert", json=body, **more)


def there(index: Index, *names: str) -> set[str]:
    return set(index.fetch(ids=list(names), namespace="ns").vectors)


def test_429_says_when_to_come_back(server: PineconeServer, index: Index, http: httpx.Client) -> None:
    server.knobs.too_many_requests = 1
    server.knobs.retry_after_s = 1.5
    refused = upsert(http, "a")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1.5")
    assert refused.json()["code"] == 8
    server.knobs.too_many_requests = 0
    assert there(index, "a") == set()


def test_503_does_nothing(server: PineconeServer, index: Index, http: httpx.Client) -> None:
    server.knobs.unavailable = 1
    assert upsert(http, "a").status_code == 503
    server.knobs.unavailable = 0
    assert there(index, "a") == set()


def test_a_lost_response_has_landed(server: PineconeServer, index: Index, http: httpx.Client) -> None:
    server.knobs.lost_responses = 1
    with pytest.raises(httpx.RemoteProtocolError):
        upsert(http, "a")
    assert http.post("/query", json={"vector": [1, 2, 3], "topK": 1}).status_code == 200  # a read loses nothing
    assert there(index, "a") == {"a"}
    assert server.counts["requests"]["POST /vectors/upsert"] == {"lost": 1}


def test_a_dropped_connection_has_done_nothing(server: PineconeServer, index: Index, http: httpx.Client) -> None:
    server.knobs.dropped = 1
    with pytest.raises(httpx.TransportError):
        upsert(http, "a")
    server.knobs.dropped = 0
    assert there(index, "a") == set()


def test_no_answer_until_the_client_gives_up(server: PineconeServer, index: Index, http: httpx.Client) -> None:
    server.knobs.timeouts = 1
    with pytest.raises(httpx.ReadTimeout):
        upsert(http, "a", timeout=0.3)
    server.knobs.timeouts = 0
    assert there(index, "a") == set()


def test_a_silent_request_ends_with_the_server(server: PineconeServer, http: httpx.Client) -> None:
    server.knobs.timeouts = 1
    met: list[BaseException] = []

    def ask() -> None:
        try:
            upsert(http, "a", timeout=60)
        except httpx.TransportError as error:
            met.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    deadline = time.monotonic() + 10
    while not server.counts["faults"]:
        assert time.monotonic() < deadline
    server.stop()
    asking.join(10)
    assert [type(error) for error in met] == [httpx.RemoteProtocolError] or isinstance(met[0], httpx.ReadError)


@pytest.mark.parametrize(("quota", "code"), [("402", 402), ("403", 403)])
def test_a_quota_refuses_writes(server: PineconeServer, http: httpx.Client, quota: str, code: int) -> None:
    server.knobs.quota = quota
    assert upsert(http, "a").status_code == code
    assert http.post("/describe_index_stats", json={}).status_code == 200


def test_the_control_plane_is_spared_unless_told(server: PineconeServer, index: Index) -> None:
    assert index.host
    headers = {"Api-Key": server.api_key}
    server.knobs.unavailable = 1
    assert httpx.get(f"{server.url}/indexes", headers=headers).status_code == 200
    server.knobs.control_plane = True
    refused = httpx.get(f"{server.url}/indexes", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert httpx.get(f"{server.url}/_dev/counts").status_code == 200


def test_latency_and_bandwidth_slow_it_down(server: PineconeServer, http: httpx.Client) -> None:
    server.knobs.latency_s = 0.2
    begun = time.monotonic()
    upsert(http, "a")
    assert time.monotonic() - begun >= 0.2
    server.knobs.latency_s = 0
    server.knobs.bandwidth_bytes_per_s = 100_000
    begun = time.monotonic()
    upsert(http, "x" * 500)
    http.post("/vectors/upsert", json={"vectors": [{"id": "a", "values": [1, 2, 3], "metadata": {"t": "x" * 30_000}}]})
    assert time.monotonic() - begun >= 0.3


def test_knobs_are_turned_from_outside(server: PineconeServer) -> None:
    turned = httpx.patch(f"{server.url}/_dev/knobs", json={"freshness_lag_s": 2, "unavailable": 0.5})
    assert (turned.status_code, turned.json()["freshness_lag_s"]) == (200, 2)
    assert (server.knobs.freshness_lag_s, server.knobs.unavailable) == (2, 0.5)
    assert httpx.get(f"{server.url}/_dev/knobs").json() == turned.json()
    for wrong in ({"unavailable": 2}, {"nothing": 1}, {"quota": "500"}, {"seed": -1}, {"aliases": 1}, []):
        assert httpx.patch(f"{server.url}/_dev/knobs", json=wrong).status_code == 400
    assert httpx.get(f"{server.url}/_dev/knobs").json() == turned.json()


def test_requests_are_counted_by_route_and_status(server: PineconeServer, http: httpx.Client) -> None:
    upsert(http, "a")
    http.post("/vectors/upsert", json={"vectors": []})
    http.get("/namespaces/some")
    http.get("/nothing")
    http.get("/vectors/fetch", headers={"Api-Key": "wrong"})
    counts = httpx.get(f"{server.url}/_dev/counts").json()["requests"]
    assert counts["POST /vectors/upsert"] == {"200": 1, "400": 1}
    assert counts["GET /namespaces/{name}"] == {"404": 1}
    assert counts["other"] == {"404": 1}
    assert counts["GET /vectors/fetch"] == {"401": 1}


@given(
    shares=st.lists(st.floats(0, 0.2), min_size=len(FAULTS), max_size=len(FAULTS)),
    seed=st.integers(0, 10),
    writes=st.booleans(),
)
def test_faults_are_drawn_by_their_shares_and_again_the_same(shares: list[float], seed: int, writes: bool) -> None:
    knobs = Knobs(**dict(zip(FAULTS, shares, strict=True)), seed=seed)  # type: ignore[arg-type]
    drawn = [[counts.draw("route", writes=writes) for _ in range(400)] for counts in (Counts(knobs), Counts(knobs))]
    assert drawn[0] == drawn[1]
    found = Counter(drawn[0])
    for fault, share in zip(Fault, shares, strict=True):
        expected = 0 if fault is Fault.LOST_RESPONSE and not writes else share
        # Five standard deviations of a share of 400 draws.
        assert abs(found[fault] / 400 - expected) < 0.001 + 5 * (expected * (1 - expected) / 400) ** 0.5


def test_no_faults_without_knobs() -> None:
    counts = Counts(Knobs())
    assert [counts.draw("route", writes=True) for _ in range(100)] == [None] * 100


@pytest.mark.parametrize("change", [{"dropped": -0.1}, {"latency_s": "slow"}, {"rate_limits": 1}, {"seed": True}])
def test_a_wrong_knob_changes_nothing(change: dict[str, Any]) -> None:
    knobs = Knobs()
    with pytest.raises(ApiError, match=next(iter(change))):
        knobs.change({"unavailable": 0.5, **change})
    assert knobs == Knobs()
