"""Policy in Dagster: what only warns is seen and stops nothing; what a person lets past is beside the asset."""

from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import write_project
from tests.support.gates import say_passed
from vector_pipeline.definitions import run_job
from vector_pipeline.resources.project import open_project

STAGING, PRODUCTION = "handbook/tiny/staging_index", "handbook/production_index"
BAD = "canaries: [{query: 'page 1', expect: [nowhere.md], k: 3}]\n"


def make(folder: Path, modes: str, policy: str = "manual") -> Path:
    config = write_project(folder, 3, shards=2, gates=f"canaries: canaries.yaml, modes: {{{modes}}}", policy=policy)
    (folder / "canaries.yaml").write_text(BAD, encoding="utf-8")
    return config


@pytest.mark.slow
def test_a_gate_that_only_warns_fails_softly_and_the_chain_goes_on(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    config = make(tmp_path / "soft", "canary_retrieval: warn, coverage: warn", policy="automatic")
    outcome = run_job(config, "handbook", "release", instance=instance)
    assert (outcome.success, outcome.messages) == (True, [])
    check = outcome.values[f"{STAGING}:canary_retrieval"]
    assert (check["passed"], check["status"]) == (False, "warned")
    assert outcome.values[f"{STAGING}:coverage"]["passed"] is True
    key = dg.AssetCheckKey(dg.AssetKey(STAGING.split("/")), "canary_retrieval")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    evaluation = record.event.asset_check_evaluation if record.event is not None else None
    assert evaluation is not None
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert {"passed", "total"} <= set(evaluation.metadata), "numbers stand by themselves"
    assert not {"charts", "answers"} & set(evaluation.metadata["detail"].value)
    production = open_project(config).status("handbook").production
    assert production is not None
    assert production.deployment.version == 1


@pytest.mark.slow
def test_a_person_lets_a_version_past_a_gate_and_it_stands_beside_the_asset(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    config = make(tmp_path / "strict", "")
    core = open_project(config)
    core.build("handbook")
    say_passed(core, core.push("handbook").deployment, index=True)
    core.verify("handbook", only=["canary retrieval"])
    words = {"override": ["canary_retrieval"], "reason": "nowhere.md comes tomorrow"}
    refused = run_job(config, "handbook", "promote", instance=instance, config={"override": words["override"]})
    assert not refused.success
    assert "wants a reason" in refused.messages[0]
    done = run_job(config, "handbook", "promote", instance=instance, config={**words, "by": "ann"})
    assert done.success, done.messages
    value = done.values[PRODUCTION]
    assert (value["moved"], value["self_check_passed"]) == (True, True)
    event = instance.get_latest_materialization_event(dg.AssetKey(PRODUCTION.split("/")))
    assert event is not None
    assert event.asset_materialization is not None
    shown = event.asset_materialization.metadata["overridden"].value
    assert "| canary retrieval | failed |" in str(shown)
    assert "nowhere.md comes tomorrow" in str(shown)
