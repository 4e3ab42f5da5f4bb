"""Previews beside staging and production, on one index and in one lake."""

import contextlib
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ci.conftest import DATASET, change, traces
from tests.conftest import page
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.project.preview_inside import Inside
from vector_pipeline.project.previewing import Previews
from vector_pipeline.release.preview import Budget, require_name
from vector_pipeline.release.promote import PRODUCTION, STAGING
from vector_pipeline.release.registry import engine
from vector_pipeline.report.page.facts import Missing
from vector_pipeline.serving import open_index

ONE, TWO = "pr-1-4f2a9c1", "pr-2-77aa001"


def everything(project: Project) -> dict[str, object]:
    """What releases and readers see of a dataset."""
    lake, registry = project.lake(read_only=True), project.registry(read_only=True)
    tables = project.tables(DATASET)
    names = [one.namespace for one in registry.deployments(DATASET)]
    target = project.target_named("local", read_only=True)
    with open_index(DATASET, project=project.base / "vector_pipeline.yaml") as index:
        answers = [(hit.id, hit.document, hit.score) for hit in index.query("item1x3 of page 1", top_k=10)]
    plan = project.plan(DATASET, goal="production")
    return {
        "aliases": [registry.alias(DATASET, project.environment, name) for name in (STAGING, PRODUCTION)],
        "versions": registry.versions(DATASET),
        "deployments": registry.deployments(DATASET),
        "marks": {name: state.mark for name in names if (state := target.describe(name)) is not None},
        "rows": [lake.row(f"SELECT count(*), max(snapshot_id) FROM {one}")
                 for one in (tables.dataset.documents, tables.chunks, tables.embeddings)],
        "answers": answers,
        "plan": (plan.identity(), plan.cost, plan.alternatives),
        "throughput": registry.throughput("local", project.environment),
    }  # fmt: skip


def test_two_at_once_leak_nothing_into_each_other_or_into_production(released: Project, tmp_path: Path) -> None:
    before = everything(released)
    other = tmp_path / "other job"
    (other / "documents").mkdir(parents=True)
    text = (released.base / "vector_pipeline.yaml").read_text()
    state = released.base / ".vector_pipeline"
    text += f"""
environments:
  dev:
    lake: {{catalog: "sqlite:///{state}/lake/catalog.sqlite", data: "{state}/lake/data"}}
    registry: "sqlite:///{state}/registry.sqlite"
    targets: {{local: {{path: "{state}/index"}}}}
"""
    (other / "vector_pipeline.yaml").write_text(text)
    for number in range(20, 26):
        (other / f"documents/page{number}.md").write_text(page(number))
    with Project.load(other / "vector_pipeline.yaml") as second, ThreadPoolExecutor(2) as pool:
        first_made = pool.submit(Previews(released).create, DATASET, ONE, by="ann")
        second_made = pool.submit(Previews(second).create, DATASET, TWO, by="bob")
        mine, theirs = first_made.result(), second_made.result()
        assert mine.deployment.namespace != theirs.deployment.namespace
        assert (mine.version.documents, theirs.version.documents) == (12, 6)
        held = [seen(released, one.deployment.namespace) for one in (mine, theirs)]
        assert not held[0] & held[1]
        assert everything(released) == before
        assert {one.name for one in Previews(released).standing(DATASET)} == {ONE, TWO}
        _, results = Previews(second).verify(DATASET, TWO)
        assert "lost content" in [one.name for one in results if one.blocks]
        assert everything(released) == before
        for one in (mine, theirs):
            Previews(released).destroy(DATASET, one.preview.name, by="ann")
            assert traces(released, one.preview.held_as) == {}
    assert everything(released) == before
    assert Previews(released).standing() == []


def seen(project: Project, namespace: str) -> frozenset[str]:
    """Documents of a namespace."""
    target = project.target_named("local", read_only=True)
    return frozenset(one for batch in target.scan(namespace) for one in batch["document_id"].to_pylist())


