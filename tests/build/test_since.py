"""What did not change since a version is not looked at; what did is told the same as by a look at everything."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.conftest import page
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.diff import Side, diff_versions
from vector_pipeline.lake.since import Changes, changes_since, made_before
from vector_pipeline.lake.snapshots import describe_snapshot
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import complete_at


def write(project: Project, name: str, text: str) -> None:
    (project.base / "documents" / name).write_text(text, encoding="utf-8")


def changes(project: Project, version: Version) -> Changes | None:
    return changes_since(project.lake(), project.tables("handbook"), version.lake_snapshot)


@pytest.mark.slow
def test_what_changed_is_told_as_a_look_at_everything_tells_it(project: Project) -> None:
    lake, tables = project.lake(), project.tables("handbook")
    first = project.build("handbook").version
    (project.base / "documents" / "page0.md").unlink()
    write(project, "page1.md", page(100))
    write(project, "page2.md", page(200))
    write(project, "new.md", page(300, paragraphs=4))
    project.build("handbook")
    write(project, "page2.md", page(2))  # back as it was
    write(project, "page0.md", page(0))
    last = project.build("handbook").version
    known = changes(project, first)
    assert known is not None
    assert known.any
    assert describe_snapshot(lake, tables, known) == describe_snapshot(lake, tables)
    sides = Side(tables, first.lake_snapshot), Side(tables, last.lake_snapshot)
    told = diff_versions(lake, *sides, changes=known)
    assert told == diff_versions(lake, *sides)
    assert (told.documents_added, told.documents_removed, told.documents_changed) == (1, 0, 1)


def test_nothing_changed_after_a_build(project: Project) -> None:
    version = project.build("handbook").version
    known = changes(project, version)
    assert known is not None
    assert not known.any
    project.lake().transaction(lambda: project.lake().run('CREATE SCHEMA lake."other"'), "somebody else's commit")
    known = changes(project, version)
    assert known is not None
    assert not known.any
    assert project.build("handbook").version == version


@pytest.mark.parametrize(
    ("table", "said"),
    [("embeddings", "chunks without a vector"), ("chunks", "without their chunks"), ("documents", "removed documents")],
)
def test_what_was_taken_away_is_missed(project: Project, table: str, said: str) -> None:
    version = project.build("handbook").version
    lake, tables = project.lake(), project.tables("handbook")
    name = {"embeddings": tables.embeddings, "chunks": tables.chunks, "documents": tables.dataset.documents}[table]
    key = lake.row(f"SELECT min({'content_hash' if table == 'embeddings' else 'document_id'}) FROM {name}")[0]
    column = "content_hash" if table == "embeddings" else "document_id"
    lake.transaction(lambda: lake.run(f"DELETE FROM {name} WHERE {column} = ?", [key]), "loss")
    assert changes(project, version) is not None
    with pytest.raises(RefusedError, match=said):
        project.snapshot("handbook")
    if table == "embeddings":
        assert project.embed("handbook").embedded == 1
    elif table == "chunks":
        assert project.chunk("handbook").documents_chunked == 1
    else:
        assert project.chunk("handbook").documents_removed == 1
    if table != "documents":
        assert project.snapshot("handbook").version == version


@pytest.mark.slow
@pytest.mark.parametrize(
    "done",
    [
        lambda project: project.lake().rows("CALL ducklake_flush_inlined_data('lake')"),
        lambda project: project.expire(dry_run=False, grace_s=0),
    ],
    ids=["flushed", "expired"],
)
def test_what_the_catalog_does_not_tell_is_looked_at(project: Project, done: Callable[[Project], object]) -> None:
    version = project.build("handbook").version
    write(project, "page1.md", page(100))
    project.sync("handbook")
    project.chunk("handbook")
    write(project, "page2.md", page(200))
    project.sync("handbook")
    assert changes(project, version) is not None
    done(project)
    assert changes(project, version) is None
    assert project.chunk("handbook").documents_chunked == 1
    assert project.embed("handbook").embedded > 0
    assert project.snapshot("handbook").made


def test_a_state_that_is_younger_than_its_version_is_none_of_it(project: Project) -> None:
    version = project.build("handbook").version
    lake, tables = project.lake(), project.tables("handbook")
    assert complete_at(lake, project.registry(), tables, project.space("handbook")) == version.lake_snapshot
    assert not made_before(lake, version.lake_snapshot, version.created_at - timedelta(minutes=1))
    assert not made_before(lake, version.lake_snapshot + 1000, version.created_at)
