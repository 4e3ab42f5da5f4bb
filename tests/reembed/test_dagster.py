"""Two spaces in Dagster: what a release does to the one that is filled, what a re-embedding runs, and cutting over."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import page
from tests.dagster.conftest import edit, make_config, materialised, opened
from tests.reembed.test_filling import OTHER, with_space
from tests.support.gates import FEW
from tests.ui import dagster_ui as dagster
from vector_pipeline.assets.names import DATASET_TAG, FILL_TAG
from vector_pipeline.definitions import RunOutcome, run_job
from vector_pipeline.hashing import shard_of
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Alias
from vector_pipeline.resources.project import close_projects, open_project

GATES = FEW.replace("catch_up: off, ", "").replace(", catch_up: off", "")
CHUNKS, EMBEDDINGS = "handbook/other/chunks", "handbook/other/embeddings"
SNAPSHOT, STAGING = "handbook/other/snapshot", "handbook/other/staging_index"
FIRST = shard_of("page3.md", 4)
"""The shard that is filled before the others."""
OUTSIDE = next(n for n in range(12) if shard_of(f"page{n}.md", 4) != FIRST)
"""A document of another one."""


@dataclass
class Ready:
    """A project whose space ``tiny`` is in production, with a space ``other`` beside it."""

    config: Path
    instance: dg.DagsterInstance
    outcomes: dict[str, RunOutcome] = field(default_factory=dict)

    def run(self, verb: str, /, **settings: object) -> RunOutcome:
        outcome = run_job(self.config, "handbook", verb, config=settings, instance=self.instance)  # type: ignore[arg-type]
        assert outcome.success, outcome.messages
        return outcome

    def made(self, outcome: RunOutcome, space: str = "other") -> dict[str, set[str | None]]:
        """What a run materialised of a space."""
        found = materialised(self.instance, outcome.run_id)
        return {key: parts for key, parts in found.items() if key.startswith(f"handbook/{space}/")}

    def alias(self, name: str) -> Alias | None:
        return open_project(self.config).registry().alias("handbook", "dev", name)

    def served(self) -> tuple[int, str]:
        """Version and space that production serves."""
        alias = self.alias("production")
        assert alias is not None
        return alias.deployment.version, alias.deployment.space


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """Shared by the tests of this file, in their order: each goes on where the one before ended."""
    folder = tmp_path_factory.mktemp("ready")
    with opened(folder / "dagster") as instance:
        made = Ready(with_space(make_config(folder / "project", gates=GATES)), instance)
        made.outcomes["first"] = made.run("release")
        made.run("promote", by="me", reason="first")
        yield made


def test_a_release_fills_nothing(ready: Ready) -> None:
    assert ready.made(ready.outcomes["first"]) == {}
    edit(ready.config, OUTSIDE)
    second = ready.run("release")
    assert ready.made(second) == {}
    shard = f"{shard_of(f'page{OUTSIDE}.md', 4):02d}"
    assert ready.made(second, "tiny")["handbook/tiny/chunks"] == {shard}, "and covers what changed, no more"
    project = open_project(ready.config)
    assert {one.space for one in project.versions("handbook")} == {"tiny"}
    assert project.unfilled("handbook", "other") == 4
    ready.run("promote", by="me", reason="second")


@pytest.mark.slow
def test_a_shard_is_filled_and_caught_up_by_the_next_release(ready: Ready) -> None:
    part = ready.run("reembed", space="other", shards=[FIRST])
    key = f"{FIRST:02d}"
    assert ready.made(part) == {CHUNKS: {key}, EMBEDDINGS: {key}}
    assert part.values[EMBEDDINGS]["shards_to_fill"] == 3
    assert not [name for name in part.values if "expectations" in name], "nothing is said of what is filled in part"
    tags = ready.instance.get_run_by_id(part.run_id).tags  # type: ignore[union-attr]
    assert tags[FILL_TAG] == "handbook"
    assert DATASET_TAG not in tags, "the dataset's releases would wait for it in the queue"

    edit(ready.config, 3)
    both = ready.run("release")
    made = materialised(ready.instance, both.run_id)
    of_shards = [
        f"handbook/{one}"
        for one in ("raw_documents", "tiny/chunks", "tiny/embeddings", "other/chunks", "other/embeddings")
    ]
    assert [made[name] for name in of_shards] == [{key}] * len(of_shards)
    assert SNAPSHOT not in made
    status = open_project(ready.config).fill_status("handbook", "other")
    assert [one.status == "done" for one in status.shards] == [shard == FIRST for shard in range(4)]

    (ready.config.parent / "documents" / f"page{OUTSIDE}.md").unlink()
    assert ready.made(ready.run("release")) == {}


@pytest.mark.slow
def test_a_reembedding_ends_in_a_judged_version_beside_production(ready: Ready) -> None:
    ready.run("promote", by="me", reason="third")
    before = {name: ready.alias(name) for name in ("staging", "production")}
    outcome = ready.run("reembed", space="other", message="another model")
    made = ready.made(outcome)
    assert set(made) == {CHUNKS, EMBEDDINGS, SNAPSHOT, STAGING}
    assert made[EMBEDDINGS] >= {f"{shard:02d}" for shard in range(4) if shard != FIRST}
    snapshot, pushed = outcome.values[SNAPSHOT], outcome.values[STAGING]
    assert (snapshot["space"], snapshot["documents"], snapshot["message"]) == ("other", 11, "another model")
    assert pushed["records"] == snapshot["records"] == pushed["written"]
    gate = outcome.values[f"{STAGING}:catch_up"]
    assert (gate["passed"], gate["served"], gate["missing"], gate["pending"]) == (True, 11, 0, 0)
    for check in ("chunks", "embeddings"):
        judged = outcome.values[f"handbook/other/{check}:{check}_expectations"]
        assert (judged["passed"], judged["status"]) == (True, "passed"), "by the run that makes the version"
    assert {name: ready.alias(name) for name in before} == before
    ready.outcomes["reembed"] = outcome


@pytest.mark.slow
def test_a_reembedding_of_what_is_whole_does_nothing_twice(ready: Ready) -> None:
    again = ready.run("reembed", space="other")
    assert ready.made(again) == {SNAPSHOT: {None}, STAGING: {None}}
    assert again.values[SNAPSHOT]["made_now"] is False
    assert again.values[STAGING]["written"] == 0


@pytest.mark.slow
def test_the_configuration_cuts_over_and_back(ready: Ready) -> None:
    number = int(ready.outcomes["reembed"].values[SNAPSHOT]["version"])
    old, space = ready.served()
    assert space == "tiny"
    ready.config.write_text(ready.config.read_text().replace("serving: tiny", "serving: other"))
    close_projects()
    pushed = ready.run("push").values[STAGING]
    assert (pushed["version"], pushed["written"], pushed["closed"]) == (number, 0, 0)
    promoted = ready.run("promote", by="me", reason="another model").values["handbook/production_index"]
    assert (promoted["moved"], promoted["version"], promoted["space"]) == (True, number, "other")
    assert ready.served() == (number, "other")
    back = ready.run("promote", verb="rollback", by="me", reason="to try it").values["handbook/production_index"]
    assert (back["version"], back["space"]) == (old, "tiny")
    forth = ready.run("promote", version=number, by="me", reason="forth").values["handbook/production_index"]
    assert (forth["version"], forth["space"]) == (number, "other")
    # The old space is kept up to date until it is retired: going back loses no edit.
    before = {one.number for one in open_project(ready.config).versions("handbook")}
    (ready.config.parent / "documents" / "page3.md").write_text(page(300))
    made = materialised(ready.instance, ready.run("release").run_id)
    assert made[EMBEDDINGS] == made["handbook/tiny/embeddings"] == {f"{FIRST:02d}"}
    after = [one.space for one in open_project(ready.config).versions("handbook") if one.number not in before]
    assert sorted(after) == ["other", "tiny"]


@pytest.mark.slow
def test_a_release_goes_on_where_a_budget_refuses_to_catch_up(tmp_path: Path) -> None:
    config = with_space(make_config(tmp_path / "project", gates=GATES), more="    reembed: {max_texts: 12}\n")
    with Project.load(config) as project:
        project.build("handbook")
        project.fill("handbook", "other")
        project.snapshot("handbook", space="other")
    config.write_text(config.read_text().replace("max_texts: 12", "max_texts: 1"))
    for number in (3, OUTSIDE):
        edit(config, number)
    with opened(tmp_path / "dagster") as instance:
        ready = Ready(config, instance)
        outcome = ready.run("release")
        made = ready.made(outcome)
        assert set(made) == {CHUNKS}
        assert set(ready.made(outcome, "tiny")) >= {"handbook/tiny/embeddings", "handbook/tiny/snapshot"}
        (told,) = instance.fetch_observations(dg.AssetKey(EMBEDDINGS.split("/")), limit=5).records
        refused = told.asset_observation.metadata["refused"].value  # type: ignore[union-attr]
        assert "2 texts of handbook would be embedded in space other, more than its budget of 1" in str(refused)
        assert "--over-budget" in str(refused)
        project = open_project(config)
        status = project.fill_status("handbook", "other")
        assert {one.error for one in status.shards if one.status == "failed"} == {refused}
        assert project.unfilled("handbook", "other") == 0
        ready.run("reembed", space="other", over_budget=True)
        assert open_project(config).fill_status("handbook", "other").whole


@pytest.mark.slow
def test_what_was_retired_or_changed_under_its_name_is_shown_no_more(tmp_path: Path) -> None:
    config = with_space(make_config(tmp_path / "project", gates=GATES))
    with Project.load(config) as project:
        project.build("handbook")
    with opened(tmp_path / "dagster") as instance:
        ready = Ready(config, instance)

        def shown() -> list[set[str]]:
            keys = [dg.AssetKey(key.split("/")) for key in (CHUNKS, EMBEDDINGS)]
            return [instance.get_materialized_partitions(key) for key in keys]

        ready.run("reembed", space="other", shards=[0])
        before = open_project(config).space("handbook", "other").fingerprint
        assert shown() == [{"00"}] * 2
        config.write_text(config.read_text().replace("model: another", "model: the next"))
        ready.run("reembed", space="other", shards=[1])
        assert shown() == [{"01"}] * 2, "what is called so now has no other shard"
        ready.run("reembed", space="other", shards=[2])
        assert shown() == [{"01", "02"}] * 2
        ready.run("retire", space="other", fingerprint=before, dry_run=False, by="me")
        assert shown() == [{"01", "02"}] * 2, "that one is shown no more"
        both = config.read_text()
        config.write_text("".join(both.split(SECOND)))
        ready.run("retire", space="other", dry_run=True, by="me")
        assert shown() == [{"01", "02"}] * 2
        ready.run("retire", space="other", dry_run=False, by="me")
        assert shown() == [set()] * 2
        config.write_text(both)
        ready.run("reembed", space="other", shards=[3])
        assert shown() == [{"03"}] * 2


SECOND = OTHER.replace("another", "the next")
LAUNCH = """mutation($shards: [String!], $assets: [AssetKeyInput!], $tags: [ExecutionTag!]) {
  launchPartitionBackfill(backfillParams: {partitionNames: $shards, assetSelection: $assets, tags: $tags})
  { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backfill_over_dagsters_api_fills_in_several_runs(tmp_path: Path) -> None:
    config = with_space(make_config(tmp_path, gates=GATES))
    with Project.load(config) as project:
        project.build("handbook")
        project.push("handbook")
        project.verify("handbook", only=project.gates_of("handbook", "local"))
        project.promote("handbook", by="me", reason="first")
    with dagster.served(config) as ui:

        def launch(assets: tuple[str, ...], *shards: str) -> list[str]:
            """Of the runs that a backfill took, how each ended."""
            known = {run["id"] for run in ui.runs()}
            answer = ui.ask(
                LAUNCH, shards=shards, assets=[{"path": key.split("/")} for key in assets],
                tags=[{"key": FILL_TAG, "value": "handbook"}],
            )["launchPartitionBackfill"]  # fmt: skip
            assert answer["__typename"] == "LaunchBackfillSuccess", answer
            ui.wait_for_backfills(timeout_s=600)
            return [run["status"] for run in ui.wait_for_runs(known)]

        # Scattered shards: a run each, two at once.
        assert launch((CHUNKS, EMBEDDINGS), "00", "02") == ["SUCCESS"] * 2
        with Project.load(config) as project:
            states = [one.status for one in project.fill_status("handbook", "other").shards]
            assert states == ["done", "pending", "done", "pending"]
            assert [one.space for one in project.versions("handbook")] == ["tiny"]
        # And one run of what has no shards.
        assert launch((CHUNKS, EMBEDDINGS, SNAPSHOT, STAGING), "01", "03") == ["SUCCESS"] * 3
        assert {one["status"] for one in ui.backfills()} == {"COMPLETED_SUCCESS"}
    with Project.load(config) as project:
        assert project.fill_status("handbook", "other").whole
        newest = project.version("handbook", None, "other")
        deployment = project.deployment_of(newest)
        verdicts = {one.check: one.status.value for one in project.registry().verdicts(deployment.id)}
        assert verdicts["catch up"] == "passed"
        alias = project.status("handbook").production
        assert alias is not None
        assert alias.deployment.space == "tiny"
