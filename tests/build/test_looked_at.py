"""Asking what there is to do, and telling what the shards hold, costs what changed: no statement looks at a table whole."""

import random

import pytest

from tests.build.test_described import change
from tests.build.test_incremental import write
from tests.conftest import MakeProject, page
from tests.support.statements import looked_whole, record_statements
from vector_pipeline.build.filling import shard_states
from vector_pipeline.lake import since
from vector_pipeline.project import Project
from vector_pipeline.report.samples import (
    chunk_samples,
    chunk_shards,
    document_samples,
    document_shards,
    quarantined_shards,
    vector_shards,
)


def records_of(project: Project, changed: int | None = None) -> Project:
    """The project with lines of JSONL for documents, of which one may be another."""
    rows = [f'{{"id": "row{n}", "text": "Text {n}{" anew" * (n == changed)}."}}\n' for n in range(12)]
    (project.base / "rows.jsonl").write_text("".join(rows), encoding="utf-8")
    config = project.base / "vector_pipeline.yaml"
    source = "{kind: jsonl, path: rows.jsonl}"
    config.write_text(config.read_text().replace('{root: documents, include: ["**/*.md"]}', source))
    return Project.load(config)


def tell(project: Project) -> list[object]:
    """All that a run of the dataset's assets tells of shards."""
    lake, tables = project.lake(), project.tables("handbook")
    return [
        document_shards(lake, tables.dataset, None),
        document_samples(lake, tables.dataset),
        chunk_shards(lake, tables, None),
        chunk_samples(lake, tables),
        vector_shards(lake, tables, None),
    ]


def test_what_is_complete_is_not_looked_at_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with records_of(project) as records:
        records.build("handbook")
        # Another lease, registry or dataset may have committed since.
        lake = records.lake()
        lake.transaction(lambda: lake.run("CREATE TABLE lake.main.other AS SELECT 1 AS one"), "other")
        lake.transaction(lambda: lake.run("INSERT INTO lake.main.other VALUES (2)"), "other")
        said = record_statements(monkeypatch)
        assert records.pending("handbook") == set()
        told = tell(records)
        assert looked_whole(said, records.tables("handbook")) == []
        assert said
    assert [len(one) for one in told] == [4, 5, 4, 5, 4]  # type: ignore[arg-type]


def test_a_changed_line_is_all_that_is_told_of(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with records_of(project) as records:
        records.build("handbook")
    with records_of(project, changed=7) as records:
        tables = records.tables("handbook")
        for step in (records.sync, records.chunk, records.embed):
            step("handbook")
            with monkeypatch.context() as patched:
                said = record_statements(patched)
                tell(records)
                assert looked_whole(said, tables) == []
        assert document_samples(records.lake(), tables.dataset)[0]["text"] == "Text 7 anew."
        assert chunk_samples(records.lake(), tables)[0]["text"] == "Text 7 anew."
        with monkeypatch.context() as patched:
            said = record_statements(patched)
            assert records.pending("handbook") == set()
            # Documents that were touched are looked at by key, and contents that came with their vectors are not.
            whole = looked_whole(said, tables)
            assert all(
                "document_id IN (FROM touched_documents)" in sql and tables.embeddings not in sql for sql in whole
            )


def test_a_shard_that_lacks_something_is_pending(project: Project) -> None:
    """Found from what changed, and found by looking at everything: the same."""
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    (shard, content) = lake.row(
        f"SELECT shard, content_hash FROM {tables.chunks} WHERE document_id = 'page3.md' LIMIT 1"
    )
    write(project, "page5.md", page(5).replace("item5x3 and more", "something else entirely"))
    project.sync("handbook")
    (other,) = lake.row(f"SELECT shard FROM {tables.dataset.documents} WHERE document_id = 'page5.md'")
    assert project.pending("handbook") == {other}
    project.chunk("handbook")
    assert [one.pending for one in shard_states(lake, tables, [other])] == [1]
    assert project.pending("handbook") == {other}
    project.embed("handbook")
    assert project.pending("handbook") == set()
    gone = f"DELETE FROM {tables.embeddings} WHERE shard = {shard} AND content_hash = '{content}'"
    lake.transaction(lambda: lake.run(gone), "by hand")
    assert project.pending("handbook") == {shard}


def test_what_is_told_of_shards_is_what_they_hold(make_project: MakeProject) -> None:
    """From what changed since a version, and from whole tables: the same, whatever the steps have done."""
    project, chosen = make_project(20), random.Random(3)
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    (project.base / "documents" / "aside").mkdir()
    (project.base / "documents" / "aside" / "bad.md").write_bytes(b"\x00\x01\x02")
    for number in range(2):
        change(project, chosen, number)
        for step in (project.sync, project.chunk, project.embed):
            step("handbook")
            known = since.described(lake, tables)
            assert known is not None
            for shards in (None, [1, 3]):
                told = [
                    document_shards(lake, tables.dataset, shards, quarantined_shards(lake, tables.dataset, shards)),
                    chunk_shards(lake, tables, shards),
                    vector_shards(lake, tables, shards),
                ]
                since.forget(lake, "handbook")
                read = [
                    document_shards(lake, tables.dataset, shards, quarantined_shards(lake, tables.dataset, shards)),
                    chunk_shards(lake, tables, shards),
                    vector_shards(lake, tables, shards),
                ]
                since.keep(lake, tables, known)
                assert told == read
        counted = {
            int(one): (int(documents), int(aside))
            for one, documents, aside in lake.rows(
                f"""SELECT shard, count(*) FILTER (reason IS NULL), count(*) FILTER (reason IS NOT NULL)
                    FROM {tables.dataset.items} GROUP BY shard"""
            )
        }
        facts = document_shards(lake, tables.dataset, None, quarantined_shards(lake, tables.dataset, None))
        assert {shard: (one.rows, one.counts["quarantined"]) for shard, one in facts.items()} == counted
        assert sum(aside for _, aside in counted.values()) == 1
        project.snapshot("handbook")


def test_samples_are_of_what_changed_first(project: Project) -> None:
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    assert (
        len(document_samples(lake, tables.dataset))
        == len({one["document"] for one in chunk_samples(lake, tables)})
        == 5
    )
    for number in (4, 9):
        write(project, f"page{number}.md", page(number) + "\nAnd a new sentence.\n")
    project.sync("handbook")
    project.chunk("handbook")
    for found in (document_samples(lake, tables.dataset), chunk_samples(lake, tables)):
        names = [one["document"] for one in found]
        assert names[:2] == ["page4.md", "page9.md"]
        assert len(set(names)) == 5
