"""An erased document leaves nothing in the tables beside the vectors; what others need stays."""

from tests.attest.conftest import add
from tests.conftest import MakeProject, page
from tests.trace.test_erase import files_with
from vector_pipeline.lake.golden import GoldenTables, read_golden
from vector_pipeline.lake.quarantine import doubt_since, last_proof

SECRET = "a rather unusual sentence of Jane"


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


def test_after_an_erasure_nothing_is_doubted_that_was_not(make_project: MakeProject) -> None:
    project = make_project(4, shards=2, gates="max_removed_share: 1")
    project.build("handbook")
    project.erase("handbook", document="page1.md", by="test")
    lake, tables = project.lake(), project.tables("handbook")
    names = GoldenTables.of(tables)
    assert read_golden(lake, names) is not None
    assert last_proof(lake, names) is not None
    assert doubt_since(lake, tables, last_proof(lake, names)).rows == 0
    add(project, "new.md", page(71))
    project.build("handbook")
    assert project.attest("handbook", whole=True).passed
