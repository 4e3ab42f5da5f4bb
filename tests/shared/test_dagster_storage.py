"""Dagster's own storage as ``deploy/dagster`` has it: runs and events in PostgreSQL, what steps print on S3."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._utils.tags import TagConcurrencyLimitsCounter

from tests.shared.conftest import Bucket
from tests.shared.storages import KINDS, make_storage
from vector_pipeline.assets.names import DATASET_TAG, FILL_TAG
from vector_pipeline.assets.running import run_job
from vector_pipeline.resources.project import close_projects

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "deploy" / "dagster" / "dagster.yaml"


def test_only_storage_and_logs_differ_from_a_laptop() -> None:
    shared, laptop = (
        yaml.safe_load(path.read_text()) for path in (SHARED, ROOT / "vector_pipeline" / "resources" / "dagster.yaml")
    )
    rest = {name: value for name, value in shared.items() if name not in ("storage", "compute_logs")}
    assert rest == laptop, (
        "what changes in vector_pipeline/resources/dagster.yaml changes in deploy/dagster/dagster.yaml"
    )
    assert "compute_logs" not in laptop
    assert "storage" not in laptop


@pytest.mark.parametrize("going", [("a", "a"), ("a", "b")])
def test_two_fills_at_most_go_on_whosever_they_are(going: tuple[str, str]) -> None:
    """By Dagster's own counter: places are left for what production is made of."""
    limits = yaml.safe_load(SHARED.read_text())["concurrency"]["runs"]["tag_concurrency_limits"]

    def run(key: str, dataset: str) -> dg.DagsterRun:
        return dg.DagsterRun(job_name="job", tags={key: dataset})

    counter = TagConcurrencyLimitsCounter(limits, [run(FILL_TAG, one) for one in going])
    for dataset in ("a", "b", "c"):
        assert counter.is_blocked(run(FILL_TAG, dataset))
        assert not counter.is_blocked(run(DATASET_TAG, dataset))
    alone = TagConcurrencyLimitsCounter(limits, [run(FILL_TAG, "a"), run(DATASET_TAG, "a")])
    assert not alone.is_blocked(run(FILL_TAG, "a"))
    assert alone.is_blocked(run(DATASET_TAG, "a"))


def test_the_workspace_names_a_code_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.workspace.load import location_origins_from_yaml_paths

    monkeypatch.setenv("VECTOR_PIPELINE_CODE_HOST", "code.internal")
    origins = location_origins_from_yaml_paths([str(SHARED.with_name("workspace.yaml"))])
    assert [origin.location_name for origin in origins] == ["vector_pipeline"]


@pytest.fixture
def instance(
    tmp_path: Path, bucket: Bucket, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance made of the committed file, in an empty database, with its logs in an empty bucket."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url.replace("postgresql://", "postgresql+psycopg2://"))
    monkeypatch.setenv("DAGSTER_LOGS_BUCKET", bucket.name)
    # A command's run says nothing on the console otherwise, and what is empty is not kept.
    monkeypatch.setenv("VECTOR_PIPELINE_DEBUG", "1")
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(SHARED, home / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made
    close_projects()


@pytest.mark.slow
def test_a_release_is_recorded_in_postgresql_and_its_logs_on_s3(
    request: pytest.FixtureRequest, instance: dg.DagsterInstance, tmp_path: Path, bucket: Bucket, postgres_url: str
) -> None:
    import psycopg

    config = make_storage(request, tmp_path / "project", KINDS[2])
    outcome = run_job(config, "handbook", "release", instance=instance)
    assert outcome.success, outcome.messages
    again = run_job(config, "handbook", "promote", instance=instance, config={"by": "test", "reason": "first"})
    assert again.success, again.messages
    with psycopg.connect(postgres_url) as connection:
        runs = connection.execute("SELECT run_id, status FROM runs ORDER BY id").fetchall()
        events = connection.execute(
            """SELECT count(*) FROM event_logs
               WHERE run_id = %s AND dagster_event_type = 'ASSET_MATERIALIZATION'""",
            (outcome.run_id,),
        ).fetchone()
    assert runs == [(outcome.run_id, "SUCCESS"), (again.run_id, "SUCCESS")]
    assert events is not None
    assert events[0] > 4
    logs = [key for key in bucket.objects("dagster/storage/") if outcome.run_id in key]
    assert any(key.endswith(".err") for key in logs), logs
    assert any(key.startswith("lake/") for key in bucket.objects())
