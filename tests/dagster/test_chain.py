"""The chain as Dagster runs it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from tests.dagster.conftest import edit, make_config, materialised, opened
from tests.dagster.test_automation import finished, skips
from tests.support.gates import FEW
from tests.support.statements import looked_whole, record_statements
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import job_name
from vector_pipeline.definitions import RunOutcome, run_job
from vector_pipeline.errors import InputError, NotFoundError
from vector_pipeline.hashing import shard_of
from vector_pipeline.resources import ProjectResource
from vector_pipeline.resources.project import open_project

SHARDED = {"handbook/raw_documents", "handbook/tiny/chunks", "handbook/tiny/embeddings"}
HEAVY = (
    "torch",
    "sentence_transformers",
    "great_expectations",
    "chromadb",
    "pinecone",
    "vector_pipeline.trace",
    "vector_pipeline.serving",
)
ALL = {f"{shard:02d}" for shard in range(4)}
S = "handbook/tiny/snapshot"
STAGING = "handbook/tiny/staging_index"


@dataclass
class Ready:
    """A project whose first version is in production, and what the runs said."""

    config: Path
    instance: dg.DagsterInstance
    outcomes: dict[str, RunOutcome] = field(default_factory=dict)

    def run(self, verb: str, /, **settings: object) -> RunOutcome:
        return run_job(self.config, "handbook", verb, config=settings, instance=self.instance)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """Shared by the tests of this file, in their order: those that change something come last."""
    folder = tmp_path_factory.mktemp("ready")
    with opened(folder / "dagster") as instance:
        made = Ready(make_config(folder / "project", gates=FEW), instance)
        made.outcomes["build"] = made.run("build", message="first")
        made.outcomes["push"] = made.run("push", by="me")
        made.outcomes["promote"] = made.run("promote", by="me", reason="because")
        yield made


def test_metadata_says_what_happened(ready: Ready) -> None:
    built = ready.outcomes["build"].values
    documents = built["handbook/raw_documents"]
    assert (documents["listed"], documents["added"], documents["documents"]) == (12, 12, 12)
    assert "page1.md" in documents["sample"]
    assert built["handbook/tiny/chunks"]["documents_chunked"] == 12
    assert built["handbook/tiny/embeddings"]["embedded"] == built["handbook/tiny/embeddings"]["vectors"]
    snapshot = built[S]
    assert (snapshot["version"], snapshot["made_now"], snapshot["message"]) == (1, True, "first")
    assert "| records |" in snapshot["diff"]
    assert "page0.md" in snapshot["examples"]
    pushed = ready.outcomes["push"].values
    assert pushed[STAGING]["written"] == snapshot["records"] == pushed[STAGING]["records"]
    assert pushed[STAGING]["digest"] == snapshot["digest"]
    checks = {name.partition(":")[2]: value["passed"] for name, value in pushed.items() if ":" in name}
    assert checks == {"expectations_of_version": True, "coverage": True, "canary_retrieval": True}
    promoted = ready.outcomes["promote"].values["handbook/production_index"]
    assert (promoted["moved"], promoted["by"], promoted["version"]) == (True, "me", 1)
    assert "because" in promoted["history"]
    per_shard = {
        record.partition_key: record.asset_materialization.metadata
        for record in ready.instance.fetch_materializations(
            dg.AssetKey(["handbook", "raw_documents"]), limit=10
        ).records
        if record.asset_materialization is not None
    }
    assert sum(int(str(one["shard_documents"].value)) for one in per_shard.values()) == 12
    assert all(one["seconds"].value is not None and one["shard_digest"].value for one in per_shard.values())


@pytest.mark.slow
def test_a_second_run_finds_nothing_to_do(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    project, run = open_project(ready.config), ready.run
    before, tables = project.lake().snapshot_id(), project.tables("handbook")
    with monkeypatch.context() as patched:
        said = record_statements(patched)
        again = run("build")
    # What the source lists is compared with what the lake has of it, and that is all that is looked at.
    assert said
    assert [sql for sql in looked_whole(said, tables) if tables.dataset.items not in sql] == []
    assert again.success
    assert materialised(ready.instance, again.run_id) == {S: {None}}
    assert (again.values[S]["made_now"], again.values[S]["version"]) == (False, 1)
    checks = {name: value for name, value in again.values.items() if ":" in name}
    assert len(checks) == 3
    assert all("nothing has changed" in value["reused"] for value in checks.values())
    # What is planned, begins, gives something, is told and ends, of an asset and three checks; no shard has an event.
    told = [entry for entry in ready.instance.all_logs(again.run_id) if entry.is_dagster_event]
    assert len(told) <= 5 * 4 + 8, [entry.dagster_event_type for entry in told]
    pushed = run("push").values[STAGING]
    assert (pushed["written"], pushed["closed"], pushed["requests"]) == (0, 0, 0)
    promoted = run("promote").values["handbook/production_index"]
    assert (promoted["moved"], promoted["outcome"]) == (False, "nothing to do: production serves version 1 already")
    assert project.lake().snapshot_id() == before


@pytest.mark.slow
def test_a_run_that_finds_nothing_to_do_loads_nothing_heavy(ready: Ready) -> None:
    program = f"""
