"""The release engine on PostgreSQL, end to end: a small real project from documents to production and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import page, write_project
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.targets.pgvector.tables import table_name

SECRET = "the quokka of Rottnest keeps a ledger of unpaid debts"
DATASET = "handbook"


@pytest.fixture
def project(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("PGVECTOR_URL", database)
    pages = {f"page{n}.md": page(n) for n in range(12)} | {"jane.md": f"# Jane\n\n{SECRET}, she said.\n"}
    config = write_project(tmp_path / "project", pages, gates="max_removed_share: 1, canaries: canaries.yaml")
    (config.parent / "canaries.yaml").write_text(
        "canaries:\n  - {query: about page 3, expect: [page3.md], k: 5}\n", encoding="utf-8"
    )
    with config.open("a", encoding="utf-8") as file:
        file.write("    retention: {keep_versions: 2, reader_grace_s: 0}\n")
        file.write("    release: {strategy: versioned}\n")
        file.write(
            "environments:\n  dev:\n    targets:\n      local: {kind: pgvector, url: '${env:PGVECTOR_URL}', hnsw: true}\n"
        )
    with Project.load(config) as opened:
        yield opened


def release(project: Project, *, promote: bool = True) -> None:
    project.build(DATASET)
    project.push(DATASET, by="test")
    deployment, results = project.verify(DATASET)
    assert not any(one.blocks for one in results), results
    if promote:
        alias, moved = project.promote(DATASET, by="test")
        assert moved
        assert alias.deployment == deployment


def by_hand(project: Project, database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Another program's SQL on the line that production reads."""
    (namespace,) = project.target(DATASET).namespaces()
    with psycopg.connect(database) as connection:
        cursor = connection.execute(
            statement.replace("TABLE", f"vector_pipeline.{table_name(namespace)}"), values or None
        )
        return cursor.fetchall() if cursor.description else []


def drifted(project: Project) -> bool:
    return any(one.drifted for one in project.drift(DATASET, level="full", record=False))


def edit(project: Project, name: str, text: str) -> None:
    (project.base / "documents" / name).write_text(text, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_release_from_documents_to_production_and_back(project: Project, database: str) -> None:
    release(project)
    assert project.target(DATASET).kind == "pgvector"
    assert project.plan(DATASET).empty
    assert not drifted(project)

    edit(project, "page1.md", page(100))
    edit(project, "new.md", page(200))
    release(project)
    assert project.registry().alias(DATASET, "dev", "production").deployment.version == 2
    assert by_hand(project, database, "SELECT count(DISTINCT added_in) FROM TABLE") == [(2,)]  # one line, two versions

    alias, moved = project.rollback(DATASET, by="test")
    assert (alias.deployment.version, moved) == (1, True)
    project.promote(DATASET, by="test", version=2)

    # Somebody else's hand: a record gone, one that nobody made, a vector and a text that are others.
    ids = [row[0] for row in by_hand(project, database, "SELECT id FROM TABLE ORDER BY id")]
    by_hand(project, database, "DELETE FROM TABLE WHERE id = %s", ids[0])
    by_hand(
        project,
        database,
        "UPDATE TABLE SET vector = -1 * vector WHERE id = %s".replace("-1 * vector", "(SELECT avg(vector) FROM TABLE)"),
        ids[1],
    )
    by_hand(project, database, 'UPDATE TABLE SET metadata = metadata || \'{"by": "hand"}\' WHERE id = %s', ids[2])
    by_hand(
        project, database,
        "INSERT INTO TABLE SELECT 'by-hand', vector, document_id, content_hash, metadata_hash, space, 0 FROM TABLE LIMIT 1",
    )  # fmt: skip
    assert drifted(project)
    done = project.repair(DATASET, level="full", by="test")
    assert not done.drifted
    assert done.writes >= 4
    assert not drifted(project)
    edit(project, "page2.md", page(300))
    release(project)
    collected = project.collect(DATASET, dry_run=False, grace_s=0, by="test")
    assert collected is not None
    assert not drifted(project)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_erased_is_in_no_file_of_the_table(project: Project, database: str, postgres_folder: Path) -> None:
    release(project)
    erased = project.erase(DATASET, document="jane.md", reason="asked for", by="test")
    assert erased is not None
    assert not drifted(project)
    (path,) = by_hand(project, database, "SELECT pg_relation_filepath('TABLE'), pg_relation_filepath(reltoastrelid)"
                                         " FROM pg_class WHERE oid = 'TABLE'::regclass")  # fmt: skip
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    said = b"".join((postgres_folder / str(name)).read_bytes() for name in path if name)
    assert b"speaks of item" in said  # otherwise nothing was shown
    assert SECRET.encode() not in said
    with pytest.raises(RefusedError, match="read-only"):
        project.target(DATASET, read_only=True).purge(project.target(DATASET).namespaces()[0])
