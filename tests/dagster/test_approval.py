"""Who may move production: a person, or the chain where the environment lets it."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import SCHEDULE_NAME_TAG

from assets.loading import project_definitions
from resources.project import open_project
from tests.dagster.conftest import make_config
from tests.support.gates import FEW, verify_index
from vector_pipeline.definitions import run_job
from vector_pipeline.errors import RefusedError

ENVIRONMENTS = """
environments:
  dev: {targets: {local: {kind: duckdb}}}
  live: {targets: {local: {kind: duckdb}}, promotion: {policy: manual, require_reason: true}}
"""


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A version verified on staging of ``live``, where a person decides; the dataset itself is promoted automatically."""
    config = make_config(tmp_path / "project", policy="automatic", gates=FEW)
    config.write_text(config.read_text() + ENVIRONMENTS)
    project = open_project(config, "live")
    project.build("handbook")
    project.push("handbook")
    verify_index(project)
    return config


def test_an_environment_decides_whether_the_chain_promotes(staged: Path) -> None:
    production = dg.AssetKey(["handbook", "production_index"])
    for environment, promotes in (("dev", True), ("live", False)):
        job = project_definitions(staged, environment=environment).resolve_job_def("handbook__release")
        assert (production in job.asset_layer.selected_asset_keys) is promotes


def test_a_person_approves_with_a_name_and_a_reason(staged: Path, instance: dg.DagsterInstance) -> None:
    def promote(**config: object) -> list[type]:
        outcome = run_job(staged, "handbook", "promote", environment="live", instance=instance, config=config)
        return [type(error) for error in outcome.errors]

    job = project_definitions(staged, environment="live").resolve_job_def("handbook__promote")
    tags = {SCHEDULE_NAME_TAG: "nightly"}
    machine = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    assert not machine.success
    failure = machine.all_node_events[-1].step_failure_data.user_failure_data
    assert failure is not None
    assert "is promoted by a person in environment live" in str(failure.description)
    assert promote(by="me") == [RefusedError]
    # Where Dagster knows who launched a run, that is who did it.
    config = {"ops": {"handbook__production_index": {"config": {"verb": "promote", "reason": "the summer release"}}}}
    assert job.execute_in_process(instance=instance, run_config=config, tags={"user": "ada"}).success
    (move,) = [one for one in open_project(staged, "live").history("handbook") if one.name == "production"]
    assert (move.by, move.reason, move.kind) == ("ada", "the summer release", "promote")