import sys
from pathlib import Path
from vector_pipeline.definitions import run_job
assert run_job(Path({str(ready.config)!r}), "handbook", "build").success
assert run_job(Path({str(ready.config)!r}), "handbook", "release").success
heavy = {HEAVY!r}
print("LOADED", [name for name in sys.modules if name.startswith(heavy)])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["LOADED []"], done.stdout + done.stderr


@pytest.mark.slow
def test_a_changed_file_costs_its_shard(ready: Ready) -> None:
    edit(ready.config, 3)
    outcome = ready.run("build")
    shard = f"{shard_of('page3.md', 4):02d}"
    assert materialised(ready.instance, outcome.run_id) == {**{key: {shard} for key in SHARDED}, S: {None}}
    assert outcome.values["handbook/raw_documents"]["changed"] == 1
    assert outcome.values["handbook/tiny/chunks"]["documents_chunked"] == 1
    assert outcome.values["handbook/tiny/embeddings"]["embedded"] == 1
    assert outcome.values[S]["version"] == 2


def test_the_sensor_asks_for_one_run_that_covers_what_changed(ready: Ready) -> None:
    instance, config = ready.instance, ready.config
    definitions = project_definitions(config)
    sensor = definitions.resolve_sensor_def("handbook__changes")

    def look(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, definitions=definitions,
            resources={"project": ProjectResource(config_path=str(config))},
        )  # fmt: skip
        result = sensor(context)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    first = look(None)
    assert isinstance(first, dg.SensorResult)
    assert [(one.tags["dagster/asset_partition_range_start"], one.tags["dagster/asset_partition_range_end"])
            for one in first.run_requests or ()] == [("00", "03")]  # fmt: skip
    assert isinstance(look(first.cursor), dg.SkipReason)

    finished(instance, dg.DagsterRunStatus.SUCCESS, first.run_requests[0])  # type: ignore[index]
    edit(config, 5)
    second = look(first.cursor)
    assert isinstance(second, dg.SensorResult)
    requests = second.run_requests or []
    assert len(requests) == 1
    shard = f"{shard_of('page5.md', 4):02d}"
    assert requests[0].tags["vector_pipeline/changed_shards"] == shard
    job = definitions.resolve_job_def(job_name("handbook", "release"))
    result = job.execute_in_process(instance=instance, tags=dict(requests[0].tags))
    assert result.success
    made = materialised(instance, result.run_id)
    assert {made[name] == {shard} for name in SHARDED} == {True}
    assert STAGING in made
    assert skips(look(second.cursor)) == "4 shards, none changed"

    (config.parent / "documents" / "page5.md").unlink()
    third = look(second.cursor)
    assert isinstance(third, dg.SensorResult)
    assert [one.tags["vector_pipeline/changed_shards"] for one in third.run_requests or ()] == [shard]
    assert len({first.run_requests[0].run_key, second.run_requests[0].run_key, third.run_requests[0].run_key}) == 3  # type: ignore[index]


@pytest.mark.slow
def test_a_range_of_shards_is_one_run_and_the_others_stay_undone(instance: dg.DagsterInstance, config: Path) -> None:
    job = project_definitions(config).resolve_job_def(job_name("handbook", "build"))
    tags = {"dagster/asset_partition_range_start": "01", "dagster/asset_partition_range_end": "02"}
    result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    made = materialised(instance, result.run_id)
    assert made == {key: {"01", "02"} for key in SHARDED} | {S: {None}}
    held = [row["shard"] for row in open_project(config).documents("handbook")]
    assert set(held) <= {1, 2}
    whole = run_job(config, "handbook", "build", instance=instance)
    assert whole.values["handbook/raw_documents"]["documents"] == 12


@pytest.mark.slow
def test_a_project_built_without_dagster_is_shown_whole_by_the_first_run(
    instance: dg.DagsterInstance, config: Path
) -> None:
    open_project(config).build("handbook")
    outcome = run_job(config, "handbook", "build", instance=instance)
    assert materialised(instance, outcome.run_id)["handbook/raw_documents"] == ALL
    assert (outcome.values["handbook/tiny/embeddings"]["embedded"], outcome.values[S]["made_now"]) == (0, False)


def test_unknown_settings_and_datasets_are_errors_before_any_run(instance: dg.DagsterInstance, config: Path) -> None:
    with pytest.raises(InputError, match="build has no setting 'to'"):
        run_job(config, "handbook", "build", instance=instance, config={"to": 3})
    with pytest.raises(NotFoundError, match="no dataset 'elsewhere'"):
        run_job(config, "elsewhere", "build", instance=instance)
    assert instance.get_runs() == []
