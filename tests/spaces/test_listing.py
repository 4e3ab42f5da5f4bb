"""What spaces there are, what they take, and what needs them."""

import pytest

from tests.spaces.conftest import DATASET, NEW, OLD, World
from vector_pipeline.errors import NotFoundError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import NewFill
from vector_pipeline.release.registry.fills import FillStatus


@pytest.mark.slow
def test_a_space_from_its_first_version_to_its_end(world: World) -> None:
    world.configure({"old": OLD}, "old")
    world.release()
    first = world.standing("old")
    assert (first.space.serving, first.space.configured, first.retire, first.records) == (
        True, True, "no", world.project.version(DATASET).records,
    )  # fmt: skip
    assert [one.word for one in first.holds] == ["serving", "production (dev)", "staging (dev)"]
    world.configure({"old": OLD, "new": NEW}, "new")
    assert [one.word for one in world.standing("old").holds] == ["production (dev)", "staging (dev)", "configured"]
    new = world.standing("new")
    assert (new.space.versions, new.tables, new.records, new.retire) == ((), (), 0, "no")
    assert (new.space.dimension, new.space.model, new.space.metric) == (8, "deterministic other", "cosine")
    world.release()
    world.configure({"new": NEW}, "new")
    old = world.standing("old")
    assert (old.space.configured, old.holds, old.retire) == (False, (), "yes")
    assert (old.space.model, old.space.dimension) == ("deterministic seed", 16)
    told = old.to_json()
    assert (told["newest"], told["kept"], told["namespaces"][0]["records"]) == (1, [1], old.records)
    chunks = next(one for one in old.tables if one.table.startswith("chunks_old_"))
    assert chunks.rows == old.records
    assert chunks.bytes == sum(
        one.stat().st_size for one in world.folder.glob(f".vector_pipeline/lake/data/*/{chunks.table}/**/*.parquet")
    )
    world.project.retire(DATASET, space="old", dry_run=False)
    gone = world.standing("old")
    assert (gone.retire, gone.tables, gone.lines, gone.space.kept, gone.records) == ("retired", (), (), (), 0)
    assert [one.number for one in gone.space.versions] == [1]


@pytest.mark.slow
def test_spaces_that_differ_in_their_chunker_share_their_vectors(world: World) -> None:
    world.configure({"old": OLD, "fine": ("seed", 16, 40)}, "old")
    world.release()
    old, fine = world.standing("old"), world.standing("fine")
    assert [one.table.partition("_")[0] for one in old.shared][:1] == ["embeddings"]
    assert not any(one.table.startswith("embeddings_") for one in old.tables)
    assert fine.space.embedding_table == old.space.embedding_table
    assert old.space.fingerprint != fine.space.fingerprint


@pytest.mark.slow
def test_a_space_whose_model_is_not_here_may_be_any_of_that_name(world: World) -> None:
    project = world.configure({"old": OLD}, "old")
    version = project.build(DATASET).version
    project.close()
    text = world.config.read_text(encoding="utf-8")
    lost = text.replace("deterministic, model: seed, dimension: 16", "sentence-transformers, model: none_such")
    world.config.write_text(lost, encoding="utf-8")
    with Project.load(world.config) as project:
        here, made = project.spaces_of(DATASET)
        assert (here.space.fingerprint, here.space.serving, here.retire) == ("", True, "no")
        assert "not resolved here" in here.space.label
        assert (made.space.fingerprint, made.retire) == (version.fingerprint, "no")
        assert [one.word for one in made.holds] == ["configured"]
        with pytest.raises(NotFoundError, match="none_such"):
            project.retire(DATASET, space="old", dry_run=True)


@pytest.mark.slow
def test_what_was_filled_and_never_became_a_version_is_known(world: World) -> None:
    world.configure({"old": OLD, "new": NEW}, "old")
    world.release()
    project = world.project
    project.chunk(DATASET, space="new")
    fingerprint = project.space(DATASET, "new").fingerprint
    world.configure({"old": OLD}, "old")
    by_table = world.standing("new")
    assert (by_table.space.fingerprint, by_table.retire) == (fingerprint[:8], "yes")
    world.project.registry().record_fills(
        DATASET,
        "new",
        fingerprint,
        [NewFill(shard=0, status=FillStatus.DONE), NewFill(shard=1, status=FillStatus.FAILED)],
    )
    assert world.standing("new").space.fingerprint == fingerprint
    assert [one.space.name for one in world.project.spaces_of(DATASET)] == ["old", "new"]
