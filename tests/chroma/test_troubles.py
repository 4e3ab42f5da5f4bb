"""What goes wrong between us and a Chroma server: one clear line, nothing sent twice, no token anywhere."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def test_too_much_at_once(proxy: Proxy, space: Namespace) -> None:
    proxy.plan = first(413, "upsert")
    assert "smaller" in said(lambda: space.upsert(make_records(IDS)), InputError)


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
