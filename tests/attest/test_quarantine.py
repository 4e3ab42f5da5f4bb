"""What a model wrote that was not the one: named, moved out of the way, and made anew as if nothing had happened."""

import pytest

from tests.attest.conftest import Become, add, attestations, vectors
from tests.conftest import MakeProject, page
from tests.support.gates import FEW, say_passed
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake.golden import GoldenTables
from vector_pipeline.lake.quarantine import doubt_contents, move_doubted
from vector_pipeline.lake.retention import merge_files
from vector_pipeline.project import Project
from vector_pipeline.verify.outcome import CheckResult, Status


def spoiled(make_project: MakeProject, become: Become) -> tuple[Project, str]:
    """A project whose last documents were written by another model, past the attestation; and the digest that it should have."""
    project = make_project()
    project.build("handbook")
    project.sync("handbook")
    add(project, "new1.md", page(71))
    add(project, "new2.md", page(72))
    project.sync("handbook")
    project.chunk("handbook")
    become("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Project, "attesting", lambda *_: None)
        project.embed("handbook")
    become("")
    return project, project.snapshot("handbook").version.digest


def test_wrong_rows_are_named_moved_and_made_anew(make_project: MakeProject, become: Become) -> None:
    project, digest = spoiled(make_project, become)
    undisturbed = make_project()
    add(undisturbed, "new1.md", page(71))
    add(undisturbed, "new2.md", page(72))
    assert undisturbed.build("handbook").version.digest == digest
    right = vectors(undisturbed)
    before = vectors(project)
    assert before.keys() == right.keys()
    wrong = {key for key in right if before[key] != right[key]}
    assert wrong

    found = project.attest("handbook")
    assert not found.passed
    assert found.golden_moved == 0
    assert "of new" in found.summary
    assert found.doubted is not None
    assert set(found.doubted.examples) == {"new1.md", "new2.md"}
    assert found.doubted.rows == len(wrong)
    assert [(one.version, one.aliases) for one in found.touched] == [(2, ())]
    assert vectors(project) == before  # dry

    moved = project.attest("handbook", quarantine=True, seed=found.seed)
    assert (moved.moved, moved.in_quarantine) == (len(wrong), len(wrong))
    assert vectors(project) == {key: one for key, one in right.items() if key not in wrong}
    with pytest.raises(
        RefusedError, match=r"lacks \d+ vectors in the lake, such as one of new.*quarantine.*build handbook"
    ):
        project.push("handbook", version=2)
    with pytest.raises(RefusedError, match="chunks without a vector"):
        project.snapshot("handbook")
    assert project.pending("handbook")

    again = project.build("handbook")
    assert (again.made, again.version.digest) == (False, digest)
    assert vectors(project) == right
    after = project.attest("handbook", whole=True)
    assert after.passed
    assert after.in_quarantine == 0
    assert after.sampled == len(right)
    project.push("handbook", version=2)


@pytest.mark.slow
def test_looking_at_all_names_the_wrong_ones_and_no_others(make_project: MakeProject, become: Become) -> None:
    project, _ = spoiled(make_project, become)
    lake, tables = project.lake(), project.tables("handbook")
    shard, content = lake.row(
        f"SELECT shard, content_hash FROM {tables.embeddings} ORDER BY snapshot_id, content_hash LIMIT 1"
    )
    lake.transaction(
        lambda: lake.run(
            f"UPDATE {tables.embeddings} SET vector = list_reverse(vector) WHERE shard = ? AND content_hash = ?",
            [shard, content],
        ),
        "another hand",
    )
    found = project.attest("handbook", whole=True)
    assert found.doubted is not None
    assert found.doubted.contents == found.wrong
    assert found.wrong < found.sampled
    assert len(found.doubted.shards) >= 1
    moved = project.attest("handbook", whole=True, quarantine=True)
    assert moved.moved == found.doubted.rows
    project.build("handbook")
    assert project.attest("handbook", whole=True).passed


@pytest.mark.slow
def test_when_the_model_is_another_one_what_it_wrote_since_is_doubted(
    make_project: MakeProject, become: Become
) -> None:
    project, _ = spoiled(make_project, become)
    become("weights")
    found = project.attest("handbook")
    assert not found.passed
    assert found.golden_moved > found.golden // 2
    assert found.sampled == 0
    assert found.doubted is not None
    assert set(found.doubted.examples) == {"new1.md", "new2.md"}
    assert attestations(project)[-1] == ("whole", False)
    project.attest("handbook", quarantine=True)
    with pytest.raises(RefusedError, match="moved by"):
        project.build("handbook")
    become("")
    project.build("handbook")
    assert project.attest("handbook", whole=True).passed


OF_VECTORS = ["embeddings expectations"]


def quarantine(project: Project, contents: int) -> set[tuple[str, int]]:
    """Move the vectors of so many contents; returns where they were needed."""
    lake, tables = project.lake(), project.tables("handbook")
    chosen = lake.rows(f"SELECT DISTINCT content_hash FROM {tables.embeddings} ORDER BY 1 LIMIT {contents}")
    doubt_contents(lake, tables, [one for (one,) in chosen])
    moved = set(lake.rows("SELECT content_hash, shard FROM doubted"))
    move_doubted(lake, tables, GoldenTables.of(tables), "a test")
    return moved


@pytest.mark.slow
def test_a_few_vectors_in_quarantine_end_what_was_said_of_them_and_so_do_those_made_anew(
    make_project: MakeProject,
) -> None:
    project = make_project(3, shards=1, gates=f"{FEW}, max_removed_share: 1")
    project.build("handbook")
    deployment = project.push("handbook").deployment

    def verify() -> list[CheckResult]:
        say_passed(project, deployment, index=True, but=OF_VECTORS)
        return project.verify("handbook", only=OF_VECTORS, deployment=deployment)[1]

    def ended() -> set[str]:
        said = project.said_now(deployment, mark=project.mark_of(deployment))
        return {one.name for one in said if "taken away or made anew" in one.summary}

    assert {one.status for one in verify()} == {Status.PASSED}
    # What a later version adds, and files that are merged, are no news of this one.
    add(project, "later.md", page(30))
    later = project.build("handbook").version
    assert later.number == 2
    merge_files(project.lake())
    assert ended() == set()

    moved = quarantine(project, 2)
    assert ended() == set(OF_VECTORS)
    with pytest.raises(RefusedError, match="vectors of version 1 of handbook were taken away or made anew since"):
        project.promote("handbook", version=1, by="ann")
    result = verify()[0]
    assert result.status is Status.FAILED
    assert f"every text has a vector ({len(moved)} of {deployment.records} rows" in result.summary
    assert {(one["content_hash"], one["shard"]) for one in result.examples} == moved
    assert all(str(one["document_id"]).endswith(".md") for one in result.examples)
    project.build("handbook")
    assert ended() == set(OF_VECTORS)
    assert {one.status for one in verify()} == {Status.PASSED}


@pytest.mark.slow
def test_copies_of_what_was_right_are_not_doubted(project: Project) -> None:
    project.build("handbook")
    for number in range(8):  # The same text in other shards.
        add(project, f"copy{number}.md", page(3))
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    from vector_pipeline.lake.quarantine import doubt_since, last_proof

    assert doubt_since(lake, tables, last_proof(lake, GoldenTables.of(tables))).rows == 0


@pytest.mark.slow
def test_everything_can_be_made_anew_with_the_model_as_it_is(project: Project, become: Become) -> None:
    digest = project.build("handbook").version.digest
    become("nudged")
    before = vectors(project)
    found = project.attest("handbook", everything=True, quarantine=True)
    assert found.moved == len(before)
    again = project.build("handbook")
    assert again.version.digest == digest
    assert vectors(project).keys() == before.keys()
    assert vectors(project) != before
    assert project.attest("handbook", whole=True).passed


def test_a_space_without_vectors_of_this_model_is_said(project: Project) -> None:
    with pytest.raises(NotFoundError):
        project.attest("handbook")
    project.sync("handbook")
    with pytest.raises(NotFoundError, match="has no vectors of deterministic seed"):
        project.attest("handbook")
