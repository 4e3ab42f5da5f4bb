"""``vector-pipeline expectations``: suites written, shown, and as Data Docs."""

import json
from pathlib import Path

import pytest

from tests.conftest import write_project
from vector_pipeline.cli import run
from vector_pipeline.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "docs", 3, gates="expectations: suites").parent


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(list(words))
    return (code, *capsys.readouterr())


def test_init_writes_what_holds_anyway_and_never_over_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = call(capsys, "expectations", "show", "--json", "--project", str(project))[1]
    code, out, _ = call(capsys, "expectations", "init", "--project", str(project))
    assert (code, out.count("Wrote ")) == (0, 3)
    after = call(capsys, "expectations", "show", "--json", "--project", str(project))[1]
    said = {kind: one["expectations"] for kind, one in json.loads(before).items()}
    assert {kind: one["expectations"] for kind, one in json.loads(after).items()} == said
    assert {one["file"] for one in json.loads(before).values()} == {None}
    edited = project / "suites" / "chunks.yaml"
    edited.write_text("- {type: expect_table_row_count_to_be_between, kwargs: {min_value: 5}}")
    code, out, _ = call(capsys, "expectations", "init", "--project", str(project))
    assert (code, out.count("left as it is")) == (0, 3)
    assert "min_value: 5" in edited.read_text()
    shown = json.loads(call(capsys, "expectations", "show", "--json", "--project", str(project))[1])["chunks"]
    assert [(one["type"], one["kwargs"]) for one in shown["expectations"]] == [
        ("expect_table_row_count_to_be_between", {"min_value": 5})
    ]
    assert call(capsys, "expectations", "show", "--project", str(project))[0] == 0


def test_init_says_what_to_configure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_project(tmp_path / "docs", 3)
    out = call(capsys, "expectations", "init", "--project", str(config))[1]
    assert "gates: {expectations: expectations/handbook}" in out
    assert (config.parent / "expectations" / "handbook" / "documents.yaml").is_file()


def test_a_mistake_in_a_suite_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "suites").mkdir()
    (project / "suites" / "chunks.yaml").write_text("- {type: expect_column_values_to_be_unique, kwargs: {column: no}}")
    code, _, err = call(capsys, "expectations", "show", "--project", str(project))
    assert (code, err.count("\n"), "chunks.yaml:1: " in err) == (1, 1, True)
    code, out, _ = call(capsys, "check", "--project", str(project))
    assert (code, "chunks.yaml:1: " in out) == (1, True)


@pytest.mark.slow
def test_data_docs_are_built_of_a_version_and_of_the_lake(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "suites").mkdir()
    (project / "suites" / "chunks.yaml").write_text(
        "- {type: expect_column_values_to_be_between, kwargs: {column: chars, max_value: 60}, meta: {says: short}}\n"
        "- {type: expect_column_values_to_not_be_null, kwargs: {column: metadata.author}}\n"
        "- {type: expect_column_quantile_values_to_be_between, kwargs: {column: chars, quantile_ranges: "
        "{quantiles: [0.5], value_ranges: [[1, 9999]]}}}\n"
    )
    with Project.load(project / "vector_pipeline.yaml") as made:
        made.build("handbook")
    for words in ((), ("--version", "1")):
        code, out, err = call(capsys, "expectations", "docs", "--json", *words, "--project", str(project))
        assert (code, err) == (0, "")
        said = json.loads(out)
        assert said["success"] == {"documents": True, "chunks": False, "embeddings": True}
        assert Path(said["page"]).is_file()
    folder = project / ".vector_pipeline" / "data_docs" / "handbook"
    pages = sorted(folder.rglob("*-chunks.html"))
    assert [page.relative_to(folder).parts[0] for page in pages] == ["lake", "v1"]
    text = pages[1].read_text(encoding="utf-8")
    assert "metadata.author" in text
    assert "Failed" in text
