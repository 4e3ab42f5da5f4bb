"""Several environments record in one Dagster: what one did says nothing of another."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import SENSOR_NAME_TAG

from tests.automation.conftest import Received
from tests.dagster.conftest import make_config
from vector_pipeline.assets.following import Following
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import ENVIRONMENT_TAG, runs_in
from vector_pipeline.assets.running import run_job
from vector_pipeline.resources import ProjectResource

TWO = """
environments:
  dev:
    targets: {{local: {{kind: duckdb}}}}
  prod:
    lake: {{catalog: "sqlite:///prod/catalog.sqlite", data: prod/data}}
    registry: sqlite:///prod/registry.sqlite
    targets: {{local: {{kind: duckdb, path: prod/index}}}}
    alerts: [{{kind: webhook, url: "{url}"}}]
    automation: {{enabled: [changes]}}
"""


@pytest.fixture
def both(tmp_path: Path, receiver: Received) -> Path:
    path = make_config(tmp_path / "project")
    path.write_text(path.read_text() + TWO.format(url=receiver.url))
    return path


def tick(config: Path, instance: dg.DagsterInstance, name: str, cursor: str | None = None) -> dg.SensorResult:
    """One tick of a sensor of ``prod``."""
    definitions = project_definitions(config, environment="prod")
    project = ProjectResource(config_path=str(config), environment="prod")
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=definitions, resources={"project": project}
    )
    result = definitions.resolve_sensor_def(name)(context)
    if isinstance(result, dg.SkipReason):
        return dg.SensorResult(skip_reason=result, cursor=cursor)
    assert isinstance(result, dg.SensorResult)
    return result


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_job_says_whose_its_runs_are(both: Path, environment: str) -> None:
    definitions = project_definitions(both, environment=environment)
    jobs = [one for one in definitions.resolve_all_job_defs() if not one.name.startswith("__")]
    assert len(jobs) > 10
    assert {one.run_tags[ENVIRONMENT_TAG] for one in jobs} == {environment}
    staging = definitions.resolve_sensor_def("handbook__staging")
    assert isinstance(staging, dg.AutomationConditionSensorDefinition)
    assert staging.run_tags[ENVIRONMENT_TAG] == environment


@pytest.mark.slow
def test_what_one_did_says_nothing_of_another(both: Path, instance: dg.DagsterInstance, receiver: Received) -> None:
    told = tick(both, instance, "alerts").cursor
    asked = tick(both, instance, "handbook__changes")
    (request,) = asked.run_requests or ()
    source = both.parent / "documents"
    source.rename(both.parent / "away")
    job = project_definitions(both, environment="prod").resolve_job_def("handbook__release")
    tags = {**request.tags, SENSOR_NAME_TAG: "handbook__changes"}
    assert not job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success
    assert not run_job(both, "handbook", "build", environment="dev", instance=instance).success
    (both.parent / "away").rename(source)
    # prod's failure alone is told.
    tick(both, instance, "alerts", told)
    ((_, _, body),) = receiver.requests
    assert (body["environment"], body["run"]["id"]) == ("prod", _runs(instance, "prod")[0])
    # A developer's release mends nothing in prod.
    assert run_job(both, "handbook", "release", environment="dev", instance=instance).success
    again = tick(both, instance, "handbook__changes", asked.cursor)
    assert [one.tags["dagster/asset_partition_range_start"] for one in again.run_requests or ()] == ["00"]
    assert len(_runs(instance, "dev")) == 2
    # Who follows a change in prod sees prod's runs.
    assert [one.run_id for one in Following(instance, "handbook", "prod").runs(0.0)] == _runs(instance, "prod")


def _runs(instance: dg.DagsterInstance, environment: str) -> list[str]:
    return [one.run_id for one in instance.get_runs(runs_in(environment))]