@pytest.mark.slow
def test_it_is_judged_as_a_release_would_be_and_says_what_that_would_cost(
    released: Project, previews: Previews
) -> None:
    made = previews.create(DATASET, ONE, by="ann")
    # Four texts are new; every other vector was taken over, with what attests it.
    assert made.texts.embed == 4
    assert made.texts.reused == made.texts.total - 4
    _, results = previews.verify(DATASET, ONE)
    assert not [one.name for one in results if one.blocks]
    assert {one.name for one in results} == set(released.gates_of(DATASET, "local"))
    said = previews.report(DATASET, ONE)
    assert said.facts.served is not None
    assert said.facts.served.dataset == DATASET
    assert not isinstance(said.facts.changes, Missing)
    assert said.facts.changes.examples == {"added": ["page90.md"], "changed": ["page6.md"], "removed": ["page3.md"]}
    # The release of the same content is what was said of it.
    proposal = said.proposal
    assert not isinstance(proposal, Missing)
    previews.destroy(DATASET, ONE, by="ann")
    version = released.build(DATASET).version
    plan = released.plan(DATASET, goal="production")
    assert version.digest == made.version.digest
    assert plan.actions == proposal.actions
    assert (plan.namespace, plan.version, plan.cost.vectors) == (
        proposal.namespace,
        proposal.version,
        proposal.cost.vectors,
    )


@pytest.mark.slow
def test_vectors_that_were_taken_over_are_those_of_production(released: Project, previews: Previews) -> None:
    made = previews.create(DATASET, ONE, by="ann")
    theirs = f'lake."{DATASET}"."{made.version.embedding_table}"'
    mine = f'lake."{made.preview.held_as}"."{made.version.embedding_table}"'
    same, differ = released.lake(read_only=True).row(
        f"""SELECT count(*) FILTER (m.vector = t.vector AND m.written_in = coalesce(t.written_in, t.snapshot_id)),
                   count(*) FILTER (m.vector <> t.vector) FROM {mine} m JOIN {theirs} t USING (shard, content_hash)"""
    )
    assert (int(same), int(differ)) == (made.texts.reused, 0)


@pytest.mark.slow
def test_made_again_it_goes_on(released: Project, previews: Previews) -> None:
    first = previews.create(DATASET, ONE, by="ann", ttl_s=60)
    change(released, 1)
    again = previews.create(DATASET, ONE, by="ann", ttl_s=7200)
    assert again.preview.held_as == first.preview.held_as
    assert again.preview.expires_at > first.preview.expires_at
    assert again.version.digest != first.version.digest
    assert seen(released, again.deployment.namespace) >= {"page90.md", "page91.md"}
    previews.destroy(DATASET, ONE, by="ann")
    assert traces(released, first.preview.held_as) == {}
    assert previews.destroy(DATASET, ONE, by="ann") is None
    # Another one of the same name is another one.
    assert previews.create(DATASET, ONE, by="ann").preview.held_as != first.preview.held_as


@pytest.mark.slow
def test_made_again_and_not_built_to_its_end_it_says_nothing(released: Project, previews: Previews) -> None:
    previews.create(DATASET, ONE, by="ann")
    change(released, 1)
    with pytest.raises(RefusedError, match="more than its budget allows"):
        previews.create(DATASET, ONE, by="ann", budget=Budget(texts=0))
    # What was built before is not what the working tree would become.
    with pytest.raises(NotFoundError, match="was not built to its end"):
        previews.verify(DATASET, ONE)
    with pytest.raises(NotFoundError, match="was not built to its end"):
        previews.report(DATASET, ONE)
    previews.create(DATASET, ONE, by="ann")
    assert not isinstance(previews.report(DATASET, ONE).facts.changes, Missing)


