"""What goes wrong in production is one clear line with its remedy; nothing was changed, and the key is in no output."""

import logging
import socket
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pinecone import Pinecone
from pinecone.errors import exceptions as sdk

from tests.support.pinecone import KEY, KEY_VARIABLE, pinecone_config
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
from vector_pipeline.targets.base import NamespaceSpec, WriteReceipt
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.targets.pinecone.failures import Failures, UnreachableError
from vector_pipeline.targets.pinecone.families import index_name
from vector_pipeline.targets.pinecone.service import Place
from vector_pipeline.testing.pinecone_server import PineconeServer
from vector_pipeline.testing.target_records import SPACE, Namespace, make_records, unit_vectors

Opening = Callable[..., PineconeTarget]
OTHER_KEY = "pc-another-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def no_key_anywhere(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    for key in (KEY, OTHER_KEY):
        assert key not in caplog.text + out + err


def said(error: BaseException) -> str:
    """One line, and no key even in a whole traceback."""
    text = str(error)
    assert "\n" not in text
    whole = "".join(traceback.format_exception(error))
    assert KEY not in whole
    assert OTHER_KEY not in whole
    return text


def fresh_index() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


def spec(name: str = "line", dimension: int = 8, metric: str = "cosine", space: str = SPACE) -> NamespaceSpec:
    return NamespaceSpec(name, dimension, metric, space)


def indexes(server: PineconeServer) -> list[str]:
    with Pinecone(api_key=KEY, host=server.url) as client:
        return sorted(index.name for index in client.indexes.list())


