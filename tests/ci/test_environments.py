"""Previews of several environments: who takes down what, and what is compared with what."""

import json
import shlex
from pathlib import Path

import pytest

from tests.conftest import page
from tests.tiers.conftest import Open, opened, tier, write  # noqa: F401 (fixture)
from vector_pipeline.cli import run
from vector_pipeline.errors import ConfigError, InputError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.project.preview_paths import Concerned
from vector_pipeline.project.previewing import Previews
from vector_pipeline.release.preview import Budget
from vector_pipeline.release.registry.previews import GivenUp
from vector_pipeline.report.page.facts import Missing
from vector_pipeline.report.preview import comment

# ruff: noqa: F811 (fixture)
DATASET, ONE, TWO = "handbook", "pr-1-4f2a9c1", "pr-2-77aa001"


def namespaces(project: Project) -> list[str]:
    return list(project.target_named("local", read_only=True).namespaces())


@pytest.mark.slow
def test_a_preview_of_another_registry_with_the_same_number_lives_on(tmp_path: Path, opened: Open) -> None:
    shared = {"staging": tier("shared"), "ci": tier("shared")}
    with opened(write(tmp_path, shared), "ci") as before:
        over = before.registry().begin_preview(DATASET, "ci", ONE, ttl_s=0.001, by="job")[0]
    own = opened(write(tmp_path, {"staging": tier("shared"), "ci": tier("own")}), "ci")
    made = Previews(own).create(DATASET, TWO, by="job")
    assert made.preview.id == over.id
    staging = opened(tmp_path / "vector_pipeline.yaml", "staging")
    done = Previews(staging).reap(by="reaper")
    assert (done.ended, [one.name for one, _ in done.left]) == ((), [ONE])
    assert "is in environment ci, and its registry is another one now" in done.left[0][1]
    assert [one.name for one in Previews(own).standing()] == [TWO]
    assert own.registry().deployments(made.preview.held_as)
    assert namespaces(own) == [made.deployment.namespace]
    with pytest.raises(RefusedError, match="its registry is another one now"):
        Previews(staging).end_all(DATASET, by="ann", reason="a document was erased")
    assert [one.name for one in Previews(own).standing()] == [TWO]


@pytest.mark.slow
def test_the_reaper_of_one_environment_takes_down_those_of_another_in_its_registry(
    tmp_path: Path, opened: Open
) -> None:
    mine, theirs = tier("shared"), {**tier("other"), "registry": tier("shared")["registry"]}
    theirs["lake"] = mine["lake"]
    file = write(tmp_path, {"staging": mine, "ci": theirs})
    other = opened(file, "ci")
    made = Previews(other).create(DATASET, ONE, by="job", ttl_s=0.001)
    assert namespaces(other) == [made.deployment.namespace]
    done = Previews(opened(file, "staging")).reap(by="reaper")
    assert ([one.name for one in done.ended], done.left) == ([ONE], ())
    assert namespaces(other) == []


@pytest.mark.slow
def test_a_preview_takes_the_vectors_of_the_environment_that_is_reused_before_its_budget_is_asked(
    tmp_path: Path, opened: Open
) -> None:
    file = write(tmp_path, {"prod": tier("prod"), "staging": tier("staging", reuse="prod")})
    with opened(file, "prod") as prod:
        prod.build(DATASET)
    staging = opened(file, "staging")
    made = Previews(staging).create(DATASET, ONE, by="job", budget=Budget(texts=0))
    assert made.texts.embed == 0
    assert made.texts.reused == made.texts.total > 0
    _, results = Previews(staging).verify(DATASET, ONE)
    assert {one.name: one.status.value for one in results}["attestation"] == "passed"
    (tmp_path / "documents" / "new.md").write_text(page(77, 2), encoding="utf-8")
    with pytest.raises(RefusedError, match=r"would embed \d+ texts?, more than its budget allows"):
        Previews(staging).create(DATASET, TWO, by="job", budget=Budget(texts=0))


