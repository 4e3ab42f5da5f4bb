"""When the sensor asks for a run, and what a failed step leaves in Dagster's storage."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.api import create_execution_plan
from dagster._core.storage.tags import SENSOR_NAME_TAG, WILL_RETRY_TAG

from tests.dagster.conftest import edit
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import ENVIRONMENT_TAG, job_name
from vector_pipeline.assets.partitions import range_tags
from vector_pipeline.assets.steps import step, take_errors
from vector_pipeline.errors import UnavailableError
from vector_pipeline.hashing import shard_of
from vector_pipeline.resources import ProjectResource

Look = Callable[[str | None], dg.SensorResult | dg.SkipReason]
RELEASE = job_name("handbook", "release")
HERE = {ENVIRONMENT_TAG: "dev"}
OWN = {**HERE, SENSOR_NAME_TAG: "handbook__changes"}


@pytest.fixture
def look(instance: dg.DagsterInstance, config: Path) -> Look:
    """One tick of the sensor."""

    loaded: list[dg.Definitions] = []

    def call(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        if not loaded:
            loaded.append(project_definitions(config))
        (definitions,) = loaded
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


def skips(result: dg.SensorResult | dg.SkipReason) -> str:
    """Why a tick asked for nothing."""
    if isinstance(result, dg.SensorResult):
        assert not result.run_requests
        assert result.skip_reason is not None
        result = result.skip_reason
    return result.skip_message or ""


def finished(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, request: dg.RunRequest | None = None
) -> dg.DagsterRun:
    """A release that ended so; the sensor's where it has a request."""
    tags = {**request.tags, **OWN} if request else HERE
    run = instance.create_run_for_job(_named(), tags=tags)
    if status is dg.DagsterRunStatus.SUCCESS:
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, RELEASE), run.run_id)
    elif status is dg.DagsterRunStatus.FAILURE:
        _break(instance, run)
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
    finished(instance, dg.DagsterRunStatus.FAILURE, second)
    again, cursor = asked(look(cursor))
    assert again.run_key != second.run_key
    reach = [again.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
    assert reach == ["00", "03"]
    assert "not begun" in skips(look(cursor))
    # The repetition fails too: the next one waits, so that what cannot succeed does not run all night.
    finished(instance, dg.DagsterRunStatus.FAILURE, again)
    assert "the last release failed, and is repeated in " in skips(look(cursor))


def test_the_sensor_repeats_a_repetition_after_a_wait(
    look: Look, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vector_pipeline.assets.owed.LONGEST_WAIT_S", 0)
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


@pytest.mark.parametrize("ended", [[dg.DagsterRunStatus.CANCELED], [dg.DagsterRunStatus.FAILURE, None]])
def test_the_sensor_leaves_alone_what_was_cancelled_or_mended(
    look: Look, instance: dg.DagsterInstance, ended: list[dg.DagsterRunStatus | None]
) -> None:
    first, cursor = asked(look(None))
    for status in ended:
        if status is None:
            finished(instance, dg.DagsterRunStatus.SUCCESS)
        else:
            finished(instance, status, first)
    assert "4 shards, none changed" in skips(look(cursor))


def test_the_sensor_goes_on_counting_after_its_cursor_was_reset(look: Look, instance: dg.DagsterInstance) -> None:
    first, _ = asked(look(None))
    finished(instance, dg.DagsterRunStatus.SUCCESS, first)
    again, _ = asked(look(None))
    assert again.run_key != first.run_key


def test_a_cursor_of_an_earlier_form_is_none(look: Look) -> None:
    _, cursor = asked(look(None))
    for earlier in ({"serial": 3, "retried": None, "shards": json.loads(cursor)["shards"]}, {"00": "a"}):
        request, _ = asked(look(json.dumps(earlier)))
        assert request.tags["vector_pipeline/changed_shards"] == "00 01 02 03"


def shards_of(request: dg.RunRequest) -> str:
    return str(request.tags["vector_pipeline/changed_shards"])


def pages(*shards: int) -> list[int]:
    """A page of each of these shards."""
    return [next(one for one in range(12) if shard_of(f"page{one}.md", 4) == shard) for shard in shards]


def begun(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.DagsterRun:
    """A release of the sensor that goes on."""
    tags = {**request.tags, **OWN}
    return instance.create_run_for_job(_named(), tags=tags, status=dg.DagsterRunStatus.STARTED)


def ends(instance: dg.DagsterInstance, run: dg.DagsterRun, *, well: bool = True) -> None:
    """It ends."""
    if well:
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, RELEASE), run.run_id)
    else:
        _break(instance, run)


def _break(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """As a step that fails breaks it: Dagster runs it again only where its process died."""
    instance.report_run_failed(run)
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})


def test_what_a_failed_run_was_asked_for_outlives_the_success_of_a_later_one(
    look: Look, config: Path, instance: dg.DagsterInstance
) -> None:
    one, other = pages(1, 0)
    request, cursor = asked(look(None))
    finished(instance, dg.DagsterRunStatus.SUCCESS, request)
    edit(config, one)
    first, cursor = asked(look(cursor))
    going = begun(instance, first)
    # What changes meanwhile waits for it, and is not forgotten, not even when it changes back.
    text = (config.parent / "documents" / f"page{other}.md").read_text()
    edit(config, other)
    result = look(cursor)
    assert "waits for the release that is going" in skips(result)
    assert isinstance(result, dg.SensorResult)
    cursor = str(result.cursor)
    (config.parent / "documents" / f"page{other}.md").write_text(text)
    result = look(cursor)
    assert skips(result).startswith("4 shards, 1 changed")
    assert isinstance(result, dg.SensorResult)
    cursor = str(result.cursor)
    ends(instance, going, well=False)
    both, cursor = asked(look(cursor))
    assert shards_of(both) == "00 01 02 03"
    # Somebody else's success over one of the shards does not cover the other one.
    finished(instance, dg.DagsterRunStatus.FAILURE, both)
    narrow = instance.create_run_for_job(_named(), tags={**HERE, **range_tags(0, 0)})
    ends(instance, narrow)
    again, cursor = asked(look(cursor))
    assert shards_of(again) == "00 01 02 03"
    finished(instance, dg.DagsterRunStatus.SUCCESS, again)
    result = look(cursor)
    assert skips(result) == "4 shards, none changed"
    assert isinstance(result, dg.SensorResult)
    assert isinstance(look(result.cursor), dg.SkipReason)


