"""Health says what the next query would meet."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.serving.test_breaker import lost
from tests.serving.test_limits import Flaky
from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.serving import Index, following, open_index
from vector_pipeline.serving.breaker import FAILURES, Breaker


@pytest.fixture
def index(released: Project) -> Iterator[Index]:
    with open_index("handbook", project=released.base, max_staleness_s=0, retries=0) as opened:
        yield opened


def test_an_alias_that_is_gone(released: Project, index: Index) -> None:
    assert index.health().ok
    with sqlite3.connect(released.base / ".vector_pipeline" / "registry.sqlite") as file:
        file.execute("DELETE FROM vp_aliases WHERE name = 'production'")
    file.close()
    with pytest.raises(NotFoundError):
        index.query("about page 1")
    health = index.health()
    assert (health.ok, health.registry.ok, health.target.ok) == (False, False, True)
    assert "nothing of handbook is in production" in health.registry.said


def test_a_place_that_is_there_and_fails(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    index._asker.arms._breakers[index._follower.current().served.deployment.id, False] = Breaker(clock=lambda: now)
    flaky = Flaky(monkeypatch)
    flaky.fails = FAILURES
    for _ in range(FAILURES):
        assert index.health().ok
        with pytest.raises(UnavailableError):
            index.query("about page 1")
    health = index.health()
    assert (health.ok, health.breaker, health.target.ok) == (False, "open", False)
    assert "it does not answer for the moment" in health.target.said
    now = 11.0  # The next query tries it: somebody must send one.
    health = index.health()
    assert (health.ok, health.breaker) == (True, "half-open")
    assert index.query("about page 1")
    assert index.health().breaker == "closed"


def test_the_file_of_a_registry_that_is_gone(released: Project, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PAUSE_S", 0.0)
    file = released.base / ".vector_pipeline" / "registry.sqlite"
    released.close()
    away = file.rename(file.with_name("away"))
    # An outage: what is known goes on, and health says for how long it does.
    assert index.query("about page 1")
    health = index.health()
    assert (health.ok, health.registry.ok) == (True, False)
    assert "is gone" in health.registry.said
    monkeypatch.setattr(following, "OUTAGE_S", 0.0)
    with pytest.raises(UnavailableError, match="is gone"):
        index.query("about page 1")
    assert not index.health().ok
    assert not file.exists()  # Reading makes none.
    away.rename(file)
    assert index.query("about page 1")
    assert index.health().ok


def test_another_file_in_its_place_is_read(released: Project, index: Index) -> None:
    """Restored from a backup: who has the old file open does not go on reading it."""
    assert index.search("about page 1").version == 1
    file = released.base / ".vector_pipeline" / "registry.sqlite"
    released.registry()._db.compact()
    released.close()
    other = file.with_name("backup")
    other.write_bytes(file.read_bytes())
    with sqlite3.connect(other) as backup:
        backup.execute(
            "UPDATE vp_aliases SET deployment_id = (SELECT id FROM vp_deployments WHERE version = 2), generation = 9"
            " WHERE name = 'production'"
        )
    backup.close()
    for left in file.parent.glob("registry.sqlite-*"):
        left.unlink()
    other.rename(file)
    assert index.search("about page 900").version == 2


def test_however_many_ask_the_registry_is_asked_once_and_queries_go_on(index: Index) -> None:
    with ThreadPoolExecutor(40) as threads:
        found = [threads.submit(index.health) for _ in range(200)]
        assert index.query("about page 1")
        assert all(one.result(60).registry.ok for one in found)


def test_the_version_before_is_health_only_while_it_answers(released: Project) -> None:
    released.promote("handbook", by="test")
    with open_index("handbook", project=released.base, retries=0) as index:
        lost(released, 2)
        for _ in range(FAILURES):
            with_previous = index.health()
            assert not with_previous.ok  # The next query fails: its breaker is closed yet.
            with suppress(NotFoundError):
                index.query("about page 1")
        assert index.health().ok
        lost(released, 1)
        assert not index.health().ok
