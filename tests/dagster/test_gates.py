"""What stops a release, and what a person who goes around it meets."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import write_project
from tests.dagster.conftest import Run, break_documents, edit, make_config, materialised
from vector_pipeline.definitions import run_job
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.resources.project import open_project

STAGING = "handbook/tiny/staging_index"
PRODUCTION = "handbook/production_index"
SNAPSHOT = "handbook/tiny/snapshot"
SHARDED = {"handbook/raw_documents", "handbook/tiny/chunks", "handbook/tiny/embeddings"}
SHARDS = {f"{shard:02d}" for shard in range(4)}


def served(config: Path) -> int:
    """Version that production serves."""
    alias = open_project(config).status("handbook").production
    assert alias is not None
    return alias.deployment.version


def test_one_run_carries_the_whole_chain_and_a_bad_release_no_further_than_staging(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    config = make_config(tmp_path / "auto", policy="automatic")
    good = run_job(config, "handbook", "release", instance=instance, config={"message": "the first"})
    assert (good.success, good.messages) == (True, [])
    made = materialised(instance, good.run_id)
    assert {name: parts for name, parts in made.items() if len(parts) > 1} == dict.fromkeys(SHARDED, SHARDS)
    assert set(made) - SHARDED == {SNAPSHOT, STAGING, PRODUCTION}
    version = open_project(config).version("handbook")
    assert (version.number, version.message, version.run_id) == (1, "the first", good.run_id)
    assert served(config) == 1
    for name in (SNAPSHOT, STAGING, PRODUCTION):
        event = instance.get_latest_materialization_event(dg.AssetKey(name.split("/")))
        assert event is not None
        assert event.asset_materialization is not None
        assert (event.asset_materialization.tags or {})["dagster/data_version"] == version.digest

    break_documents(config)
    bad = run_job(config, "handbook", "release", instance=instance)
    assert not bad.success
    made = materialised(instance, bad.run_id)
    assert STAGING in made
    assert PRODUCTION not in made
    assert bad.values[f"{STAGING}:canary_retrieval"]["passed"] is False
    assert bad.values[f"{STAGING}:coverage"]["passed"] is True
    assert bad.errors == []
    assert any("canary_retrieval" in message for message in bad.messages)
    assert served(config) == 1

    # A person who materialises production alone is refused by the registry, in the same words as on the command line.
    alone = run_job(config, "handbook", "promote", instance=instance, config={"by": "me"})
    assert not alone.success
    assert [type(error) for error in alone.errors] == [RefusedError]
    assert "canary retrieval" in str(alone.errors[0])
    assert alone.messages == [str(alone.errors[0])]
    assert served(config) == 1

    # Verdicts are for a version, and can be asked again: staging holds version 2.
    assert not run_job(config, "handbook", "verify", instance=instance).success
    again = run_job(config, "handbook", "verify", instance=instance, config={"version": 1})
    assert again.success
    assert again.values[f"{STAGING}:coverage"]["version"] == 1


@pytest.mark.slow
def test_a_rollback_is_a_run_and_writes_nothing(run: Run, config: Path) -> None:
    for number in (3, 4):
        for verb in ("build", "push", "promote"):
            assert run(verb).success
        edit(config, number)
    assert served(config) == 2
    project = open_project(config)
    target = project.target("handbook", read_only=True)
    namespace = project.deployment_of(project.version("handbook", 1)).namespace
    before = target.describe(namespace)
    back = run("promote", verb="rollback", to=1, by="me", reason="too good")
    assert back.success
    value = back.values[PRODUCTION]
    assert (value["outcome"], value["moved"], value["version"]) == ("rolled back to version 1", True, 1)
    assert target.describe(namespace) == before
    assert served(config) == 1
    none = run("promote", verb="rollback", to=9)
    assert [type(error) for error in none.errors] == [NotFoundError]


@pytest.mark.slow
def test_a_failed_data_check_stops_the_chain_early(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    config = make_config(tmp_path / "strict", gates="min_text_chars: 5000")
    outcome = run_job(config, "handbook", "build", instance=instance)
    assert not outcome.success
    assert outcome.values["handbook/tiny/chunks:chunks_expectations"]["passed"] is False
    assert set(materialised(instance, outcome.run_id)) == {"handbook/raw_documents", "handbook/tiny/chunks"}
    # It has not passed since, so the next run stops at the same place.
    assert not run_job(config, "handbook", "build", instance=instance).success


@pytest.mark.slow
def test_damaged_vectors_make_no_version_even_when_no_shard_has_work(
    instance: dg.DagsterInstance, run: Run, config: Path
) -> None:
    assert run("build").success
    project = open_project(config)
    edit(config, 3)
    for step in (project.sync, project.chunk, project.embed):
        step("handbook")
    lake, table = project.lake(), project.tables("handbook").embeddings
    lake.transaction(lambda: lake.run(f"UPDATE {table} SET vector = list_transform(vector, x -> x * 2)"), "damage")
    outcome = run("build")
    assert not outcome.success
    assert outcome.values["handbook/tiny/embeddings:embeddings_expectations"]["passed"] is False
    assert materialised(instance, outcome.run_id) == {}
    assert [version.number for version in project.versions("handbook")] == [1]


@pytest.mark.slow
def test_a_dataset_without_canaries_passes_with_a_warning(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    config = write_project(tmp_path / "plain", 4, policy="automatic")
    outcome = run_job(config, "handbook", "release", instance=instance)
    assert outcome.success
    check = outcome.values[f"{STAGING}:canary_retrieval"]
    assert (check["passed"], check["status"]) == (True, "warned")
    assert served(config) == 1


@pytest.mark.slow
def test_an_unreadable_source_is_one_line(run: Run, config: Path) -> None:
    assert run("build").success
    shutil.rmtree(config.parent / "documents")
    outcome = run("build")
    assert not outcome.success
    assert len(outcome.errors) == 1
    assert "does not exist" in str(outcome.errors[0])
    assert outcome.messages == [str(outcome.errors[0])]
