"""Changing the model in Dagster's own pages, in a real browser: fill the new space, see the gate, cut over."""

from pathlib import Path

import pytest

from tests.dagster.conftest import make_config
from tests.reembed.test_filling import with_space
from tests.ui import dagster_ui as dagster
from vector_pipeline.cli import run
from vector_pipeline.project import Project

_MISSING = dagster.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING)),
]
OLD, NEW = "handbook/tiny", "handbook/other"


def test_a_person_changes_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / ".vector_pipeline" / "dagster"))
    config = with_space(make_config(tmp_path))
    for verb in ("build", "push", "promote"):
        assert run([verb, "--project", str(config)]) == 0
    monkeypatch.delenv("DAGSTER_HOME")
    assert served(config) == (1, "tiny")
    with dagster.served(config) as ui, dagster.browser() as page:
        dagster.open_branch(page, ui, "handbook", "other")
        known = {run["id"] for run in ui.runs()}
        dagster.choose_all_shards(page)
        page.get_by_text("Launch runs to materialize 4 assets").first.wait_for()
        runs = dagster.launch_chosen(page, ui, known)
        assert [run["status"] for run in runs] == ["SUCCESS", "SUCCESS"]

        # The shards, the version, the gate; and production as it was.
        dagster.open_asset(page, ui, f"{NEW}/embeddings", "partitions")
        page.get_by_text("Materialized (4)").first.wait_for()
        page.goto(f"{ui.url}/assets/{NEW}/embeddings?view=partitions&partition=01")
        page.get_by_text("shard_vectors").first.wait_for()
        dagster.open_asset(page, ui, f"{NEW}/staging_index", "checks")
        page.get_by_text("catch_up").first.click()
        page.get_by_text("12 documents of version 1 (tiny) against 12 of version 2 (other)").first.wait_for()
        assert served(config) == (1, "tiny")

        config.write_text(config.read_text().replace("serving: tiny", "serving: other"))
        dagster.reload_definitions(page, ui, "handbook", "other", serves=True)
        (pushed,) = dagster.materialize(page, ui, f"{NEW}/staging_index")
        assert pushed["status"] == "SUCCESS"
        (promoted,) = dagster.materialize(page, ui, "handbook/production_index")
        assert promoted["status"] == "SUCCESS"
        dagster.open_asset(page, ui, "handbook/production_index")
        page.get_by_text("promoted version 2").first.wait_for()
        page.get_by_text("handbook--other--").first.wait_for()
    assert served(config) == (2, "other")


def served(config: Path) -> tuple[int, str]:
    """Version and space that production serves, asked past Dagster."""
    with Project.load(config) as project:
        alias = project.status("handbook").production
        assert alias is not None
        return alias.deployment.version, alias.deployment.space
