"""What goes wrong between us and a Chroma server: one clear line, nothing sent twice, no token anywhere."""

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.chroma.proxy import TOKEN, Proxy
from tests.chroma.server import chroma_server, free_port
from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.errors import (
    ConfigError,
    InputError,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
    VectorPipelineError,
)
from vector_pipeline.targets.chroma import ChromaTarget
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

IDS = [f"doc#{number}" for number in range(5)]


def open_at(url: str, *, retry_s: float | None = None, **options: Any) -> ChromaTarget:
    target = ChromaTarget("remote", ChromaTargetConfig(kind="chroma", url=SecretTemplate(url), **options), Path())
    if retry_s is not None:
        target._connection.retry_s = retry_s
    return target


@pytest.fixture
def space(proxy: Proxy) -> Iterator[Namespace]:
    target = open_at(proxy.url)
    namespace = Namespace(target)
    namespace.create()
    yield namespace
    proxy.plan = lambda method, path: None
    target.drop_namespace(namespace.name)
    target.close()


def said(call: Callable[[], object], kind: type[VectorPipelineError]) -> str:
    """The message, which is one line, with nothing foreign hanging on it."""
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def first(fate: int | str, verb: str, count: int = 1) -> Callable[[str, str], int | str | None]:
    """That fate for the first requests of a verb."""
    left = [count]

    def plan(method: str, path: str) -> int | str | None:
        if path.endswith(f"/{verb}") and left[0]:
            left[0] -= 1
            return fate
        return None

    return plan


def test_nobody_is_there() -> None:
    target = open_at(f"http://127.0.0.1:{free_port()}", retry_s=0.2)
    for call in (
        target.namespaces,
        lambda: target.describe("some-name"),
        lambda: target.ensure_namespace(spec_of("x")),
    ):
        line = said(call, UnavailableError)
        assert "chroma run" in line
        assert "remote" in line
    target.close()
    assert "closed" in said(target.namespaces, UnavailableError)


def spec_of(name: str) -> Any:
    from vector_pipeline.targets.base import NamespaceSpec

    return NamespaceSpec(name, 8, "cosine", "0123456789abcdef")


@pytest.mark.parametrize("wrong", [{"database": "nowhere"}, {"tenant": "nobody"}])
def test_a_missing_database(url: str, wrong: dict[str, str]) -> None:
    target = open_at(url, **wrong)
    line = said(target.namespaces, ConfigError)
    assert next(iter(wrong.values())) in line
    assert "database" in line
    target.close()