def test_a_wrong_key(open_target: Opening, server: PineconeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    before = indexes(server)
    monkeypatch.setenv(KEY_VARIABLE, OTHER_KEY)
    target = open_target(index=fresh_index())
    for call in (
        lambda: target.ensure_namespace(spec()),
        lambda: target.describe("line"),
        target.namespaces,
        lambda: target.upsert("line", make_records(["a"])),
        target.native_aliases,
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        assert KEY_VARIABLE in said(caught.value)
        assert "key" in said(caught.value)
    assert indexes(server) == before


def test_a_key_that_is_not_set(open_target: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(ConfigError, match=KEY_VARIABLE):
        open_target().namespaces()


def test_a_key_with_a_newline(open_target: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, f"{OTHER_KEY}\n")
    with pytest.raises(ConfigError) as caught:
        open_target().namespaces()
    assert KEY_VARIABLE in said(caught.value)


def test_an_unreachable_host() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        target = PineconeTarget("cloud", pinecone_config(host=host, retry_s=0.3), Path())
        with pytest.raises(UnavailableError) as caught:
            target.ensure_namespace(spec())
        target.close()
    line = said(caught.value)
    assert "target cloud" in line
    assert host in line
    assert "host:" in line


def test_a_missing_index(open_target: Opening) -> None:
    target = open_target(index=fresh_index())
    assert target.namespaces() == []
    assert target.describe("line") is None
    with pytest.raises(NotFoundError) as caught:
        target.upsert("line", make_records(["a"]))
    assert "namespace line" in said(caught.value)


@pytest.mark.parametrize("quota", ["402", "403"])
def test_a_quota(open_target: Opening, server: PineconeServer, quota: str) -> None:
    server.knobs.change({"quota": quota, "control_plane": True})
    before = indexes(server)
    target = open_target(index=fresh_index())
    with pytest.raises(RefusedError) as caught:
        target.ensure_namespace(spec())
    assert "console" in said(caught.value)
    server.knobs.change({"quota": None})
    assert indexes(server) == before
    target.ensure_namespace(spec())
    target.upsert("line", make_records(["a"]))
    server.knobs.change({"quota": quota})
    with pytest.raises(RefusedError):
        target.upsert("line", make_records(["b"]))
    server.knobs.change({"quota": None})
    state = target.describe("line")
    assert state is not None
    assert state.records == 1


def made_by_hand(server: PineconeServer, name: str, **options: Any) -> None:
    with Pinecone(api_key=KEY, host=server.url) as client:
        client.indexes.create(name=name, timeout=-1, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 16, "metric": "cosine", "tags": {"vp-space": SPACE}}, "dimension is 16, not 8"),
        ({"dimension": 8, "metric": "euclidean", "tags": {"vp-space": SPACE}}, "metric is euclidean, not cosine"),
        ({"dimension": 8, "metric": "cosine", "tags": {"vp-space": "f" * 16}}, "space is f{16}, not"),
        ({"dimension": 8, "metric": "cosine"}, "space is not set, not"),
        ({"dimension": 8, "metric": "cosine", "tags": {"vp-space": SPACE}}, "no deletion protection"),
        (
            {"schema": {"fields": {"embedding": {"type": "dense_vector", "dimension": 8, "metric": "cosine"}}}},
            "document index.*embedding",
        ),
    ],
)
def test_an_index_that_is_something_else(
    open_target: Opening, server: PineconeServer, options: dict[str, Any], message: str
) -> None:
    target = open_target(index=fresh_index(), deletion_protection="protection" in message)
    name = index_name(target.config.index, spec())
    classic = {} if "schema" in options else {"spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}}
    made_by_hand(server, name, **options, **classic)
    with pytest.raises(RefusedError, match=message) as caught:
        target.ensure_namespace(spec())
    assert name in said(caught.value)
    assert target.namespaces() == []


def test_protection_is_set_and_a_namespace_keeps_its_index(open_target: Opening, server: PineconeServer) -> None:
    target = open_target(index=fresh_index(), deletion_protection=True)
    target.ensure_namespace(spec())
    with Pinecone(api_key=KEY, host=server.url) as client:
        model = client.indexes.describe(index_name(target.config.index, spec()))
        assert model.deletion_protection == "enabled"
        assert model.tags == {"vp-space": SPACE, "vp-by": "vector-pipeline"}
        with pytest.raises(sdk.ForbiddenError):
            client.indexes.delete(model.name)
    with pytest.raises(RefusedError, match="dimension is 8, not 16"):
        target.ensure_namespace(spec(dimension=16))
    assert len([name for name in indexes(server) if name.startswith(target.config.index)]) == 1


def test_two_spaces_are_two_indexes_and_one_list_of_namespaces(open_target: Opening, server: PineconeServer) -> None:
    index = fresh_index()
    target, other = open_target(index=index), open_target(index=index)
    target.ensure_namespace(spec("one"))
    target.ensure_namespace(spec("two", metric="dotproduct", space="a" * 16))
    assert len([name for name in indexes(server) if name.startswith(index)]) == 2
    assert other.namespaces() == ["one", "two"]
    found = other.describe("two")
    assert found is not None
    assert found.spec == spec("two", metric="dotproduct", space="a" * 16)
    made_by_hand(
        server, index, dimension=8, metric="cosine", spec={"serverless": {"cloud": "aws", "region": "us-east-1"}}
    )
    assert other.namespaces() == ["one", "two"]


def test_a_namespace_that_another_process_dropped_is_not_empty(open_target: Opening) -> None:
    target, other = open_target(), open_target()
    space = Namespace(target)
    space.create()
    space.upsert(make_records(["a#1"]))
    other.drop_namespace(space.name)
    for call in (
        lambda: space.hits(unit_vectors(1)),
        lambda: space.fetched(["a#1"]),
        lambda: space.ids(),
        lambda: list(target.scan(space.name, prefix="a")),
    ):
        with pytest.raises(NotFoundError, match=space.name):
            call()
    assert target.describe(space.name) is None


def delete_index(server: PineconeServer, name: str) -> None:
    with Pinecone(api_key=KEY, host=server.url) as client:
        client.indexes.delete(name)


READS_AND_WRITES = ["describe", "ids", "fetched", "hits", "upsert", "update", "filter", "rewrite", "delete", "fresh"]


def do(space: Namespace, what: str) -> Any:
    """One request, of each kind that there is."""
    ids = pa.array(["a#1"])
    match what:
        case "describe":
            return space.target.describe(space.name)
        case "ids":
            return space.ids()
        case "fetched":
            return space.fetched(["a#1"])
        case "hits":
            return space.hits(unit_vectors(1))
        case "upsert":
            return space.target.upsert(space.name, make_records(["a#2"]))
        case "delete":
            return space.target.delete(space.name, ids)
        case "fresh":
            return space.target.wait_until_fresh(space.name, WriteReceipt(1, 0))
    return space.target.set_removed(space.name, ids, 4, ending=what)


@pytest.mark.parametrize("what", READS_AND_WRITES)
def test_an_index_that_is_deleted_under_a_process(open_target: Opening, server: PineconeServer, what: str) -> None:
    """By somebody, in the console: the namespace is gone, which is said with what to do; nothing is remembered of it."""
    target = open_target(index=fresh_index(), retry_s=0.3)
    space = Namespace(target)
    space.create()
    space.upsert(make_records(["a#1"]))
    delete_index(server, target.indexes.place(space.name).index)
    if what == "describe":
        assert do(space, what) is None
    else:
        with pytest.raises(NotFoundError, match=rf"no namespace {space.name}\. .*push again") as caught:
            do(space, what)
        said(caught.value)
    assert target.indexes.known(space.name) is None
    space.create()
    space.upsert(make_records(["a#1"]))
    target.set_removed(space.name, pa.array(["a#1"]), 4, ending="filter")


@pytest.mark.parametrize("what", READS_AND_WRITES)
def test_an_index_that_is_made_again_elsewhere_under_a_process(
    open_target: Opening, server: PineconeServer, what: str
) -> None:
    index = fresh_index()
    target, other = open_target(index=index, retry_s=0.3), open_target(index=index)
    space = Namespace(target)
    space.create()
    space.upsert(make_records(["a#1"]))
    before = target.indexes.place(space.name)
    delete_index(server, before.index)
    # Nobody may get the address that it had.
    with socket.create_server(("127.0.0.1", int(before.host.rpartition(":")[2])), reuse_port=False):
        other.ensure_namespace(NamespaceSpec(space.name, before.dimension, before.metric, before.space))
    there = other.indexes.place(space.name)
    assert there.host != before.host
    other.upsert(space.name, make_records(["a#1"]))
    assert do(space, what) != []
    assert target.indexes.known(space.name) == there


def test_an_index_that_is_away_for_the_moment_is_where_it_was(open_target: Opening, server: PineconeServer) -> None:
    target = open_target(retry_s=0.2)
    space = Namespace(target)
    space.create()
    place = target.indexes.place(space.name)
    asked: list[Place] = []

    def away(at: Place) -> None:
        asked.append(at)
        raise UnreachableError("nobody answers")

    with pytest.raises(UnreachableError):
        target.indexes.again(place, away)
    assert asked == [place]
    server.knobs.change({"unavailable": 1.0, "control_plane": True})
    with pytest.raises(UnreachableError):
        target.indexes.again(place, away)
    assert target.indexes.known(space.name) == place


def test_a_closed_target(open_target: Opening) -> None:
    target = open_target()
    target.close()
    with pytest.raises(UnavailableError, match="closed"):
        target.namespaces()


def api(status: int, message: str = "words of the service", **headers: str) -> sdk.ApiError:
    kinds = {429: sdk.RateLimitError, 401: sdk.UnauthorizedError, 403: sdk.ForbiddenError}
    return kinds.get(status, sdk.ApiError)(message, status, headers=headers)


def transport(kind: type[httpx.TransportError], timeout: bool = False) -> sdk.PineconeError:
    error = sdk.PineconeTimeoutError("x") if timeout else sdk.PineconeConnectionError("x")
    error.__cause__ = kind("x")
    return error


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (api(400), (InputError, None), (InputError, None)),
        (api(401), (ConfigError, None), (ConfigError, None)),
        (api(402), (RefusedError, None), (RefusedError, None)),
        (api(403), (ConfigError, None), (ConfigError, None)),
        (api(403, "You have reached the quota"), (RefusedError, None), (RefusedError, None)),
        (api(404), (NotFoundError, None), (NotFoundError, None)),
        (api(409), (ConflictError, None), (ConflictError, None)),
        (api(412), (RefusedError, None), (RefusedError, None)),
        (api(413), (InputError, None), (InputError, None)),
        (api(429), (UnavailableError, "429"), (UnavailableError, "429")),
        (api(429, "write units of the current month"), (RefusedError, None), (RefusedError, None)),
        (api(403, "Forbidden: the API key's role is limited to ReadOnly"), (ConfigError, None), (ConfigError, None)),
        (api(403, "This key has no permission: see the explanation"), (ConfigError, None), (ConfigError, None)),
        (api(403, "The key limits access to index docs"), (ConfigError, None), (ConfigError, None)),
        (api(403, "You've reached your write unit limit for it"), (RefusedError, None), (RefusedError, None)),
        (api(403, "Upgrade your plan"), (RefusedError, None), (RefusedError, None)),
        (api(501), (RefusedError, None), (RefusedError, None)),
        (api(500), (UnavailableError, "500"), (UnknownOutcomeError, None)),
        (api(507), (UnavailableError, "507"), (UnknownOutcomeError, None)),
        (api(520), (UnavailableError, "520"), (UnknownOutcomeError, None)),
        (api(529), (UnavailableError, "529"), (UnknownOutcomeError, None)),
        (api(502), (UnavailableError, "502"), (UnknownOutcomeError, None)),
        (api(503), (UnavailableError, "503"), (UnavailableError, "503")),
        (api(504), (UnavailableError, "504"), (UnknownOutcomeError, None)),
        (transport(httpx.ConnectError), (UnreachableError, "connection"), (UnreachableError, "connection")),
        (transport(httpx.ConnectTimeout, True), (UnreachableError, "connection"), (UnreachableError, "connection")),
        (transport(httpx.ReadTimeout, True), (UnavailableError, "timeout"), (UnknownOutcomeError, None)),
        (transport(httpx.ReadError), (UnavailableError, "connection"), (UnknownOutcomeError, None)),
        (transport(httpx.RemoteProtocolError), (UnavailableError, "connection"), (UnknownOutcomeError, None)),
        (transport(httpx.LocalProtocolError), (ConfigError, None), (ConfigError, None)),
        (sdk.ResponseParsingError("x"), (UnavailableError, None), (UnknownOutcomeError, None)),
        (sdk.PineconeValueError("x"), (InputError, None), (InputError, None)),
        (sdk.PineconeTypeError("x"), (InputError, None), (InputError, None)),
        (sdk.PineconeError("of a later release"), (UnavailableError, None), (UnknownOutcomeError, None)),
        (sdk.IndexInitFailedError("x"), (UnavailableError, None), (UnknownOutcomeError, None)),
        (httpx.DecodingError("bad gzip"), (UnavailableError, None), (UnknownOutcomeError, None)),
        (httpx.TooManyRedirects("x"), (UnavailableError, None), (UnknownOutcomeError, None)),
        (httpx.ReadTimeout("x"), (UnavailableError, "timeout"), (UnknownOutcomeError, None)),
        (httpx.ConnectError("x"), (UnreachableError, "connection"), (UnreachableError, "connection")),
    ],
    ids=str,
)
def test_what_each_failure_means(
    error: Exception,
    read: tuple[type[VectorPipelineError], str | None],
    write: tuple[type[VectorPipelineError], str | None],
) -> None:
    failures = Failures("cloud", pinecone_config())
    for writes, (kind, again) in ((False, read), (True, write)):
        fault = failures.fault(error, "do it", writes=writes)
        assert (type(fault.error), fault.again) == (kind, again)
        assert said(fault.error).startswith("target cloud: cannot do it: ")


def test_messages_of_the_service_are_scrubbed_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    failures = Failures("cloud", pinecone_config())
    fault = failures.fault(api(400, f"bad\nkey {KEY} " + "x" * 2_000), "do it", writes=True)
    assert len(said(fault.error)) < 400
    assert "***" in said(fault.error)


@pytest.mark.parametrize(("given", "seconds"), [("2", 2.0), ("0.05", 0.05), ("-1", None), ("Wed, 21 Oct", None)])
def test_retry_after_is_read(given: str, seconds: float | None) -> None:
    error = api(429)
    error.headers = {"Retry-After": given}
    assert Failures("cloud", pinecone_config()).fault(error, "do it", writes=True).after_s == seconds