def test_a_busy_registry_takes_no_preview_down(released: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    previews = Previews(released)
    standing, _ = released.registry().begin_preview(DATASET, "dev", ONE, ttl_s=60, by="ann")
    monkeypatch.setattr(engine, "RETRY_S", 0.1)
    file = released.base / ".vector_pipeline/registry.sqlite"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as others:
        # What the database answers where others are at the same row, whenever this one is begun anew, and then alone.
        others.executescript(
            "CREATE TABLE taken (one INTEGER PRIMARY KEY); INSERT INTO taken VALUES (1);"
            "CREATE TRIGGER busy BEFORE UPDATE OF expires_at ON vp_previews BEGIN INSERT INTO taken VALUES (1); END;"
        )
    with pytest.raises(ConflictError, match="others kept the registry"):
        previews.create(DATASET, ONE, by="ann")
    assert [(one.held_as, one.lives) for one in previews.standing()] == [(standing.held_as, True)]


@pytest.mark.slow
def test_its_budget_is_its_own(released: Project, previews: Previews) -> None:
    with pytest.raises(RefusedError, match="would embed 4 texts, more than its budget allows \\(3\\)"):
        previews.create(DATASET, ONE, by="ann", budget=Budget(texts=3))
    with pytest.raises(RefusedError, match="would write 36 records, more than its budget allows \\(35\\)"):
        previews.create(DATASET, ONE, by="ann", budget=Budget(records=35))
    with pytest.raises(NotFoundError, match="was not built to its end"):
        previews.verify(DATASET, ONE)
    found = previews.find(DATASET, ONE)
    assert "budget" in found.detail["error"]
    assert traces(released, found.held_as).get("namespaces") is None
    previews.destroy(DATASET, ONE, by="ann")
    assert traces(released, found.held_as) == {}


@pytest.mark.slow
def test_the_reaper_takes_down_what_is_over_its_time_and_nothing_else(released: Project, previews: Previews) -> None:
    over = previews.create(DATASET, ONE, by="ann", ttl_s=0.001)
    stays = previews.create(DATASET, TWO, by="ann")
    done = previews.reap(by="reaper")
    assert [(one.name, one.ended_by, one.reason) for one in done.ended] == [(ONE, "reaper", "its time was over")]
    assert traces(released, over.preview.held_as) == {}
    assert [one.name for one in previews.standing()] == [TWO]
    assert seen(released, stays.deployment.namespace)
    assert previews.reap(by="reaper") == type(done)((), (), ())


def test_who_builds_one_that_is_taken_down_stops(released: Project, previews: Previews) -> None:
    began, ended = threading.Event(), threading.Event()

    class Slow(Inside):
        def chunk(self, *given: object, **named: object) -> object:  # type: ignore[override]
            began.set()
            assert ended.wait(60)
            return super().chunk(*given, **named)  # type: ignore[arg-type]

    record, _ = released.registry().begin_preview(DATASET, "dev", ONE, ttl_s=60, by="ann")
    from vector_pipeline.project.preview_building import build

    with (
        Slow(released.config, released.base, "dev", record, "local", Budget()) as inside,
        ThreadPoolExecutor(1) as pool,
    ):
        building = pool.submit(build, inside)
        assert began.wait(60)
        released.registry().end_preview(record.id, record.held_as, by="bob", reason="closed")
        ended.set()
        with pytest.raises(RefusedError, match="preview pr-1-4f2a9c1 of handbook was taken down by bob"):
            building.result()
    assert [one.name for one in previews.reap(by="reaper").ended] == [ONE]
    assert traces(released, record.held_as) == {}


@pytest.mark.slow
def test_another_model_is_judged_on_its_own_vectors(released: Project, previews: Previews) -> None:
    config = released.base / "vector_pipeline.yaml"
    config.write_text(config.read_text().replace("model: seed", "model: other"))
    with Project.load(config) as changed:
        made = Previews(changed).create(DATASET, ONE, by="ann")
        assert made.texts.reused == 0
        said = Previews(changed).report(DATASET, ONE)
        assert not isinstance(said.proposal, Missing)
        assert said.proposal.cost.vectors == made.version.records
        Previews(changed).destroy(DATASET, ONE, by="ann")
    assert traces(released, made.preview.held_as) == {}


@pytest.mark.slow
def test_what_is_erased_is_in_no_preview(released: Project, previews: Previews) -> None:
    made = previews.create(DATASET, ONE, by="ann")
    released.erase(DATASET, document="page5.md", reason="asked for", by="ann")
    assert previews.standing() == []
    assert traces(released, made.preview.held_as) == {}
    again = previews.create(DATASET, ONE, by="ann")
    assert "page5.md" not in seen(released, again.deployment.namespace)
    assert again.version.documents == made.version.documents - 1


@pytest.mark.slow
def test_before_anything_is_released_it_stands_alone(tmp_path: Path) -> None:
    from tests.conftest import write_project

    with Project.load(write_project(tmp_path, 4, shards=2)) as project:
        previews = Previews(project)
        made = previews.create(DATASET, ONE, by="ann")
        said = previews.report(DATASET, ONE)
        assert said.facts.served is None
        assert not isinstance(said.proposal, Missing)
        assert said.proposal.version == 1
        assert previews.reap(by="reaper").ended == ()
        previews.destroy(DATASET, ONE, by="ann")
        assert traces(project, made.preview.held_as) == {}


@pytest.mark.parametrize("name", ["", "PR-1", "pr--1", "-pr", "pr_1", "p" * 41, "pr/1", 'pr"1'])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no name of a preview"):
        require_name(name)
