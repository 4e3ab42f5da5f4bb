"""Pinecone's own names for namespaces follow ours, and nothing fails without them."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from tests.release.world import Store, World
from tests.support.pinecone import KEY, pinecone_server, pinecone_target
from vector_pipeline.errors import ConfigError, RefusedError, UnavailableError
from vector_pipeline.release.native import Behind, behind, catch_up, follow, let_go, native_name
from vector_pipeline.release.promote import point_staging
from vector_pipeline.release.registry import Deployment
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.pinecone import PineconeTarget
from vector_pipeline.targets.pinecone.aliases import NamespaceAliases
from vector_pipeline.testing.pinecone_server import PineconeServer

ONE, TWO = NamespaceSpec("one", 4, "cosine", "a" * 16), NamespaceSpec("two", 4, "cosine", "a" * 16)
ELSEWHERE = NamespaceSpec("elsewhere", 4, "cosine", "b" * 16)


@pytest.fixture
def server() -> Iterator[PineconeServer]:
    with pinecone_server() as made:
        yield made


@pytest.fixture
def target(server: PineconeServer) -> Iterator[PineconeTarget]:
    made = pinecone_target(server)
    for spec in (ONE, TWO):
        made.ensure_namespace(spec)
    yield made
    made.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture
def world(store: Store, target: PineconeTarget) -> World:
    return World(store, target)


def test_a_name_is_made_moved_and_dropped(target: PineconeTarget) -> None:
    assert target.native_aliases() == {}
    target.point_alias("name", "one")
    target.point_alias("name", "one")
    assert target.native_aliases() == {"name": "one"}
    target.point_alias("name", "two")
    assert target.native_aliases() == {"name": "two"}
    target.drop_alias("name")
    target.drop_alias("name")
    assert target.native_aliases() == {}


def test_a_name_lives_in_one_index(target: PineconeTarget) -> None:
    target.ensure_namespace(ELSEWHERE)
    target.point_alias("name", "one")
    target.point_alias("name", "elsewhere")
    hosts = [index.host for index in target.indexes.all()]
    held = [target.names.client().names([host]) for host in hosts]
    assert sorted(map(str, held)) == sorted(["{}", str({"name": "elsewhere"})])


def test_many_names_are_read_page_by_page(target: PineconeTarget) -> None:
    for number in range(103):
        target.point_alias(f"name{number:03d}", "one")
    assert len(target.native_aliases()) == 103


def test_a_name_that_another_moved_meanwhile_is_moved(target: PineconeTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look says that there is none, and then there is; or the other way round."""
    target.point_alias("name", "one")
    monkeypatch.setattr(NamespaceAliases, "_listed", lambda self, host: {})
    target.point_alias("name", "two")
    monkeypatch.setattr(NamespaceAliases, "_listed", lambda self, host: {"other": "one"})
    target.point_alias("other", "two")
    monkeypatch.undo()
    assert target.native_aliases() == {"name": "two", "other": "two"}


def test_what_a_name_points_at_is_not_dropped(target: PineconeTarget) -> None:
    target.point_alias("theirs", "one")
    with pytest.raises(
        RefusedError, match=r"namespace one is not dropped, because Pinecone's own alias theirs points at it"
    ):
        target.drop_namespace("one")
    target.drop_alias("theirs")
    target.drop_namespace("one")
    assert target.namespaces() == ["two"]


def test_the_name_of_a_namespace_is_no_alias(target: PineconeTarget) -> None:
    with pytest.raises(RefusedError, match=r"NAME_IN_USE_BY_NAMESPACE.*delete it"):
        target.point_alias("two", "one")


def test_a_service_without_aliases_is_remembered_and_said_once(
    server: PineconeServer, target: PineconeTarget, caplog: pytest.LogCaptureFixture
) -> None:
    server.knobs.aliases = False
    with caplog.at_level(logging.WARNING):
        assert target.native_aliases() == {}
        target.point_alias("name", "one")
        target.drop_alias("name")
        target.drop_namespace("one")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not target.capabilities.aliases_namespaces


def test_busy_answers_and_lost_ones_are_tried_again(server: PineconeServer, target: PineconeTarget) -> None:
    server.knobs.too_many_requests = 0.2
    server.knobs.lost_responses = 0.2
    for number in range(6):
        target.point_alias("name", ("one", "two")[number % 2])
    server.knobs.too_many_requests = server.knobs.lost_responses = 0.0
    assert target.native_aliases() == {"name": "two"}


def test_a_wrong_key_is_said_without_it(server: PineconeServer, target: PineconeTarget) -> None:
    host = target.indexes.all()[0].host
    aliases = NamespaceAliases("pinecone", f"{KEY}-not", timeout_s=5)
    with pytest.raises(ConfigError, match="API key is not accepted") as caught, closing(aliases):
        aliases.names([host])
    assert KEY not in str(caught.value)


