"""When the sensor asks for a run, and what a failed step leaves in Dagster's storage."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import SENSOR_NAME_TAG

from assets.loading import project_definitions
from assets.names import job_name
from assets.steps import step, take_errors
from resources import ProjectResource
from tests.dagster.conftest import edit
from vector_pipeline.errors import UnavailableError

Look = Callable[[str | None], dg.SensorResult | dg.SkipReason]
RELEASE = job_name("handbook", "release")


@pytest.fixture
def look(instance: dg.DagsterInstance, config: Path) -> Look:
    """One tick of the sensor."""

    def call(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        definitions = project_definitions(config)
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, definitions=definitions,
            resources={"project": ProjectResource(config_path=str(config))},
        )  # fmt: skip
        result = definitions.resolve_sensor_def("handbook__changes")(context)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    return call


def asked(result: dg.SensorResult | dg.SkipReason) -> tuple[dg.RunRequest, str]:
    """The one request, and the cursor after it."""
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests is not None
    assert result.cursor is not None
    (request,) = result.run_requests
    return request, result.cursor


def finished(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, request: dg.RunRequest | None = None
) -> dg.DagsterRun:
    """A release that ended so; the sensor's where it has a request."""
    tags = {**request.tags, SENSOR_NAME_TAG: "handbook__changes"} if request else {}
    run = instance.create_run_for_job(_named(), tags=tags)
    if status is dg.DagsterRunStatus.SUCCESS:
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, RELEASE), run.run_id)
    elif status is dg.DagsterRunStatus.FAILURE:
        instance.report_run_failed(run)
    else:
        instance.report_run_canceled(run)
    return run


def _named() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None:
        """Only the run's record matters."""

    @dg.job(name=RELEASE)
    def release() -> None:
        nothing()

    return release


def test_the_sensor_asks_anew_for_a_state_that_was_there_before(look: Look, config: Path) -> None:
    path = config.parent / "documents" / "page3.md"
    text, stat = path.read_bytes(), path.stat()
    first, cursor = asked(look(None))
    edit(config, 3)
    second, cursor = asked(look(cursor))
    path.write_bytes(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    third, cursor = asked(look(cursor))
    assert len({first.run_key, second.run_key, third.run_key}) == 3
    assert json.loads(cursor)["serial"] == 3


def test_the_sensor_repeats_its_failed_run_once_over_every_shard(
    look: Look, config: Path, instance: dg.DagsterInstance
) -> None:
    first, cursor = asked(look(None))
    finished(instance, dg.DagsterRunStatus.SUCCESS, first)
    edit(config, 3)
    second, cursor = asked(look(cursor))
    failed = finished(instance, dg.DagsterRunStatus.FAILURE, second)
    again, cursor = asked(look(cursor))
    assert again.run_key != second.run_key
    ends = [again.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
    assert ends == ["00", "03"]
    assert json.loads(cursor)["retried"] == failed.run_id
    assert isinstance(look(cursor), dg.SkipReason)
    # The repetition fails too: the next one waits, so that what cannot succeed does not run all night.
    finished(instance, dg.DagsterRunStatus.FAILURE, again)
    assert isinstance(look(cursor), dg.SkipReason)


def test_the_sensor_repeats_a_repetition_after_a_wait(
    look: Look, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.automation.LONGEST_WAIT_S", 0)
    request, cursor = asked(look(None))
    for attempt in ("1", "2"):
        finished(instance, dg.DagsterRunStatus.FAILURE, request)
        request, cursor = asked(look(cursor))
        assert request.tags["vector_pipeline/attempt"] == attempt


def test_a_change_that_the_sensor_sees_after_a_failure_is_the_repetition(
    look: Look, config: Path, instance: dg.DagsterInstance
) -> None:
    first, cursor = asked(look(None))
    finished(instance, dg.DagsterRunStatus.FAILURE, first)
    edit(config, 3)
    second, cursor = asked(look(cursor))
    assert second.tags["vector_pipeline/changed_shards"] == "00 01 02 03"
    assert isinstance(look(cursor), dg.SkipReason)


@pytest.mark.parametrize("ends", [[dg.DagsterRunStatus.CANCELED], [dg.DagsterRunStatus.FAILURE, None]])
def test_the_sensor_leaves_alone_what_was_cancelled_or_mended(
    look: Look, instance: dg.DagsterInstance, ends: list[dg.DagsterRunStatus | None]
) -> None:
    first, cursor = asked(look(None))
    for status in ends:
        if status is None:
            finished(instance, dg.DagsterRunStatus.SUCCESS)
        else:
            finished(instance, status, first)
    assert isinstance(look(cursor), dg.SkipReason)


def test_the_sensor_goes_on_counting_after_its_cursor_was_reset(look: Look, instance: dg.DagsterInstance) -> None:
    first, _ = asked(look(None))
    finished(instance, dg.DagsterRunStatus.SUCCESS, first)
    again, _ = asked(look(None))
    assert again.run_key != first.run_key


def test_the_sensor_reads_a_cursor_without_a_serial_number(look: Look) -> None:
    _, cursor = asked(look(None))
    assert isinstance(look(json.dumps(json.loads(cursor)["shards"])), dg.SkipReason)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_sensor_passes_an_emptied_source_on_where_that_is_allowed(look: Look, config: Path, allowed: bool) -> None:
    if allowed:
        config.write_text(config.read_text().replace('"**/*.md"]', '"**/*.md"], allow_empty: true'))
    _, cursor = asked(look(None))
    for path in (config.parent / "documents").iterdir():
        path.unlink()
    result = look(cursor)
    if not allowed:
        assert isinstance(result, dg.SkipReason)
        return
    request, cursor = asked(result)
    assert request.tags["vector_pipeline/changed_shards"] == "00 01 02 03"
    assert isinstance(look(cursor), dg.SkipReason)


def test_a_failed_step_stores_none_of_its_causes(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.steps.FIRST_WAIT_S", 0.01)

    @dg.asset
    def broken(context: dg.AssetExecutionContext) -> None:
        with step(context):
            try:
                raise ValueError("postgresql://me:hunter2@host/db")
            except ValueError as error:
                raise UnavailableError("the registry does not answer") from error

    result = dg.materialize([broken], instance=instance, raise_on_error=False)
    stored = "".join(dg.serialize_value(entry) for entry in instance.all_logs(result.run_id))
    assert "the registry does not answer" in stored
    assert "hunter2" not in stored
    (kept,) = take_errors(result.run_id)
    assert isinstance(kept, UnavailableError)
