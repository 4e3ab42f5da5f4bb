"""The release engine on Chroma, end to end: a small real project from documents to production and back, in both forms."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.conftest import page, write_project
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.serving import open_index
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.chroma import ChromaTarget

SECRET = "the quokka of Rottnest keeps a ledger of unpaid debts"
DATASET = "handbook"


@pytest.fixture(params=["embedded", "served"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    place = "path: index"
    if request.param == "served":
        monkeypatch.setenv("CHROMA_URL", request.getfixturevalue("url"))
        place = f"url: '${{env:CHROMA_URL}}', database: {request.getfixturevalue('database')}"
    gates = "max_removed_share: 1, canaries: canaries.yaml"
    config = write_project(tmp_path / f"project-{request.param}", 12, gates=gates)
    (config.parent / "canaries.yaml").write_text(
        "canaries:\n  - {query: about page 3, expect: [page3.md], k: 5}\n", encoding="utf-8"
    )
    with config.open("a", encoding="utf-8") as file:
        file.write("    retention: {keep_versions: 2, reader_grace_s: 0}\n    release: {strategy: versioned}\n")
        file.write(f"environments:\n  dev:\n    targets:\n      local: {{kind: chroma, {place}}}\n")
    with Project.load(config) as opened:
        yield opened
        target = opened.target(DATASET)
        for namespace in target.namespaces():
            target.drop_namespace(namespace)


def release(project: Project) -> None:
    project.build(DATASET)
    project.push(DATASET, by="test")
    deployment, results = project.verify(DATASET)
    assert not any(one.blocks for one in results), results
    alias, moved = project.promote(DATASET, by="test")
    assert moved
    assert alias.deployment == deployment


def edit(project: Project, name: str, text: str) -> None:
    (project.base / "documents" / name).write_text(text, encoding="utf-8")


def drifted(project: Project, level: str = "full") -> bool:
    return any(one.drifted for one in project.drift(DATASET, level=level, record=False))


def ids(target: Target, version: int) -> set[str]:
    (namespace,) = target.namespaces()
    marks = [row for batch in target.scan(namespace) for row in batch.to_pylist()]
    return {row["id"] for row in marks if row["added_in"] <= version < row["removed_in"]}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_release_from_documents_to_production_and_back(project: Project) -> None:
    release(project)
    target = project.target(DATASET)
    assert isinstance(target, ChromaTarget)
    assert project.plan(DATASET).empty
    assert not drifted(project)
    first = ids(target, 1)

    edit(project, "page1.md", page(100))
    edit(project, "page2.md", "---\nteam: search\n---\n" + page(2))
    edit(project, "new.md", page(200))
    release(project)
    assert ids(target, 1) == first
    second = ids(target, 2)
    assert second - first
    assert not drifted(project)
    with open_index(DATASET, project=project.base, max_staleness_s=0) as index:
        found = index.query("About page 200", top_k=3)
        assert found[0].document == "new.md"
        assert {hit.document for hit in index.query("page", top_k=5, filter={"team": "search"})} == {"page2.md"}
        alias, moved = project.rollback(DATASET, by="test")
        assert (alias.deployment.version, moved) == (1, True)
        assert "new.md" not in {hit.document for hit in index.query("About page 200", top_k=3)}
    project.rollback(DATASET, by="test", to=2)

    (namespace,) = target.namespaces()
    target.delete(namespace, pa.array(sorted(second)[:3]))
    stranger = target.fetch(namespace, sorted(second)[3:4])
    name = stranger.schema.get_field_index("id")
    target.upsert(namespace, stranger.set_column(name, "id", pa.array(["by-hand"])))
    assert drifted(project, "ids")
    edit(project, "page5.md", page(300))
    project.build(DATASET)
    with pytest.raises(RefusedError, match="somebody else"):
        project.push(DATASET, by="test")
    done = project.repair(DATASET, by="test")
    assert (done.writes > 0, done.drifted) == (True, False)
    assert (ids(target, 1), ids(target, 2)) == (first, second)

    for number in range(3):
        edit(project, "page4.md", page(400 + number))
        release(project)
    records = sum(batch.num_rows for batch in target.scan(namespace))
    collected = project.collect(DATASET, dry_run=False)
    assert not collected.dry_run
    assert sum(batch.num_rows for batch in target.scan(namespace)) < records
    assert not drifted(project)
    assert project.plan(DATASET).empty


@pytest.mark.slow
def test_blue_and_green(project: Project) -> None:
    release(project)
    edit(project, "page1.md", page(100))
    project.build(DATASET)
    project.push(DATASET, by="test", strategy="blue-green")
    project.verify(DATASET)
    project.promote(DATASET, by="test")
    assert len(project.target(DATASET).namespaces()) == 2
    assert not drifted(project)
    alias, _ = project.rollback(DATASET, by="test")
    assert alias.deployment.version == 1


@pytest.mark.slow
@pytest.mark.parametrize("project", ["embedded"], indirect=True)
def test_what_is_erased_is_in_no_file(project: Project) -> None:
    edit(project, "jane.md", f"# Jane\n\n{SECRET}, she said.\n")
    release(project)
    erased = project.erase(DATASET, document="jane.md", reason="asked for", by="test")
    assert erased is not None
    assert not drifted(project)
    said = b"".join(file.read_bytes() for file in (project.base / "index").rglob("*") if file.is_file())
    assert b"speaks of item" in said  # otherwise nothing was shown
    assert SECRET.encode() not in said
    with pytest.raises(RefusedError, match="read-only"):
        project.target(DATASET, read_only=True).purge(project.target(DATASET).namespaces()[0])


@pytest.mark.slow
@pytest.mark.parametrize("project", ["embedded"], indirect=True)
def test_another_hands_edit_is_told_and_repaired(project: Project) -> None:
    edit(project, "page1.md", "---\nteam: search\nrating: 0.30000000000000004\n---\n" + page(1))
    release(project)
    target = project.target(DATASET)
    assert isinstance(target, ChromaTarget)
    place = target._places.get(target.namespaces()[0])
    every = sorted(ids(target, 1))
    before = target.fetch(place.spec.name, every, vectors=False).sort_by("id")

    def asked(rule: dict[str, object]) -> set[str]:
        with open_index(DATASET, project=project.base, max_staleness_s=0) as index:
            return {hit.document for hit in index.query("page", top_k=5, filter=rule)}

    name = next(row["id"] for row in before.to_pylist() if '"search"' in row["metadata"])
    for change in (
        {"team": "legal"},
        {"vp_number:rating": None, "vp_tokens": None},
        {"vp_added_in": None},
        {"vp_added_in": "x"},
    ):
        natives = [change]
        target._connection.call(lambda api, some=natives: api._update(place.id, [name], metadatas=some))  # type: ignore[misc]
        assert drifted(project, "ids"), change
        assert drifted(project, "full"), change
        if "team" in change:
            assert asked({"team": "legal"}) == {"page1.md"}
        if "vp_added_in" in change:
            assert name not in ids(target, 1)
        done = project.repair(DATASET, level="full", by="test")
        assert (done.writes > 0, done.drifted) == (True, False), change
        assert asked({"team": "legal"}) == set()
        assert asked({"team": "search", "rating": {"$gt": 0.3}}) == {"page1.md"}
    after = target.fetch(place.spec.name, every, vectors=False).sort_by("id")
    assert after.drop_columns("metadata").equals(before.drop_columns("metadata"))