def test_nobody_there_is_one_line() -> None:
    aliases = NamespaceAliases("pinecone", KEY, timeout_s=1, retry_s=0.2)
    with pytest.raises(UnavailableError, match=r"do not answer \(ConnectError\)"), closing(aliases):
        aliases.names(["http://127.0.0.1:1"])


Answer = tuple[int, dict[str, str], bytes]
JSON = {"content-type": "application/json"}


@contextmanager
def strange(answer: Answer) -> Iterator[str]:
    """The address of what answers everything alike: something stands between us and the service."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, body = answer
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"content-type": "text/html"}, b"<html>log in</html>"),
        (200, {**JSON, "content-encoding": "gzip"}, b"not gzip"),
        (200, JSON, b"null"),
        (200, JSON, b"[]"),
        (200, JSON, b""),
        (200, JSON, b'{"namespace_aliases": [{"name": "no target"}]}'),
        (200, JSON, b'{"namespace_aliases": [], "pagination": "none"}'),
        (520, {}, b"<html>away</html>"),
    ],
    ids=["html", "packed", "null", "list", "empty", "other fields", "other pages", "520"],
)
def test_an_answer_that_makes_no_sense_is_one_line(answer: Answer) -> None:
    with strange(answer) as host, closing(NamespaceAliases("pinecone", KEY, timeout_s=5, retry_s=0.1)) as aliases:
        with pytest.raises(UnavailableError, match=r"makes no sense|do not answer") as caught:
            aliases.names([host])
        assert "\n" not in str(caught.value)
        with pytest.raises(UnavailableError, match=r"makes no sense|do not answer"):
            aliases.point("name", "one", host=host)


# --- following ours


def staged(world: World, content: dict[int, int], strategy: str | None = None) -> Deployment:
    deployment = world.push(world.version(content), strategy).deployment
    point_staging(world.registry, deployment, by="test")
    return deployment


def test_the_native_name_follows_ours(world: World) -> None:
    first = staged(world, {1: 1})
    name = native_name(world.dataset, "dev", "staging")
    assert behind(world.target, world.registry, world.dataset, "dev") == [Behind(name, "staging", None, first)]
    assert follow(world.target, "staging", first) is None
    assert world.target.native_aliases()[name] == first.namespace
    second = staged(world, {1: 1, 2: 2}, "blue-green")
    late = behind(world.target, world.registry, world.dataset, "dev")
    assert [str(one) for one in late] == [
        f"pinecone's own alias {name} points at {first.namespace}, not at {second.namespace}"
    ]
    assert catch_up(world.target, world.registry, world.dataset, "dev") == []
    assert behind(world.target, world.registry, world.dataset, "dev") == []


def test_following_never_raises(world: World, server: PineconeServer) -> None:
    deployment = staged(world, {1: 1})
    assert isinstance(world.target, PineconeTarget)
    world.target.service.calls._retry_s = world.target.names.client()._retry_s = 0.5
    server.knobs.unavailable = 1.0
    warning = follow(world.target, "staging", deployment)
    assert warning is not None
    assert "does not follow" in warning
    assert "\n" not in warning
    server.knobs.unavailable = 0.0
    server.knobs.aliases = False
    assert follow(world.target, "staging", deployment) is None
    assert behind(world.target, world.registry, world.dataset, "dev") == []


def test_what_is_left_behind_is_let_go_before_a_namespace_is_dropped(world: World) -> None:
    first = staged(world, {1: 1})
    follow(world.target, "staging", first)
    second = staged(world, {1: 1, 2: 2}, "blue-green")
    world.target.point_alias("theirs", first.namespace)
    let_go(world.target, world.registry, first.namespace)
    name = native_name(world.dataset, "dev", "staging")
    assert world.target.native_aliases() == {name: second.namespace, "theirs": first.namespace}


def test_a_name_without_an_alias_of_ours_is_dropped(world: World) -> None:
    deployment = world.push(world.version({1: 1})).deployment
    world.target.point_alias(native_name(world.dataset, "dev", "gone"), deployment.namespace)
    let_go(world.target, world.registry, deployment.namespace)
    assert world.target.native_aliases() == {}


def test_readers_of_the_name_read_where_it_points(target: PineconeTarget, server: PineconeServer) -> None:
    """As an application does that knows Pinecone alone."""
    target.point_alias("name", "two")
    host = target.indexes.all()[0].host
    answer = httpx.get(
        f"{host if '://' in host else f'https://{host}'}/namespace-aliases/name",
        headers={"Api-Key": KEY, "X-Pinecone-Api-Version": "2026-07"},
    )
    assert answer.json()["target_namespace"] == "two"
