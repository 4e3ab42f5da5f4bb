"""An erased document leaves nothing in the tables beside the vectors; what others need stays."""

import pytest

from tests.attest.conftest import Become, add
from tests.attest.test_quarantine import spoiled
from tests.conftest import MakeProject, page
from tests.trace.test_erase import files_with
from vector_pipeline.lake.golden import GoldenTables, read_golden
from vector_pipeline.lake.quarantine import doubt_since, last_proof
from vector_pipeline.lake.tables import WRITTEN
from vector_pipeline.project import Project

SECRET = "a rather unusual sentence of Jane"


@pytest.mark.slow
def test_an_erasure_takes_its_texts_and_hashes(make_project: MakeProject) -> None:
    project = make_project(4, shards=2, gates="attestation: {golden: golden.txt}, max_removed_share: 1")
    golden = project.base / "golden.txt"
    golden.write_text(f"{SECRET}\nsomething else\n", encoding="utf-8")
    add(project, "jane.md", f"# Jane\n\nThis is {SECRET}\n\n{SECRET}\n")
    project.build("handbook")
    lake, tables = project.lake(), project.tables("handbook")
    names = GoldenTables.of(tables)
    project.attest("handbook", everything=True, quarantine=True)
    before = int(lake.row(f"SELECT count(*) FROM {names.quarantine}")[0])
    project.embed("handbook")
    add(project, "later.md", page(71))
    project.build("handbook")
    project.attest("handbook", everything=True, quarantine=True)
    report = project.erase("handbook", document="jane.md", by="test")
    # The golden file is the user's own: the report says that it quotes the document.
    assert not report.gone
    left = {(one.where, one.what): one.remaining for one in report.places if one.remaining}
    assert left == {("file golden.txt", "lines of its text"): 1}
    golden.write_text("something else\n", encoding="utf-8")
    assert files_with(project, SECRET) == []
    lake, after = project.lake(), GoldenTables.of(tables)
    assert 0 < int(lake.row(f"SELECT count(*) FROM {after.quarantine}")[0]) <= before + 6
    assert project.erase("handbook", document="jane.md", by="test").gone
    made = project.build("handbook")
    assert made.version.documents == 5
    found = read_golden(lake, after)
    assert found is not None
    assert SECRET not in found.texts
    assert "something else" in found.texts
    assert project.attest("handbook", whole=True).passed


def beliefs(project: Project) -> dict[str, object]:
    """Which commits wrote what stands beside each other, what was last seen right, and what is not believed by it."""
    lake, tables = project.lake(), project.tables("handbook")
    names = GoldenTables.of(tables)
    written = {
        str(name): lake.rows(f"SELECT DISTINCT {WRITTEN} FROM {table} {which} ORDER BY ALL")
        for name, table, which in (
            ("vectors", tables.embeddings, ""),
            ("golden", names.golden, "WHERE origin = 'packaged'"),
            ("attestations", names.attestations, ""),
        )
    }
    proof = last_proof(lake, names)
    doubted = doubt_since(lake, tables, proof)
    return {**written, "proof": proof, "doubted": lake.rows("FROM doubted ORDER BY ALL"), "examples": doubted.examples}


@pytest.mark.slow
def test_after_an_erasure_nothing_is_doubted_that_was_not(make_project: MakeProject, become: Become) -> None:
    """And what was doubted is doubted still: who wrote a vector, and when, is the evidence."""
    project, _ = spoiled(make_project, become)
    sampled = project.attest("handbook").doubted
    assert sampled is not None
    before = beliefs(project)
    assert before["examples"] == ("new1.md", "new2.md")
    for document in ("page1.md", "page2.md"):  # The second one meets rows that the first one has written again.
        project.erase("handbook", document=document, by="test")
    after = beliefs(project)
    assert after == before
    moved = project.attest("handbook", quarantine=True)
    assert moved.doubted == sampled
    assert moved.moved == sampled.rows < moved.vectors
    project.build("handbook")
    assert beliefs(project)["doubted"] == []
