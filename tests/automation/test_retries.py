"""What does not answer is asked again inside of a run; what says no is not. One step at a time writes to a target."""

import uuid
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRun
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from tests.dagster.conftest import make_config
from tests.support.gates import FEW
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import PROCESS_TAG, job_name
from vector_pipeline.assets.steps import RETRIES, step
from vector_pipeline.errors import RefusedError, UnavailableError, VectorPipelineError


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vector_pipeline.assets.steps.FIRST_WAIT_S", 0.01)


def attempts(
    instance: dg.DagsterInstance, error: VectorPipelineError, fails: int, **tags: str
) -> tuple[int, bool, str]:
    """How often a step that fails so often was tried, whether the run succeeded, and what its failure says."""
    tried = []

    @dg.op
    def asks(context: dg.OpExecutionContext) -> None:
        with step(context):
            tried.append(context.retry_number)
            if len(tried) <= fails:
                raise error

    @dg.job(executor_def=dg.in_process_executor)
    def work() -> None:
        asks()

    result = work.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    failures = [one.step_failure_data for one in result.all_events if one.is_step_failure]
    said = failures[0].user_failure_data.description if failures and failures[0].user_failure_data else ""
    return len(tried), result.success, str(said)


@pytest.mark.slow
def test_what_does_not_answer_is_asked_again(instance: dg.DagsterInstance) -> None:
    away = UnavailableError("the target does not answer", fix="Try again")
    assert attempts(instance, away, 2) == (3, True, "")
    # In the end it is told as ever.
    assert attempts(instance, away, 99) == (RETRIES + 1, False, "the target does not answer. Try again")
    # Somebody who sits at a terminal decides alone.
    assert attempts(instance, away, 99, **{PROCESS_TAG: "host/1"})[0] == 1


def test_what_says_no_is_not_asked_again(instance: dg.DagsterInstance) -> None:
    assert attempts(instance, RefusedError("a guard forbids it"), 1) == (1, False, "a guard forbids it")


def test_a_run_whose_process_died_is_run_again_as_a_whole(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 2
    assert instance.run_retries_retry_on_asset_or_op_failure is False
    definitions = project_definitions(make_config(tmp_path / "project", gates=FEW))
    assert definitions.resolve_job_def(job_name("handbook", "release")).tags["dagster/retry_strategy"] == "ALL_STEPS"


def test_one_step_at_a_time_writes_to_a_target(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    config = make_config(tmp_path / "project", gates=FEW)
    for only, pool in ((None, "index_local"), ("handbook", None)):
        graph = project_definitions(config, only=only).resolve_asset_graph()
        for name in ("tiny/staging_index", "production_index"):
            key = dg.AssetKey(["handbook", *name.split("/")])
            assert graph.assets_def_for_key(key).node_def.pools == ({pool} if pool else set())
    # A pool that nobody has seen before has its limit from the first moment; what a run holds is free when its step has ended.
    runs = [DagsterRun(name, run_id=str(uuid.uuid4())) for name in ("one", "two")]
    with (
        InstanceConcurrencyContext(instance, runs[0]) as first,
        InstanceConcurrencyContext(instance, runs[1]) as second,
    ):
        assert first.claim("index_local", "push")
        assert not second.claim("index_local", "push")
    storage = instance.event_log_storage
    assert storage.get_concurrency_info("index_local").slot_count == 1
    storage.free_concurrency_slots_for_run(runs[0].run_id)
    with InstanceConcurrencyContext(instance, runs[1]) as second:
        assert second.claim("index_local", "push")
