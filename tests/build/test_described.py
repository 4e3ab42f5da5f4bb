"""A state that is described by what changed since the last one is what reading everything finds, or is refused as that is."""

import random

import pytest

from tests.build.test_incremental import write
from tests.conftest import MakeProject, page
from vector_pipeline.build.filling import _states, shard_states
from vector_pipeline.errors import CorruptError, RefusedError
from vector_pipeline.lake import since
from vector_pipeline.lake.diff import Side, diff_versions
from vector_pipeline.lake.snapshots import describe_digest, describe_snapshot, shard_digests
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.project import Project


def change(project: Project, chosen: random.Random, number: int) -> None:
    """Some documents new, some changed, some gone."""
    folder = project.base / "documents"
    there = sorted(folder.glob("*.md"))
    for path in chosen.sample(there, 2):
        path.unlink()
    for path in chosen.sample([one for one in there if one.exists()], 3):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("speaks", f"tells{number}", chosen.randint(1, 4)), encoding="utf-8")
    for _ in range(2):
        new = chosen.randrange(100, 999)
        write(project, f"page{new}.md", page(new))


@pytest.mark.slow
def test_every_version_is_what_it_reads_back_as(make_project: MakeProject) -> None:
    project, chosen = make_project(), random.Random(7)
    made = [project.build("handbook").version]
    lake, tables = project.lake(), project.tables("handbook")
    for number in range(5):
        change(project, chosen, number)
        for step in (project.sync, project.chunk, project.embed):
            step("handbook")
            assert shard_states(lake, tables, range(4)) == _states(lake, tables, range(4))
        known = since.described(lake, tables)
        assert known is not None
        assert known.snapshot == made[-1].lake_snapshot
        advanced = since.advanced(lake, tables, known, lake.snapshot_id())
        assert advanced is not None, "what changed was not told"
        facts = describe_snapshot(lake, tables)
        assert facts.digest == describe_digest(lake, tables, None)
        assert facts.shard_digests == shard_digests(lake, tables, None)
        counts = f"SELECT (SELECT count(*) FROM {tables.dataset.documents}), (SELECT count(*) FROM {tables.chunks})"
        assert (facts.documents, facts.records) == lake.row(counts)
        assert since.described(lake, tables) == advanced
        made.append(project.snapshot("handbook").version)
    assert len({one.digest for one in made}) == 6
    for old in made:
        for new in made:
            a, b = Side(tables, old.lake_snapshot), Side(tables, new.lake_snapshot)
            # Copies of the tables have no common history: both states are read and joined.
            assert diff_versions(lake, a, b) == diff_versions(lake, copied(project, a, "a"), copied(project, b, "b"))


def copied(project: Project, side: Side, name: str) -> Side:
    """A state as tables of its own, where nothing was ever committed before."""
    lake, schema = project.lake(), f"copy_{name}_{side.snapshot}"
    tables = SpaceTables(type(side.tables.dataset)(schema), side.tables.chunk_table, side.tables.embedding_table)

    def work() -> None:
        lake.run(f"CREATE SCHEMA IF NOT EXISTS {tables.dataset.schema}")
        for here, there in (
            (tables.chunks, side.tables.chunks),
            (tables.dataset.documents, side.tables.dataset.documents),
        ):
            lake.run(f"CREATE TABLE IF NOT EXISTS {here} AS FROM {there} AT (VERSION => {side.snapshot})")

    lake.transaction(work, "copy")
    return Side(tables, None)


@pytest.mark.parametrize(
    ("statement", "refused", "said"),
    [
        ("DELETE FROM {embeddings} WHERE content_hash = (SELECT min(content_hash) FROM {chunks})", RefusedError, "1 chunks"),
        ("DELETE FROM {chunks} WHERE document_id = 'page3.md'", RefusedError, "1 documents without"),
        ("DELETE FROM {documents} WHERE document_id = 'page3.md'", RefusedError, "1 removed documents"),
        ("UPDATE {documents} SET digest = 'other' WHERE document_id = 'page3.md'", RefusedError, "1 documents without"),
        ("INSERT INTO {documents} FROM {documents} WHERE document_id = 'page3.md'", CorruptError, "1 documents, 0 chunks"),
        ("INSERT INTO {chunks} FROM {chunks} WHERE document_id = 'page3.md' LIMIT 1", CorruptError, "1 chunks"),
        (
            "INSERT INTO {embeddings} FROM {embeddings} WHERE content_hash = (SELECT min(content_hash) FROM {chunks})",
            CorruptError, "1 vectors",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_since_is_seen(project: Project, statement: str, refused: type[Exception], said: str) -> None:
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    named = {"embeddings": tables.embeddings, "chunks": tables.chunks, "documents": tables.dataset.documents}
    lake.transaction(lambda: lake.run(statement.format(**named)), "by hand")
    known = since.described(lake, tables)
    assert known is not None
    assert since.advanced(lake, tables, known, lake.snapshot_id()) is None
    with pytest.raises(refused, match=said):
        describe_snapshot(lake, tables)
    # What is refused is not what is known.
    assert since.described(lake, tables) == known


def test_a_dropped_space_is_not_described(project: Project) -> None:
    made = project.build("handbook").version
    lake, tables = project.lake(), project.tables("handbook")
    since.forget(lake, "another")
    assert since.described(lake, tables) is not None
    since.forget(lake, "handbook")
    assert since.described(lake, tables) is None
    assert describe_snapshot(lake, tables).digest == made.digest
