"""PostgreSQL tells readers of every move, and they live through its restarts."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import write_project
from tests.registry.conftest import postgres  # noqa: F401 (a fixture)
from tests.serving.conftest import edited
from tests.support.waiting import eventually
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Registry
from vector_pipeline.release.registry.listening import Listener, told
from vector_pipeline.serving import open_index

_NAMES = itertools.count(1)


@pytest.fixture
def database(postgres: str) -> str:  # noqa: F811
    """URL of an empty database of its own."""
    name = f"readers_{next(_NAMES)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture
def project(tmp_path: Path, database: str) -> Iterator[Project]:
    """Version 1 in production; its registry in PostgreSQL."""
    config = write_project(tmp_path, 4, shards=2)
    with config.open("a", encoding="utf-8") as file:
        file.write(f"environments: {{dev: {{targets: {{local: {{}}}}, registry: '{database}'}}}}\n")
    with Project.load(config) as opened:
        edited(opened, 1)
        yield opened


def cut(database: str) -> None:
    """End every connection to it, as a restart of the server does."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.slow
def test_a_reader_hears_of_moves_and_routes_at_once(project: Project, database: str) -> None:
    # So stale may it be that only what it is told can be why it knows.
    with open_index("handbook", project=project.base, max_staleness_s=10_000) as index:
        eventually(lambda: index.health().pushed)
        asked = index._follower.known.asked  # type: ignore[union-attr]
        edited(project, 900)
        eventually(lambda: index.search("about page 900").version == 2)
        project.verify("handbook", version=1)
        project.route("handbook", 1, 1.0, by="test")
        eventually(lambda: index.search("about page 1").arm == "route")
        cut(database)
        project.unroute("handbook", by="test")
        eventually(lambda: index.search("about page 1").arm == "production")
        eventually(lambda: index.health().pushed)
        project.rollback("handbook", by="test")
        eventually(lambda: index.search("about page 1").version == 1)
        assert index._follower.known.asked > asked  # type: ignore[union-attr]


def test_a_listener_hears_comes_back_and_ends(database: str) -> None:
    with Registry.open(database) as registry:
        heard: list[str] = []
        listener = registry.listener(heard.append)
        assert listener is not None
        listener.start()
        eventually(lambda: heard == [""])
        registry._db.write(lambda connection: registry._db.notify(connection, "faq", "dev"))
        eventually(lambda: heard == ["", told("faq", "dev")])
        cut(database)
        eventually(lambda: heard[2:] == [""] and listener.hearing)
        listener.close()
        assert not listener.hearing
        assert "vector-pipeline-listener" not in {thread.name for thread in threading.enumerate()}


def test_nobody_hears_of_what_was_not_committed(database: str) -> None:
    with Registry.open(database) as registry:
        heard: list[str] = []
        listener = registry.listener(heard.append)
        assert listener is not None
        listener.start()
        eventually(lambda: heard == [""])

        def refused(connection: object) -> None:
            registry._db.notify(connection, "never", "dev")  # type: ignore[arg-type]
            raise KeyError("rolled back")

        with pytest.raises(KeyError):
            registry._db.write(refused)
        registry._db.write(lambda connection: registry._db.notify(connection, "then", "dev"))
        eventually(lambda: heard == ["", told("then", "dev")])
        listener.close()


def test_a_listener_without_a_server_waits_and_ends() -> None:
    heard: list[str] = []
    listener = Listener("postgresql://nobody@127.0.0.1:1/none", heard.append)
    listener.start()
    listener.close()
    assert (heard, listener.hearing) == ([], False)


def test_sqlite_tells_nobody(tmp_path: Path) -> None:
    with Registry.open(f"sqlite:///{tmp_path}/registry.sqlite") as registry:
        assert registry.listener(lambda _: None) is None