@pytest.mark.slow
def test_what_changed_is_built_whatever_the_sample_is(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path, {"staging": tier("staging", sample=0.0001)}, pages=6)
    staging = opened(file, "staging")
    with pytest.raises(RefusedError, match="none of the 6 documents of the source is in the sample"):
        Previews(staging).create(DATASET, ONE, by="job")
    (tmp_path / "documents" / "über uns.md").write_text(page(77, 2), encoding="utf-8")
    (tmp_path / "documents" / "page1.md").unlink()
    files = ["documents/über uns.md", "documents/page3.md", "documents/page1.md", "README.md"]
    changed = Concerned(file, staging.config).documents(DATASET, files, tmp_path)
    assert changed == ["über uns.md", "page3.md", "page1.md"]
    made = Previews(staging).create(DATASET, ONE, by="job", changed=changed)
    assert made.version.documents == 2
    _, results = Previews(staging).verify(DATASET, ONE)
    assert not [one.summary for one in results if one.blocks]
    said = Previews(staging).report(DATASET, ONE)
    text = comment(said.preview, said.facts, said.proposal, sample=said.sample)
    assert "### handbook: ❓ Nothing to compare with" in text
    assert "| ❓ | lost content |" in text
    assert "⚠️ A sample of 0.01% of the documents was built" in text
    # Made again without saying what changed, it is about the same documents.
    assert Previews(staging).create(DATASET, ONE, by="job").version.digest == made.version.digest


@pytest.mark.slow
def test_a_target_that_only_the_change_had_is_given_up_by_a_person_and_told_by_the_erasure(
    tmp_path: Path, opened: Open
) -> None:
    mine = tier(tmp_path / "store")
    fast = {**mine, "targets": {"fast": {"path": str(tmp_path / "store/fast")}}}
    theirs = opened(write(tmp_path / "change", {"staging": fast}, target="fast"), "staging")
    made = Previews(theirs).create(DATASET, ONE, by="job", ttl_s=0.001)
    theirs.close()
    project = opened(write(tmp_path / "base", {"staging": mine}), "staging")
    previews = Previews(project)
    ((_, why),) = previews.reap(by="reaper").left
    assert "preview pr-1-4f2a9c1 of handbook is in target fast, and environment staging has it no more" in why
    command = "vector-pipeline ci destroy handbook --name pr-1-4f2a9c1 --in staging --abandon --reason"
    assert command in why
    project.build(DATASET)
    with pytest.raises(RefusedError, match="ci destroy handbook --name pr-1-4f2a9c1 --in staging --abandon"):
        project.erase(DATASET, document="page1.md", reason="asked for", by="ann")
    with pytest.raises(InputError, match="given up for a reason"):
        previews.give_up(DATASET, ONE, by="ann", reason=" ")
    gone = previews.give_up(DATASET, ONE, by="ann", reason="its cluster is gone")
    assert gone is not None
    place = f"fast/{made.deployment.namespace}"
    assert gone.given_up == GivenUp((place,), "ann", "its cluster is gone")
    assert previews.standing() == []
    assert previews.reap(by="reaper").left == ()
    assert not [
        one for one in project.lake().rows("SELECT schema_name FROM duckdb_schemas()") if gone.held_as in one[0]
    ]
    erased = project.erase(DATASET, document="page1.md", reason="asked for", by="ann")
    assert erased.not_reached == (f"staging: preview {ONE}, given up by ann (its cluster is gone): {place}",)
    # The configuration leads there again: the reaper drops it.
    again = opened(write(tmp_path / "again", {"staging": fast}, target="fast"), "staging")
    assert Previews(again).reap(by="reaper").swept == (made.deployment.namespace,)
    assert list(again.target_named("fast", read_only=True).namespaces()) == []
    assert again.registry().previews(ended=True)[0].given_up is None


