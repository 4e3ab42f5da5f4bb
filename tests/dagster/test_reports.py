"""What is wrong with a report costs the report: what the gates said stands, and the run with it."""

from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import write_project
from tests.support.gates import FEW
from vector_pipeline.assets import metadata
from vector_pipeline.assets.running import run_job
from vector_pipeline.project import Project


@pytest.mark.slow
def test_a_page_that_cannot_be_written_loses_no_verdict(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    config = write_project(tmp_path / "project", 3, shards=1, gates=f"{FEW[:-1]}, canary_retrieval: off}}")
    with Project.load(config) as project:
        project.build("handbook")
        project.push("handbook")
        project.report_file("handbook", 1).mkdir(parents=True)
    ran = run_job(config, "handbook", "verify", instance=instance)
    assert ran.success, ran.messages
    kinds = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.ASSET_OBSERVATION}
    events = [one.get_dagster_event() for one in instance.all_logs(ran.run_id, of_type=kinds)]
    *checks, last = events
    assert len(checks) == 2
    assert {one.event_type for one in checks} == {dg.DagsterEventType.ASSET_CHECK_EVALUATION}
    said = last.asset_observation_data.asset_observation.metadata["report"].value
    assert said.startswith("the report could not run: the report cannot be written to")


def test_no_error_of_a_report_leaves_it() -> None:
    broken: Project = None  # type: ignore[assignment]
    assert "AttributeError" in metadata.report(broken, "handbook", 1)["report"]
