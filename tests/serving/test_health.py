"""Health says what the next query would meet."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.serving.test_breaker import lost
from tests.serving.test_limits import Flaky
from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.serving import Index, examining, following, open_index
from vector_pipeline.serving.breaker import FAILURES, Breaker
from vector_pipeline.serving.resolving import Followed, Live
from vector_pipeline.targets.duckdb.target import DuckDBTarget


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


def test_however_many_ask_the_registry_is_asked_once_at_a_time_and_queries_go_on(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health is asked by every probe of every process: what it costs the registry does not grow with them."""
    ask, lock, under_way, most = Followed.ask, threading.Lock(), [0], [0]

    def counted(followed: Followed, known: Live | None) -> Live:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        try:
            return ask(followed, known)
        finally:
            with lock:
                under_way[0] -= 1

    monkeypatch.setattr(Followed, "ask", counted)
    monkeypatch.setattr(examining, "PATIENCE_S", 60.0)  # A slow machine is no outage.
    with ThreadPoolExecutor(40) as threads:
        found = [threads.submit(index.health) for _ in range(200)]
        assert index.query("about page 1")
        assert all(one.result(60).registry.ok for one in found)
    assert most[0] == 1


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


def test_a_registry_that_hangs_hides_nothing_else(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outage that readers live through: the registry takes the question, and says nothing for longer than health waits."""
    ask, let = Followed.ask, threading.Event()

    def hangs(followed: Followed, known: Live | None) -> Live:
        let.wait(60)
        return ask(followed, known)

    assert index.search("about page 1").version == 1
    monkeypatch.setattr(Followed, "ask", hangs)
    monkeypatch.setattr(following, "WAIT_S", 0.05)
    try:
        for patience in (examining.PATIENCE_S, 0.3):
            monkeypatch.setattr(examining, "PATIENCE_S", patience)
            assert index.search("about page 1").version == 1
            health = index.health()
            assert (health.ok, health.registry.ok, health.target.ok, health.embedder.ok) == (True, False, True, True)
            assert health.registry.said.startswith(f"no answer within {patience / 3:.3g} s")
    finally:
        let.set()


def test_a_look_that_hangs_is_one_and_hides_no_other_part(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    describe, let, asked = DuckDBTarget.describe, threading.Event(), [0]

    def hangs(self: DuckDBTarget, namespace: str) -> object:
        asked[0] += 1
        let.wait(60)
        return describe(self, namespace)

    monkeypatch.setattr(DuckDBTarget, "describe", hangs)
    with monkeypatch.context() as brief:
        brief.setattr(examining, "PATIENCE_S", 0.1)
        for _ in range(12):  # More than there are threads for looks.
            health = index.health()
            assert (health.target.ok, health.embedder.ok) == (False, True)
    assert asked[0] == 1
    let.set()
    assert index.health().ok