def test_a_token(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    proxy.wants_token = True
    bare = open_at(proxy.url)
    assert "token" in said(bare.namespaces, ConfigError)
    bare.close()
    token = SecretTemplate("${env:CHROMA_TOKEN}")
    for value, right in ((TOKEN, True), (f"not-{TOKEN}", False), (f"{TOKEN}\n", False), ("", False)):
        monkeypatch.setenv("CHROMA_TOKEN", value)
        target = open_at(proxy.url, token=token)
        if right:
            assert isinstance(target.namespaces(), list)
        else:
            assert "CHROMA_TOKEN" in said(target.namespaces, ConfigError)
        assert TOKEN not in target.address("some-name")
        target.close()
    monkeypatch.delenv("CHROMA_TOKEN")
    target = open_at(proxy.url, token=token)
    assert "CHROMA_TOKEN is not set" in said(target.namespaces, ConfigError)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(("fate", "reason"), [(429, "429"), (503, "503")])
def test_what_did_nothing_is_tried_again(proxy: Proxy, space: Namespace, fate: int, reason: str) -> None:
    proxy.plan = first(fate, "upsert", 2)
    before = proxy.seen["POST upsert"]
    receipt = space.upsert(make_records(IDS))
    assert receipt.retried == {reason: 2}
    assert proxy.seen["POST upsert"] == before + 3
    proxy.plan = first(fate, "query", 2)
    assert len(space.hits(unit_vectors(1), exact=False)) == len(IDS)
    space.target._connection.retry_s = 0.0  # type: ignore[attr-defined]
    proxy.plan = first(fate, "upsert", 99)
    assert str(fate) in said(lambda: space.upsert(make_records(IDS)), UnavailableError)


@pytest.mark.parametrize("fate", ["lose", 500, 502, 504])
def test_a_lost_answer_is_never_sent_again(proxy: Proxy, space: Namespace, fate: int | str) -> None:
    writes: dict[str, Callable[[], object]] = {
        "upsert": lambda: space.upsert(make_records(IDS)),
        "update": lambda: space.set_removed(IDS[:2], 4),
        "delete": lambda: space.delete(IDS[:1]),
    }
    for verb, write in writes.items():
        proxy.plan = first(fate, verb, 99)
        mark, before = space.mark(), proxy.seen[f"POST {verb}"]
        said(write, UnknownOutcomeError)
        assert proxy.seen[f"POST {verb}"] == before + 1
        assert space.mark() != mark, "it may have landed"
        proxy.plan = lambda method, path: None
        write()
    assert space.ids() == IDS[1:]
    assert space.fetched(IDS[1:2])[IDS[1]]["removed_in"] == 4


def test_a_time_out(proxy: Proxy) -> None:
    target = open_at(proxy.url, timeout_s=0.3)
    space = Namespace(target)
    space.create()
    proxy.plan = first("hang", "upsert")
    said(lambda: space.upsert(make_records(IDS)), UnknownOutcomeError)
    proxy.plan = first("hang", "query")
    proxy.released.set()
    space.upsert(make_records(IDS))
    assert len(space.hits(unit_vectors(1))) == len(IDS)
    target.drop_namespace(space.name)
    target.close()


def test_lost_answers_of_reads_are_asked_again(proxy: Proxy, space: Namespace) -> None:
    space.upsert(make_records(IDS))
    for fate in ("lose", 502):
        proxy.plan = first(fate, "get", 3)
        assert sorted(space.fetched(IDS)) == IDS
    proxy.plan = first(500, "get", 99)
    before = proxy.seen["POST get"]
    said(lambda: space.fetched(IDS), UnavailableError)
    assert proxy.seen["POST get"] - before <= 5, "what stays broken is not asked for ever"


@pytest.mark.slow
def test_a_server_that_comes_back(tmp_path: Path) -> None:
    port = free_port()
    target = open_at(f"http://127.0.0.1:{port}", retry_s=0.3)
    space = Namespace(target)
    with chroma_server(tmp_path, port):
        space.create()
        space.upsert(make_records(IDS))
        mark = space.mark()
    said(space.ids, UnavailableError)
    said(lambda: space.upsert(make_records(IDS)), UnavailableError)
    with chroma_server(tmp_path, port):
        assert space.ids() == IDS
        assert space.mark() == mark
        assert len(space.hits(unit_vectors(1))) == len(IDS)
    target.close()


@pytest.mark.slow
def test_too_much_at_once(proxy: Proxy, space: Namespace) -> None:
    """What a gateway does not take at once is halved, and what was learned is kept."""
    ids, limit = [f"r#{number:03d}" for number in range(100)], 8_000
    records = make_records(ids, metadata=[{"authors": ["somebody"] * 20}] * 100)
    proxy.most_bytes = limit
    receipt = space.upsert(records)
    assert (receipt.records, receipt.requests > 4, space.ids()) == (100, True, ids)
    before = proxy.seen["POST upsert"]
    assert space.upsert(records).requests == proxy.seen["POST upsert"] - before, "no more is refused"
    assert space.set_removed(ids, 5).records == 100
    assert {row["removed_in"] for row in space.marks()} == {5}
    assert space.delete(ids).records == 100
    assert proxy.largest <= limit
    proxy.plan = first(413, "upsert", 99)
    assert "smaller" in said(lambda: space.upsert(make_records(IDS)), InputError)


@pytest.mark.slow
def test_what_is_too_much_is_not_sent(proxy: Proxy, space: Namespace) -> None:
    """Whatever a batch of the declared size becomes as JSON."""
    space.target._connection.most_bytes = 50_000  # type: ignore[attr-defined]
    ids = [f"r#{number:03d}" for number in range(40)]
    authors = [{"authors": [f"Firstname Lastname {number}" for number in range(90)], "note": None}] * len(ids)
    assert space.upsert(make_records(ids, metadata=authors)).requests > 4
    assert proxy.largest <= 50_000
    before = proxy.seen["POST upsert"]
    space.target.purge(space.name)
    assert proxy.seen["POST upsert"] > before + 4
    assert proxy.largest <= 50_000
    assert sorted(space.fetched(ids)) == ids
    # A vector alone: 40 of 1,536 dimensions are 330 KB as base64.
    wide = Namespace(space.target, dimension=1_536)
    wide.create()
    wide.upsert(make_records(ids, unit_vectors(40, dimension=1_536)))
    assert proxy.largest <= 50_000
    space.target.drop_namespace(wide.name)


@pytest.mark.parametrize("fate", [413, 503, 401])
def test_a_part_that_has_landed(proxy: Proxy, space: Namespace, fate: int | str) -> None:
    space.target._connection.most_bytes = 1_000  # type: ignore[attr-defined]
    space.target._connection.retry_s = 0.0  # type: ignore[attr-defined]
    space.upsert(make_records(IDS))
    for verb, write in {
        "upsert": lambda: space.upsert(make_records([f"new#{number}" for number in range(9)])),
        "update": lambda: space.set_removed(IDS, 4),
        "delete": lambda: space.delete(IDS),
    }.items():
        space.target._connection.most_bytes = 100 if verb != "upsert" else 1_000  # type: ignore[attr-defined]
        count = [0]

        def plan(method: str, path: str, verb: str = verb, count: list[int] = count) -> int | str | None:
            count[0] += path.endswith(f"/{verb}")
            return fate if count[0] > 1 and path.endswith(f"/{verb}") else None

        proxy.plan = plan
        said(write, UnknownOutcomeError)
        proxy.plan = lambda method, path: None
        write()
    assert not set(IDS) & set(space.ids())


def test_a_whole_batch_is_one_request(proxy: Proxy, space: Namespace) -> None:
    ids = [f"r#{number:04d}" for number in range(space.target.capabilities.max_batch_records)]
    writes: dict[str, Callable[[], Any]] = {
        "upsert": lambda: space.upsert(make_records(ids)),
        "update": lambda: space.set_removed(ids, 4),
        "delete": lambda: space.delete(ids),
    }
    for verb, write in writes.items():
        before = proxy.seen[f"POST {verb}"]
        assert write().requests == proxy.seen[f"POST {verb}"] - before == 1


def test_a_page_that_is_no_answer(proxy: Proxy, space: Namespace) -> None:
    """A write may have landed behind it, a read is made again."""
    writes: dict[str, Callable[[], object]] = {
        "upsert": lambda: space.upsert(make_records(IDS)),
        "update": lambda: space.set_removed(IDS[:2], 4),
        "delete": lambda: space.delete(IDS[:1]),
    }
    for verb, write in writes.items():
        proxy.plan = first("page", verb, 99)
        before = proxy.seen[f"POST {verb}"]
        said(write, UnknownOutcomeError)
        assert proxy.seen[f"POST {verb}"] == before + 1
    assert space.ids() == IDS[1:]
    proxy.plan = first("page", "get", 2)
    assert space.ids() == IDS[1:]
    proxy.plan = first("page", "query", 2)
    assert len(space.hits(unit_vectors(1), exact=False, top_k=4)) == 4
    proxy.plan = first("page", "get", 99)
    before = proxy.seen["POST get"]
    assert "no answer" in said(space.ids, UnavailableError)
    assert proxy.seen["POST get"] - before <= 5


def test_a_password_in_the_url(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    password = "p@ss/word: ü"
    login = b64encode(f"me:{password}".encode()).decode()
    monkeypatch.setenv("CHROMA_PASSWORD", password)
    target = open_at(proxy.url.replace("http://", "http://me:${env:CHROMA_PASSWORD}@"))
    assert isinstance(target.namespaces(), list)
    assert proxy.logins == {f"Basic {login}"}
    proxy.plan = lambda method, path: "no such login: " + login
    for shown in (caplog.text, target.address("some-name"), said(target.namespaces, UnavailableError)):
        for secret in (password, quote(password, safe=""), login):
            assert secret not in shown
    assert "HTTP Request" in caplog.text, "httpx tells addresses"
    target.close()


def test_half_a_surrogate_pair(proxy: Proxy, space: Namespace) -> None:
    for call in (lambda: space.fetched(["\ud800"]), lambda: space.target.fetch(space.name, iter(["x", "\udfff"]))):
        with pytest.raises(InputError, match="strings"):
            call()


def test_a_namespace_that_somebody_makes_anew(url: str) -> None:
    mine, other = open_at(url), open_at(url)
    space, again = Namespace(mine), Namespace(other)
    again.name, again.spec = space.name, space.spec
    space.create()
    space.upsert(make_records(IDS))
    other.drop_namespace(space.name)
    again.create()
    assert space.ids() == []
    space.upsert(make_records(IDS[:1]))
    assert again.ids() == IDS[:1]
    for target in (mine, other):
        target.drop_namespace(space.name)
        target.close()


def test_a_collection_of_somebody_elses(target: ChromaTarget) -> None:
    """It is not listed, not read, not written, and not dropped."""
    target.ensure_namespace(spec_of("ours"))
    connection, at = target._connection, target._connection.at
    connection.call(lambda api: api.create_collection("theirs", metadata={"note": "mine"}, **at))
    assert target.namespaces() == ["ours"]
    assert target.describe("theirs") is None
    with pytest.raises(RefusedError, match="theirs"):
        target.ensure_namespace(spec_of("theirs"))
    target.drop_namespace("theirs")
    assert connection.call(lambda api: api.get_collection("theirs", **at)).metadata == {"note": "mine"}
    connection.call(lambda api: api.delete_collection("theirs", **at))
    target.drop_namespace("ours")


def test_names_that_chroma_does_not_take(target: ChromaTarget) -> None:
    names = sorted(["a", "-a-", "1.2.3.4", "a..b", "ü/ö", "x" * 512, "vp.namespace.x", "Fine-name_1.x", "A", "a b"])
    for name in names:
        target.ensure_namespace(spec_of(name))
        target.upsert(name, make_records([f"id-{len(name)}"]))
    assert target.namespaces() == names
    for name in names:
        state = target.describe(name)
        assert state is not None
        assert (state.spec.name, state.records) == (name, 1)
        target.drop_namespace(name)
    assert target.namespaces() == []
    for bad in ("", "x" * 513):
        with pytest.raises(InputError):
            target.ensure_namespace(spec_of(bad))


def test_more_namespaces_than_a_page(target: ChromaTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vector_pipeline.targets.chroma.places._PAGE", 3)
    names = [f"many-{number}" for number in range(8)]
    for name in names:
        target.ensure_namespace(spec_of(name))
    assert target.namespaces() == names
    for name in names:
        target.drop_namespace(name)
