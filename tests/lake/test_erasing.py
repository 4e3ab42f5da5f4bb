"""A document leaves the lake's history: on both kinds of catalog, whether rows are inlined or in files, beside another dataset."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from vector_pipeline.errors import NotFoundError
from vector_pipeline.hashing import document_key
from vector_pipeline.lake import erasing, remains
from vector_pipeline.lake.tables import at
from vector_pipeline.project import Project

KEY = document_key("page3.md")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """Two datasets over one source in one lake: one is small enough to be inlined, of the other's chunks some are in files."""
    config = write_project(tmp_path, {f"page{n}.md": page(n, paragraphs=20) for n in range(5)}, shards=2)
    text = config.read_text(encoding="utf-8")
    other = text.partition("  handbook:")[2]
    text = f"{text}\n  beside:{other}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        text = f"environments: {{dev: {{lake: {{catalog: '{url}'}}}}}}\n{text}"
    config.write_text(text, encoding="utf-8")
    with Project.load(config) as project:
        yield project


def rows(project: Project, dataset: str, snapshot: int | None) -> object:
    tables = project.tables(dataset)
    return project.lake().table(
        f"""SELECT c.*, e.vector FROM {at(tables.chunks, snapshot)} c JOIN {tables.embeddings} e USING (shard, content_hash)
            WHERE document_id <> 'page3.md' ORDER BY record_id"""
    )


@pytest.mark.slow
def test_the_document_goes_and_every_other_state_stays(project: Project) -> None:
    lake = project.lake()
    for number in range(2):
        (project.base / "documents" / "page4.md").write_text(page(4 + 100 * number, paragraphs=20), encoding="utf-8")
        project.build("handbook")
        project.build("beside")
    states = [version.lake_snapshot for version in project.versions("handbook")]
    others = [version.lake_snapshot for version in project.versions("beside")]
    before = [rows(project, "handbook", state) for state in states]
    beside = [(rows(project, "beside", state), remains.rows_in_files(lake, "beside", KEY)) for state in others]
    phrases = remains.phrases_of(lake, "handbook", KEY, [None])
    assert "item3x" in phrases[0]
    assert remains.rows_in_files(lake, "handbook", KEY) > 0
    present = lake.snapshot_id()
    vectors = erasing.count_vectors(lake, "handbook", KEY, [present, *states])
    assert vectors[0].own > 0
    # A writer that was killed before its commit left a file.
    stray = Path(lake.data) / "handbook" / "documents" / "shard=0" / "stray.parquet"
    stray.parent.mkdir(parents=True, exist_ok=True)
    lake.run(f"COPY (SELECT * FROM {project.tables('handbook').dataset.documents}) TO '{stray}'")
    for _ in range(2):  # Killed after this step and run again: the same.
        erasing.make_anew(lake, "handbook", present)
    made = [erasing.bring_to(lake, "handbook", state, KEY) for state in states]
    erasing.bring_to(lake, "handbook", present, KEY)
    assert [rows(project, "handbook", state) for state in made] == before
    for _ in range(2):
        remains.purge(lake, "handbook")
        remains.compact_catalog(lake)
    assert not stray.exists()
    assert remains.rows_in_files(lake, "handbook", KEY) == 0
    assert [rows(project, "handbook", state) for state in made] == before
    assert [(rows(project, "beside", state), remains.rows_in_files(lake, "beside", KEY)) for state in others] == beside
    project.close()
    with pytest.raises(NotFoundError):
        project.lake().rows(f"SELECT 1 FROM {at(project.tables('handbook').chunks, states[0])}")
    tables = project.tables("handbook")
    for state in (None, *made):
        for name in ("documents", "source_items", tables.chunk_table):
            assert erasing.count_rows(project.lake(), tables.dataset, name, KEY, state) == 0
