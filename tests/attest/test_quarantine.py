"""What a model wrote that was not the one: named, moved out of the way, and made anew as if nothing had happened."""

import pytest

from tests.attest.conftest import Become, add, attestations, vectors
from tests.conftest import MakeProject, page
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake.golden import GoldenTables
from vector_pipeline.project import Project


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


def test_copies_of_what_was_right_are_not_doubted(project: Project) -> None:
    project.build("handbook")
    for number in range(8):  # The same text in other shards.
        add(project, f"copy{number}.md", page(3))
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    from vector_pipeline.lake.quarantine import doubt_since, last_proof

    assert doubt_since(lake, tables, last_proof(lake, GoldenTables.of(tables))).rows == 0


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