def test_a_success_of_a_run_that_began_before_a_change_does_not_cover_it(
    look: Look, config: Path, instance: dg.DagsterInstance
) -> None:
    (page,) = pages(2)
    request, cursor = asked(look(None))
    going = begun(instance, request)
    edit(config, page)
    result = look(cursor)
    skips(result)
    ends(instance, going)
    assert isinstance(result, dg.SensorResult)
    second, _ = asked(look(result.cursor))
    assert shards_of(second) == "02"


def test_what_was_cancelled_goes_with_the_next_change(look: Look, config: Path, instance: dg.DagsterInstance) -> None:
    one, other = pages(1, 2)
    request, cursor = asked(look(None))
    finished(instance, dg.DagsterRunStatus.SUCCESS, request)
    edit(config, one)
    request, cursor = asked(look(cursor))
    finished(instance, dg.DagsterRunStatus.CANCELED, request)
    assert "somebody cancelled" in skips(look(cursor))
    # A release that ends well over another shard leaves it owed.
    ends(instance, instance.create_run_for_job(_named(), tags={**HERE, **range_tags(3, 3)}))
    assert "somebody cancelled" in skips(look(cursor))
    edit(config, other)
    request, _ = asked(look(cursor))
    assert shards_of(request) == "01 02"


def test_a_run_that_dagster_runs_again_is_not_asked_for_twice(look: Look, instance: dg.DagsterInstance) -> None:
    request, cursor = asked(look(None))
    died = begun(instance, request)
    instance.report_run_failed(died, "its process is gone")
    assert instance.get_run_by_id(died.run_id).tags[WILL_RETRY_TAG] == "true"  # type: ignore[union-attr]
    assert "release that is going" in skips(look(cursor))
    tags = {**request.tags, **OWN}
    again = instance.create_run_for_job(
        _named(), tags=tags, status=dg.DagsterRunStatus.STARTED, parent_run_id=died.run_id, root_run_id=died.run_id
    )
    assert "release that is going" in skips(look(cursor))
    ends(instance, again, well=False)
    # The last of its own attempts failed: now it is the sensor's.
    request, cursor = asked(look(cursor))
    assert request.tags["vector_pipeline/attempt"] == "1"


def test_a_repetition_that_dagster_does_not_begin_is_not_waited_for_forever(
    look: Look, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, cursor = asked(look(None))
    died = begun(instance, request)
    instance.report_run_failed(died, "its process is gone")
    assert instance.get_run_by_id(died.run_id).tags[WILL_RETRY_TAG] == "true"  # type: ignore[union-attr]
    skips(look(cursor))
    monkeypatch.setattr("vector_pipeline.assets.owed.LOST_S", 0)
    asked(look(cursor))


def test_a_request_that_became_no_run_is_repeated(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    first, cursor = asked(look(None))
    assert "not begun" in skips(look(cursor))
    monkeypatch.setattr("vector_pipeline.assets.owed.LOST_S", 0)
    again, _ = asked(look(cursor))
    assert again.run_key != first.run_key


@pytest.mark.parametrize(
    ("parts", "covered"), [(["staging_index"], False), (["raw_documents", "staging_index", "snapshot"], True)]
)
def test_a_part_of_the_chain_covers_nothing(
    look: Look, instance: dg.DagsterInstance, parts: list[str], covered: bool
) -> None:
    request, cursor = asked(look(None))
    finished(instance, dg.DagsterRunStatus.CANCELED, request)
    chosen = {dg.AssetKey(["handbook", one]) for one in parts}

    @dg.multi_asset(specs=[dg.AssetSpec(one) for one in chosen])
    def chain():  # type: ignore[no-untyped-def]
        """Only the run's record matters."""

    job = dg.Definitions([chain], jobs=[dg.define_asset_job(RELEASE)]).resolve_job_def(RELEASE)
    run = instance.create_run_for_job(job, tags={**request.tags, **HERE}, asset_selection=frozenset(chosen))
    ends(instance, run)
    assert ("cancelled" not in skips(look(cursor))) is covered


def test_a_run_that_went_on_covers_what_its_beginning_read(
    look: Look, config: Path, instance: dg.DagsterInstance
) -> None:
    (page,) = pages(3)
    request, cursor = asked(look(None))
    broke = begun(instance, request)
    edit(config, page)
    result = look(cursor)
    assert isinstance(result, dg.SensorResult)
    cursor = str(result.cursor)
    ends(instance, broke, well=False)
    # Somebody lets it go on from the step that failed: the page was changed after its documents were read.
    plan = create_execution_plan(_named(), step_keys_to_execute=["nothing"])
    went_on = instance.create_run_for_job(
        _named(), plan, tags=broke.tags, parent_run_id=broke.run_id, root_run_id=broke.run_id
    )
    ends(instance, went_on)
    request, _ = asked(look(cursor))
    assert shards_of(request) == "03"


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
    monkeypatch.setattr("vector_pipeline.assets.steps.FIRST_WAIT_S", 0.01)

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
