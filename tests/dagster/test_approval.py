"""Who may move production: a person, or the chain where the environment lets it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG, SCHEDULE_NAME_TAG

from tests.dagster.conftest import edit, make_config
from tests.support.gates import FEW, verify_index
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.definitions import run_job
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.resources.project import open_project

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


@pytest.mark.slow
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


def _refused(result: dg.ExecuteInProcessResult | dg.JobExecutionResult) -> str:
    """Why a launch moved nothing."""
    assert not result.success
    failure = result.all_node_events[-1].step_failure_data.user_failure_data
    assert failure is not None
    return str(failure.description)


def _served(core: Project) -> int:
    alias = core.status("handbook").production
    assert alias is not None
    return alias.deployment.version


@pytest.mark.slow
def test_an_approval_counts_for_what_its_giver_saw(staged: Path, instance: dg.DagsterInstance) -> None:
    """Ada asks while staging holds version 1; before her run begins, a release brings version 2."""
    job = project_definitions(staged, environment="live").resolve_job_def("handbook__promote")
    op = "handbook__production_index"
    said = {"by": "ada", "reason": "the summer release"}
    asked = instance.create_run_for_job(job, run_config={"ops": {op: {"config": said}}})
    named = instance.create_run_for_job(job, run_config={"ops": {op: {"config": {**said, "version": 2}}}})
    core = open_project(staged, "live")
    (first,) = core.history("handbook")
    for run in (asked, named):
        instance.delete_run(run.run_id)
        instance.run_storage.add_historical_run(run, first.at)
    # Times are compared by the second, as SQLite keeps them.
    while datetime.now(UTC) < first.at + timedelta(seconds=1.1):
        time.sleep(0.05)
    edit(staged, 3)
    core.build("handbook")
    core.push("handbook")
    verify_index(core)
    before = _refused(execute_run(InMemoryJob(job), asked, instance, raise_on_error=False))
    assert "staging of handbook holds version 2 since" in before
    assert "`version: 2`" in before
    # Who names a version means that one, however long ago.
    assert execute_run(InMemoryJob(job), named, instance, raise_on_error=False).success
    assert _served(core) == 2


@pytest.mark.slow
def test_an_approval_is_not_given_again_by_repeating_its_run(staged: Path, instance: dg.DagsterInstance) -> None:
    job = project_definitions(staged, environment="live").resolve_job_def("handbook__promote")
    op = "handbook__production_index"

    def launch(first: str | None = None, **config: object) -> dg.ExecuteInProcessResult:
        tags = {} if first is None else {PARENT_RUN_ID_TAG: first, ROOT_RUN_ID_TAG: first}
        settings = {"ops": {op: {"config": {"by": "ada", "reason": "the summer release", **config}}}}
        return job.execute_in_process(instance=instance, run_config=settings, tags=tags, raise_on_error=False)

    first = launch()
    assert first.success
    edit(staged, 3)
    core = open_project(staged, "live")
    core.build("handbook")
    core.push("handbook")
    verify_index(core)
    for verb in ("promote", "rollback"):
        assert f"this run repeats {first.run_id}" in _refused(launch(first.run_id, verb=verb))
    assert _served(core) == 1
    again = launch(first.run_id, version=2)
    assert again.success
    (made,) = again.asset_materializations_for_node(op)
    assert made.metadata["repeats_run"].value == first.run_id
