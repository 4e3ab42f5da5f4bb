"""A real daemon: what is put and what is dropped reaches production by itself, and what breaks is told. Prints the seconds."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.automation.conftest import Received
from tests.conftest import page
from tests.dagster.conftest import break_documents, make_config
from tests.support.gates import FEW
from tests.ui.dagster_ui import PATIENCE_S, Ui, served
from vector_pipeline.project import Project

MORE = """
    automation: {{enabled: [changes, inbox], every_s: 2, settle_s: 0.5}}
environments:
  dev:
    dagster_url: {ui}
    alerts:
      - {{kind: webhook, url: "{url}"}}
"""


@pytest.fixture
def config(tmp_path: Path, receiver: Received) -> Path:
    path = make_config(tmp_path / "project", policy="automatic", gates=FEW)
    path.write_text(path.read_text() + MORE.format(ui="http://dagster.test", url=receiver.url))
    return path


def put(config: Path, *files: Path) -> str:
    """``put --wait`` as a person calls it."""
    command = [sys.executable, "-m", "vector_pipeline.cli", "put", "--project", str(config), *map(str, files), "--wait"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def until(condition: Callable[[], bool], what: str) -> float:
    """Seconds until something holds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_S, what
        time.sleep(0.2)
    return time.monotonic() - begun


def in_production(config: Path, document: str) -> bool:
    with Project.load(config) as project:
        if project.generations("handbook")[1] is None:
            return False
        live = project.status("handbook").production
        assert live is not None
        return document in {one["document"] for one in project.documents("handbook", version=live.deployment.version)}


@pytest.mark.slow
def test_a_change_reaches_production_by_itself(config: Path, tmp_path: Path, receiver: Received) -> None:
    say = sys.stdout.write
    with served(config) as ui:
        until(lambda: in_production(config, "page0.md"), "the first release")
        new = tmp_path / "new.md"
        new.write_text(page(100))
        said = put(config, new)
        say(f"\n{said}")
        assert "production serves v" in said
        assert "embeddings: " in said
        drop = config.parent / "inbox" / "handbook"
        drop.mkdir(parents=True)
        (drop / "dropped.md").write_text(page(101))
        (drop / "nothing.md").write_text("")
        took = until(lambda: in_production(config, "dropped.md"), "the dropped file")
        say(f"dropped into the inbox: served after {took:.1f} s\n")
        assert (drop / "_aside" / "nothing.md.reason.txt").is_file()
        _quiet(ui)
        assert receiver.requests == []
        with Project.load(config) as project:
            before = project.generations("handbook")[1]
        break_documents(config)
        took = until(lambda: bool(receiver.requests), "the alert")
        say(f"broken on purpose: told after {took:.1f} s\n")
        ((_, _, body),) = receiver.requests
        assert body["event"] == "gate-failed"
        assert body["run"]["url"] == f"http://dagster.test/runs/{body['run']['id']}"
        _quiet(ui)
        with Project.load(config) as project:
            assert project.generations("handbook")[1] == before
        assert len(receiver.requests) == 1
        _ticks_are_cheap(ui)


def _quiet(ui: Ui) -> None:
    """No run is going."""
    until(lambda: all(one["status"] in ("SUCCESS", "FAILURE", "CANCELED") for one in ui.runs()), "quiet")


def _ticks_are_cheap(ui: Ui) -> None:
    query = """{ sensorsOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "vector_pipeline"}) {
        ... on Sensors { results { name sensorState { ticks(limit: 20) { timestamp endTimestamp status } } } } } }"""
    for one in ui.ask(query)["sensorsOrError"]["results"]:
        ticks = [tick for tick in one["sensorState"]["ticks"] if tick["endTimestamp"]]
        took = sorted(tick["endTimestamp"] - tick["timestamp"] for tick in ticks)
        if took:
            sys.stdout.write(f"{one['name']}: median tick {took[len(took) // 2]:.2f} s of {len(took)}\n")
        assert not [tick for tick in ticks if tick["status"] == "FAILURE"], one["name"]
