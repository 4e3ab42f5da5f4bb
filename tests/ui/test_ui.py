"""Dagster's own pages over a small project, used in a real browser: webserver, daemon, runs, checks."""

import re
from pathlib import Path

import pytest

from tests.dagster.conftest import break_documents, make_config
from tests.ui import dagster_ui as dagster
from vector_pipeline.project import Project

_MISSING = dagster.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING)),
]
STAGING = "handbook/tiny/staging_index"


def test_a_person_builds_promotes_and_is_stopped_by_a_gate(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    with dagster.served(config) as ui, dagster.browser() as page:
        dagster.open_graph(page, ui, "handbook")
        for name in ("raw_documents", "chunks", "embeddings", "snapshot", "staging_index", "production_index"):
            page.get_by_text(name, exact=True).first.wait_for()

        # A partitioned backfill: one run over the shards, one of the rest.
        runs = dagster.launch_backfill(page, ui, "handbook")
        assert [run["status"] for run in runs] == ["SUCCESS", "SUCCESS"]
        ranges = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in runs]
        assert [tags.get("dagster/asset_partition_range_end") for tags in ranges] == [None, "03"]
        page.goto(f"{ui.url}/runs/b/{ui.backfills()[0]['id']}")
        page.get_by_text("100% completed").nth(5).wait_for()
        assert served_version(config) == 1

        dagster.open_asset(page, ui, STAGING, "checks")
        page.get_by_text("canary_retrieval").first.wait_for()
        page.get_by_text("Succeeded").nth(2).wait_for()

        # A materialisation: production serves this version already, and its page says so.
        (run,) = dagster.materialize(page, ui, "handbook/production_index")
        assert run["status"] == "SUCCESS"
        dagster.open_asset(page, ui, "handbook/production_index")
        page.get_by_text("nothing to do: production serves version 1 already").first.wait_for()

        break_documents(config)
        runs = dagster.launch_backfill(page, ui, "handbook")
        assert sorted(run["status"] for run in runs) == ["FAILURE", "SUCCESS"]
        dagster.open_asset(page, ui, STAGING, "checks")
        page.get_by_text("Failed").first.wait_for()
        assert served_version(config) == 1

        # Production alone is refused too, with the reason on the run's page.
        (run,) = dagster.materialize(page, ui, "handbook/production_index")
        assert run["status"] == "FAILURE"
        page.goto(f"{ui.url}/runs/{run['id']}")
        page.get_by_text(re.compile("has not passed: .*canary retrieval")).first.wait_for()


def served_version(config: Path) -> int:
    """What production serves, asked past Dagster."""
    with Project.load(config) as project:
        alias = project.status("handbook").production
        assert alias is not None
        return alias.deployment.version
