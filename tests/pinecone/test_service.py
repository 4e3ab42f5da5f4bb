"""A service that is late, busy or away: what is waited for, tried again and left alone; and what nobody sees of us."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest
from pinecone import Vector
from pinecone.errors import exceptions as sdk
from pinecone.index import Index

from tests.support.pinecone import pinecone_config
from vector_pipeline.errors import ConfigError, RefusedError, UnavailableError, UnknownOutcomeError
from vector_pipeline.targets.base import LIVE, WriteReceipt
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.targets.pinecone.calls import FIRST_CONTACT_S, Calls
from vector_pipeline.targets.pinecone.encoding import SENTINEL, metadata_of
from vector_pipeline.targets.pinecone.failures import Failures
from vector_pipeline.testing.pinecone_server import PineconeServer
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

Opening = Callable[..., PineconeTarget]
IDS = [f"doc{index % 3}#{index:02d}" for index in range(10)]


@pytest.mark.parametrize("part", ["_http", "_config", "pinecone._internal.http_client"])
def test_an_sdk_with_other_parts_is_refused(open_target: Opening, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """What sends a request again by itself would write twice: no request is made with it."""

    class Other:
        def __init__(self, parts: Index) -> None:
            self.__dict__ = {name: value for name, value in vars(parts).items() if name != part}

    target = open_target()
    made = target.service.client.control.index

    def index(**given: Any) -> Any:
        found = made(**given)
        found.close()
        if "." in part:
            monkeypatch.setitem(sys.modules, part, None)
        return Other(found)

    monkeypatch.setattr(target.service.client.control, "index", index)
    with pytest.raises(ConfigError, match=r"pinecone 1\d\.\d.* cannot be told to send a request once .*pip install"):
        target.service.client.data("http://127.0.0.1:1")


def test_plans_count_what_a_record_takes_beside_vector_and_payload(target: PineconeTarget) -> None:
    name, digest = f"{'e7' * 12}#{'46' * 12}", "c8" * 16
    row = {
        "id": name, "document_id": "handbook/page.md", "content_hash": digest, "metadata_hash": digest, "space": "0" * 16,
        "added_in": 1_000, "removed_in": LIVE, "text": "text", "metadata": "{}",
    }  # fmt: skip
    (found,) = metadata_of(pa.Table.from_pylist([row]))
    beside = len(name) + len(orjson.dumps(found)) - len("text{}")
    assert 0.9 * target.capabilities.record_overhead < beside <= target.capabilities.record_overhead


def made(target: PineconeTarget, metric: str = "cosine") -> Namespace:
    space = Namespace(target, metric)
    space.create()
    return space


def answers(server: PineconeServer, route: str) -> Counter[str]:
    found: Any = server.counts["requests"]
    return Counter(found.get(route, {}))


# --- late


@pytest.mark.slow
def test_every_write_is_awaited_through_a_lag(target: PineconeTarget, server: PineconeServer) -> None:
    space = made(target)
    server.knobs.change({"freshness_lag_s": 0.3})
    receipt = target.upsert(space.name, make_records(IDS))
    assert space.ids() == []
    target.wait_until_fresh(space.name, receipt)
    assert space.ids() == sorted(IDS)
    assert receipt.mark == space.mark()
    receipt = target.delete(space.name, pa.array(IDS[:4]))
    assert space.ids() == sorted(IDS)
    target.wait_until_fresh(space.name, receipt)
    assert (space.ids(), space.mark()) == (sorted(IDS[4:]), receipt.mark)
    for ending in ("update", "filter", "rewrite"):
        space.upsert(make_records(IDS))
        receipt = target.set_removed(space.name, pa.array(IDS), 7, ending=ending)
        target.wait_until_fresh(space.name, receipt)
        assert {row["removed_in"] for row in space.fetched(IDS).values()} == {7}
        assert receipt.mark == space.mark()


def test_what_selects_records_waits_for_those_that_were_just_written(
    target: PineconeTarget, server: PineconeServer
) -> None:
    space = made(target)
    server.knobs.change({"freshness_lag_s": 0.3})
    target.upsert(space.name, make_records(IDS))
    receipt = target.set_removed(space.name, pa.array(IDS), 4, ending="rewrite")
    target.wait_until_fresh(space.name, receipt)
    assert {row["removed_in"] for row in space.fetched(IDS).values()} == {4}


@contextmanager
def late_until(server: PineconeServer, route: str) -> Iterator[None]:
    """Neither reads nor filters of writes see what is written from here on, until a route has answered once more."""
    before = answers(server, route).total()
    server.knobs.change({"freshness_lag_s": 3_600, "filters_see_indexed_only": True})

    def watch() -> None:
        deadline = time.monotonic() + 15
        while answers(server, route).total() == before and time.monotonic() < deadline:
            time.sleep(0.005)
        server.knobs.change({"freshness_lag_s": 0})

    watching = threading.Thread(target=watch)
    watching.start()
    yield
    watching.join()


@pytest.mark.parametrize("ending", ["filter", "rewrite"])
def test_closing_waits_for_what_this_process_wrote(target: PineconeTarget, server: PineconeServer, ending: str) -> None:
    space = made(target)
    with late_until(server, "POST /query"):
        target.upsert(space.name, make_records(IDS))
        receipt = target.set_removed(space.name, pa.array(IDS), 4, ending=ending)
    assert (receipt.records, receipt.requests) == (10, 1)
    assert {row["removed_in"] for row in space.fetched(IDS).values()} == {4}


def test_closing_by_a_filter_looks_again_for_what_another_process_wrote(
    open_target: Opening, server: PineconeServer
) -> None:
    writer, target = open_target(index="shared"), open_target(index="shared")
    space = made(writer)
    writer.upsert(space.name, make_records(IDS[:4]))
    with late_until(server, "POST /vectors/update"):
        writer.upsert(space.name, make_records(IDS[4:]))
        receipt = target.set_removed(space.name, pa.array(IDS), 4, ending="filter")
    assert (receipt.records, receipt.requests) == (10, 2)
    assert {row["removed_in"] for row in space.fetched(IDS).values()} == {4}


def test_a_namespace_is_made_and_dropped_through_a_lag(target: PineconeTarget, server: PineconeServer) -> None:
    server.knobs.change({"freshness_lag_s": 0.2})
    space = made(target)
    assert space.name in target.namespaces()
    first = space.upsert(make_records(IDS))
    target.drop_namespace(space.name)
    assert target.describe(space.name) is None
    assert space.create().records == 0
    assert space.mark() != first.mark


def test_waiting_ends(open_target: Opening, server: PineconeServer) -> None:
    target = open_target(freshness_s=0.2)
    space = made(target)
    server.knobs.change({"freshness_lag_s": 60})
    receipt = target.upsert(space.name, make_records(IDS))
    with pytest.raises(UnavailableError, match=r"does not show.*0.2 seconds"):
        target.wait_until_fresh(space.name, receipt)


def test_a_write_without_a_number_is_awaited_by_the_sentinel(target: PineconeTarget, server: PineconeServer) -> None:
    space = made(target)
    server.knobs.change({"freshness_lag_s": 0.2})
    target.upsert(space.name, make_records(IDS))
    target.wait_until_fresh(space.name, WriteReceipt(10, 100))
    assert space.ids() == sorted(IDS)
    target.wait_until_fresh(space.name, WriteReceipt(0, 0))


# --- busy and away


@pytest.mark.slow
def test_what_is_refused_for_the_moment_is_sent_again_and_counted(
    target: PineconeTarget, server: PineconeServer
) -> None:
    space = made(target)
    server.knobs.change({"too_many_requests": 0.3, "unavailable": 0.2, "retry_after_s": 0.01})
    retried: Counter[str] = Counter()
    for index in range(12):
        receipt = space.upsert(make_records([f"{index}#{name}" for name in IDS]))
        retried.update(receipt.retried)
    space.set_removed([f"1#{name}" for name in IDS], 5)
    space.delete([f"2#{name}" for name in IDS])
    assert set(retried) == {"429", "503"}
    server.knobs.change({"too_many_requests": 0.0, "unavailable": 0.0})
    assert len(space.ids()) == 110


@pytest.mark.parametrize("fault", ["lost_responses", "dropped"])
def test_a_write_without_an_answer_is_unknown_and_sent_once(
    target: PineconeTarget, server: PineconeServer, fault: str
) -> None:
    space = made(target)
    space.upsert(make_records(IDS[:1]))
    before = answers(server, "POST /vectors/upsert").total()
    server.knobs.change({fault: 1.0})
    with pytest.raises(UnknownOutcomeError):
        target.upsert(space.name, make_records(IDS))
    # The server counts an answer that it loses after the connection has gone.
    deadline = time.monotonic() + 30
    while answers(server, "POST /vectors/upsert").total() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert answers(server, "POST /vectors/upsert").total() == before + 1
    with pytest.raises(UnknownOutcomeError):
        target.set_removed(space.name, pa.array(IDS[:1]), 3, ending="update")
    with pytest.raises(UnknownOutcomeError):
        target.delete(space.name, pa.array(["nothing#1"]))
    server.knobs.change({fault: 0.0})
    assert len(space.ids()) == (10 if fault == "lost_responses" else 1)


def test_a_write_that_hangs_is_unknown_and_a_read_is_tried_again(open_target: Opening, server: PineconeServer) -> None:
    target = open_target(timeout_s=0.3)
    space = made(target)
    space.upsert(make_records(IDS))
    server.knobs.change({"timeouts": 1.0})
    with pytest.raises(UnknownOutcomeError, match="in time"):
        target.upsert(space.name, make_records(IDS))
    server.knobs.change({"timeouts": 0.4})
    for _ in range(5):
        assert len(space.fetched(IDS)) == 10


@pytest.mark.slow
def test_reads_survive_dropped_connections(target: PineconeTarget, server: PineconeServer) -> None:
    space = made(target)
    space.upsert(make_records(IDS))
    server.knobs.change({"dropped": 0.3, "unavailable": 0.2})
    for _ in range(5):
        assert space.ids() == sorted(IDS)
        assert len(space.fetched(IDS)) == 10
        assert len(space.hits(unit_vectors(1))) == 10
        assert target.describe(space.name) is not None


def test_a_namespace_is_made_whatever_is_lost(target: PineconeTarget, server: PineconeServer) -> None:
    server.knobs.change({"lost_responses": 0.5, "seed": 3})
    spaces = [made(target) for _ in range(4)]
    server.knobs.change({"lost_responses": 0.0})
    assert {space.name for space in spaces} <= set(target.namespaces())


def test_a_write_of_which_a_part_landed_is_unknown(open_target: Opening, server: PineconeServer) -> None:
    target = open_target(retry_s=0)
    space = made(target)
    server.knobs.change({"too_many_requests": 0.5, "retry_after_s": 5})
    seen: dict[type[Exception], str] = {}
    for start in range(0, 200, 20):
        try:
            target.set_removed(space.name, pa.array([f"a#{index}" for index in range(start, start + 20)]), 3)
        except UnavailableError as error:
            seen[type(error)] = str(error)
    assert "had landed" in seen[UnknownOutcomeError]


def test_retrying_ends_and_its_clock_is_ours() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    config = pinecone_config(retry_s=60)
    calls = Calls(Failures("cloud", config), 60, clock=lambda: now[0], sleep=sleep)
    retried: Counter[str] = Counter()

    def busy() -> None:
        raise sdk.RateLimitError(headers={"retry-after": "4"})

    with pytest.raises(UnavailableError, match="too many requests"):
        calls(busy, "do it", host="h", writes=True, retried=retried)
    assert 12 <= len(slept) <= 15
    assert all(4 <= one <= 5 for one in slept)
    assert now[0] <= 60
    assert retried == {"429": len(slept)}

    def refused() -> None:
        error = sdk.PineconeConnectionError("refused")
        error.__cause__ = httpx.ConnectError("refused")
        raise error

    now[0] = 0.0
    with pytest.raises(UnavailableError, match="nobody answers"):
        calls(refused, "do it", host="unseen")
    assert now[0] <= FIRST_CONTACT_S
    now[0] = 0.0
    with pytest.raises(UnavailableError, match="nobody answers"):
        calls(refused, "do it", host="h")
    assert 40 <= now[0] <= 60


def test_the_sdk_sends_once(target: PineconeTarget, server: PineconeServer) -> None:
    space = made(target)
    index = target.service.client.data(target.indexes.place(space.name).host)
    before = answers(server, "POST /vectors/upsert").total()
    server.knobs.change({"unavailable": 1.0})
    with pytest.raises(sdk.ServiceError):
        index.upsert(vectors=[("a", [1.0] * 8)], namespace=space.name)
    assert answers(server, "POST /vectors/upsert").total() == before + 1


# --- what nobody sees, and what others do


def test_the_sentinel_is_seen_by_nobody(target: PineconeTarget) -> None:
    space = made(target)
    index = target.service.client.data(target.indexes.place(space.name).host)
    assert index.fetch(ids=[SENTINEL], namespace=space.name).vectors
    assert space.ids() == []
    assert space.ids("vp") == []
    assert space.fetched([SENTINEL]) == {}
    near = np.eye(8, dtype=np.float32)[0]
    assert space.hits(near) == []
    space.upsert(make_records(IDS))
    space.delete(IDS[:2])
    state = target.describe(space.name)
    assert state is not None
    assert state.records == 8
    for options in ({}, {"version": 1}, {"filter": {"x": {"$ne": 1}}}, {"filter": {"x": {"$exists": False}}}):
        assert sorted(space.hits(near, top_k=50, **options)) == sorted(IDS[2:]), options


def test_other_hands_move_the_mark_and_are_read(target: PineconeTarget) -> None:
    space = made(target)
    space.upsert(make_records(IDS))
    index = target.service.client.data(target.indexes.place(space.name).host)
    before = space.mark()
    index.upsert(vectors=[Vector("theirs", [0.5] * 8, None, {"colour": "red"})], namespace=space.name)
    assert space.mark() != before
    assert "theirs" in space.ids()
    assert space.fetched(["theirs"])["theirs"]["metadata"] == {"colour": "red"}
    assert "theirs" in space.hits(unit_vectors(1), top_k=50)
    assert "theirs" not in space.hits(unit_vectors(1), top_k=50, version=1)
    assert space.hits(unit_vectors(1), top_k=50, filter={"colour": "red"}) == ["theirs"]


def test_large_answers_come_in_parts(target: PineconeTarget) -> None:
    space = made(target)
    ids = [f"{index:024x}#{index:024x}" for index in range(1_200)]
    vectors = unit_vectors(1_200)
    for start in (0, 600):
        space.upsert(make_records(ids[start : start + 600], vectors[start : start + 600], metadata=[{"n": 1}] * 600))
    assert space.ids() == sorted(ids)
    assert set(space.fetched(ids)) == set(ids)
    hits = target.query(space.name, unit_vectors(2), top_k=1_150)
    assert [len(found) for found in hits] == [1_150, 1_150]
    assert {(one.document_id[:4], one.text is not None, one.metadata["n"]) for one in hits[0]} == {("doc ", True, 1)}


def test_records_without_vectors_are_asked_for_in_bulk(target: PineconeTarget, server: PineconeServer) -> None:
    space = made(target)
    ids = [f"{index:024x}#{index:024x}" for index in range(1_200)]
    for start in (0, 600):
        space.upsert(make_records(ids[start : start + 600], added_in=3))
    index = target.service.client.data(target.indexes.place(space.name).host)
    # Another hand: one that no query by our key finds, and one that claims to be another.
    index.upsert(vectors=[Vector(ids[7], [0.5] * 8, None, {"colour": "red"})], namespace=space.name)
    index.upsert(
        vectors=[Vector("theirs", [0.5] * 8, None, {"vp_id": ids[9], "vp_text": "forged"})], namespace=space.name
    )
    before = answers(server, "GET /vectors/fetch").total()
    found = space.fetched([*ids, "nowhere#1"], vectors=False)
    assert answers(server, "GET /vectors/fetch").total() == before + 1
    assert set(found) == set(ids)
    whole = space.fetched(ids)
    assert found == {name: {key: one for key, one in row.items() if key != "vector"} for name, row in whole.items()}
    assert found[ids[7]]["metadata"] == {"colour": "red"}
    assert found[ids[9]]["text"] == f"text of {ids[9]}"


def test_an_upsert_of_several_requests(target: PineconeTarget) -> None:
    space = made(target)
    texts = "x" * 30_000
    ids = [f"r#{index:03d}" for index in range(100)]
    target._capabilities = replace(target.capabilities, max_batch_bytes=10_000_000)
    receipt = space.upsert(make_records(ids, text=texts))
    assert (receipt.records, receipt.requests) == (100, 2)
    assert space.ids() == ids


def test_scores_are_those_of_other_targets(target: PineconeTarget) -> None:
    space = made(target, "euclidean")
    space.upsert(make_records(["a#1"], np.zeros((1, 8), np.float32) + np.float32(2)))
    (found,) = target.query(space.name, np.zeros((1, 8), np.float32), top_k=1)
    assert found[0].score == pytest.approx(-np.sqrt(32.0))


def test_closing_picks_a_way(target: PineconeTarget, server: PineconeServer) -> None:
    space = made(target)
    ids = [f"r#{index:03d}" for index in range(250)]
    space.upsert(make_records(ids))
    before = answers(server, "POST /vectors/update").total()
    receipt = space.set_removed(ids, 5)
    assert (receipt.records, receipt.requests) == (250, 1)
    assert answers(server, "POST /vectors/update").total() == before + 1
    receipt = space.set_removed([*ids, "nowhere#1"], 6)
    assert (receipt.records, receipt.requests) == (250, 2)  # one fewer than asked for: the rest is looked for once more
    receipt = space.set_removed(ids[:3], LIVE)
    assert (receipt.records, receipt.requests) == (3, 3)


def test_threads_share_a_target(target: PineconeTarget) -> None:
    space = made(target)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            ids = [f"{number}#{index}" for index in range(20)]
            space.upsert(make_records(ids))
            assert set(space.fetched(ids)) == set(ids)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(space.ids()) == 240


def test_a_read_only_target_says_so(open_target: Opening) -> None:
    reader = open_target(read_only=True)
    with pytest.raises(RefusedError, match="read-only"):
        reader.drop_namespace("x")