def test_an_environment_that_only_the_change_had_is_given_up_by_its_name(tmp_path: Path, opened: Open) -> None:
    with opened(write(tmp_path, {"staging": tier("s"), "pr": tier("s")}), "pr") as project:
        project.registry().begin_preview("extra", "pr", ONE, ttl_s=0.001, by="job")
    staging = opened(write(tmp_path, {"staging": tier("s")}), "staging")
    ((_, why),) = Previews(staging).reap(by="reaper").left
    assert "is in environment pr, and the configuration has it no more. Put it back" in why
    assert "ci destroy extra --name pr-1-4f2a9c1 --in pr --abandon" in why
    ended = Previews(staging).give_up("extra", ONE, by="ann", reason="its branch is gone", environment="pr")
    assert ended is not None
    assert ended.given_up == GivenUp(("lake",), "ann", "its branch is gone")
    assert Previews(staging).reap(by="reaper").left == ()
    assert Previews(staging).give_up("extra", ONE, by="ann", reason="again", environment="pr") is None


@pytest.mark.slow
def test_previews_of_one_environment_are_compared_with_production_of_another_that_is_only_read(
    tmp_path: Path, opened: Open
) -> None:
    file = write(tmp_path, {"prod": tier("s"), "pulls": tier("s", previews={"against": "prod"})}, pages=8)
    with opened(file, "prod") as prod:
        prod.build(DATASET)
        prod.push(DATASET)
        prod.verify(DATASET)
        prod.promote(DATASET, by="ann")
        before = (
            prod.registry().aliases(DATASET),
            prod.registry().deployments(DATASET),
            prod.registry().versions(DATASET),
        )
    (tmp_path / "documents" / "page1.md").write_text(page(77, 2), encoding="utf-8")
    (tmp_path / "documents" / "page2.md").unlink()
    pulls = opened(file, "pulls")
    previews = Previews(pulls)
    made = previews.create(DATASET, ONE, by="job")
    assert made.texts.reused > 0
    previews.verify(DATASET, ONE)
    said = previews.report(DATASET, ONE)
    assert (said.against, said.facts.served and said.facts.served.number) == ("prod", 1)
    assert not isinstance(said.facts.changes, Missing)
    assert said.facts.changes.examples == {"added": [], "changed": ["page1.md"], "removed": ["page2.md"]}
    assert not isinstance(said.proposal, Missing)
    assert said.proposal.environment == "prod"
    text = comment(said.preview, said.facts, said.proposal, environment=said.against)
    assert "judged against version 1, which production of `prod` serves" in text
    registry = pulls.registry()
    assert (registry.aliases(DATASET), registry.deployments(DATASET), registry.versions(DATASET)) == before


@pytest.mark.slow
def test_what_has_stores_of_its_own_is_nothing_to_compare_with(tmp_path: Path, opened: Open) -> None:
    pulls = tier("pulls", previews={"against": "prod"})
    with pytest.raises(RefusedError, match="environment prod, which has a registry of its own"):
        Previews(opened(write(tmp_path, {"prod": tier("prod"), "pulls": pulls}), "pulls")).create(
            DATASET, ONE, by="job"
        )


@pytest.mark.parametrize(
    ("own", "said"),
    [({"previews": {"against": "live"}}, "live is not one of the environments"),
     ({"previews": {"against": "prod"}, "sample": 0.1}, "environment prod has another sample")],
)  # fmt: skip
def test_whom_previews_are_compared_with_is_checked_in_the_file(
    tmp_path: Path, own: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        Project.load(write(tmp_path, {"prod": tier("s"), "pulls": tier("s", **own)}))


def test_the_reaper_says_the_command_that_gives_up_and_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.load(write(tmp_path, {"staging": tier("s"), "pr": tier("s")}), environment="pr") as project:
        project.registry().begin_preview("extra", "pr", ONE, ttl_s=0.001, by="job")
    here = ["--project", str(write(tmp_path, {"staging": tier("s")}))]
    assert run([*here, "ci", "reap"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    command = 'vector-pipeline ci destroy extra --name pr-1-4f2a9c1 --in pr --abandon --reason "why"'
    assert command in said
    assert run([*here, *shlex.split(command)[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"dataset": "extra", "ended": [ONE], "left": ["lake"]}
    assert run([*here, "ci", "reap"]) == 0
    assert run([*here, "ci", "destroy", "extra", "--name", ONE]) == 1
    assert run([*here, "ci", "destroy", DATASET, "--name", ONE, "--in", "pr"]) == 2
