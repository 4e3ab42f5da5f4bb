"""A registry that goes silent: readers live on what they know, as long as the page says, and come back by themselves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import write_project
from tests.registry.conftest import postgres  # noqa: F401 (a fixture)
from tests.serving.conftest import edited
from tests.serving.test_push import database  # noqa: F401 (a fixture)
from tests.support.waiting import eventually
from tests.support.wire import Wire
from vector_pipeline.errors import UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import connecting, listening
from vector_pipeline.serving import following, open_index

_ENVIRONMENTS = "environments: {{dev: {{targets: {{local: {{}}}}, registry: '{url}'}}}}\n"


@pytest.fixture
def wired(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Project, Path, Wire]]:  # noqa: F811
    """Version 1 in production, and a configuration whose registry is behind a wire."""
    monkeypatch.setattr(connecting, "SILENCE_S", 0.5)
    monkeypatch.setitem(connecting._LIBPQ, "connect_timeout", 2)
    monkeypatch.setattr(listening, "_BEAT_S", 0.1)
    monkeypatch.setattr(listening, "_ANSWER_S", 0.5)
    monkeypatch.setattr(following, "WAIT_S", 0.1)
    monkeypatch.setattr(following, "_PAUSE_S", 0.1)
    config = write_project(tmp_path, 4, shards=2)
    text = config.read_text(encoding="utf-8")
    config.write_text(text + _ENVIRONMENTS.format(url=database), encoding="utf-8")
    with Project.load(config) as project, Wire(database) as wire:
        edited(project, 1)
        behind = config.with_name("behind.yaml")
        behind.write_text(text + _ENVIRONMENTS.format(url=wire.url), encoding="utf-8")
        yield project, behind, wire


@pytest.mark.slow
def test_readers_outlive_a_silent_registry(wired: tuple[Project, Path, Wire], monkeypatch: pytest.MonkeyPatch) -> None:
    project, config, wire = wired
    with open_index("handbook", project=config, max_staleness_s=0, timeout_s=None) as index:
        eventually(lambda: index.health().pushed)
        assert index.search("about page 1").version == 1
        wire.silent.set()
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: index.search("about page 1").version, range(200)))
        assert set(found) == {1}
        eventually(lambda: not index.health().pushed)
        health = index.health()
        assert (health.ok, health.registry.ok, health.version) == (True, False, 1)
        # Nobody's thread hangs for good: known too long ago, it is an error.
        monkeypatch.setattr(following, "OUTAGE_S", 0.0)
        with pytest.raises(UnavailableError):
            index.search("about page 1")
        assert not index.health().ok
        edited(project, 900)
        wire.silent.clear()

        def follows() -> bool:
            try:
                return index.search("about page 900").version == 2
            except UnavailableError:
                return False

        eventually(follows)
        eventually(lambda: index.health().pushed)


def test_closing_waits_for_no_silent_registry(wired: tuple[Project, Path, Wire]) -> None:
    _, config, wire = wired
    index = open_index("handbook", project=config, max_staleness_s=0)
    eventually(lambda: index.health().pushed)
    wire.silent.set()
    assert index.search("about page 1").version == 1
    index.close()
    with pytest.raises(UnavailableError, match="closed"):
        index.search("about page 1")
