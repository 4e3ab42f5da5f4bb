"""Suites in files: what they may say, what is said of mistakes, and what becomes of them."""

import json
from pathlib import Path

import duckdb
import pytest

from tests.conftest import MakeProject
from tests.verify.expecting import check_rows
from vector_pipeline.config import GateConfig
from vector_pipeline.errors import ConfigError
from vector_pipeline.verify.expectations.reading import default_suite, default_text, read_suite, suite_of
from vector_pipeline.verify.expectations.suite import KINDS, PARAMETERS, Suite
from vector_pipeline.verify.facts import COLUMNS
from vector_pipeline.verify.outcome import CheckResult, Status


def suite(tmp_path: Path, text: str, kind: str = "documents") -> Suite:
    path = tmp_path / f"{kind}.yaml"
    path.write_text(text, encoding="utf-8")
    return read_suite(kind, path)  # type: ignore[arg-type]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        """CREATE TABLE documents AS SELECT (i % 4)::INTEGER AS shard, 'd' || i AS document_id, 'text of ' || i AS text,
               '' AS title, 'h' || i AS content_hash, now()::TIMESTAMP AS updated_at,
               CASE WHEN i = 7 THEN '{"status":"old","year":"1999"}' WHEN i = 8 THEN '{"year":3}' WHEN i = 9 THEN
               '{"status":"final","year":2001,"tags":["a","z"],"a/b.c":1}' ELSE '{"status":"final","year":2000,"tags":["a","b"]}'
               END AS metadata FROM range(20) t(i)"""
    )
    return connection


def check(con: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, **gates: object) -> CheckResult:
    return check_rows(
        con, "documents", "documents", suite=suite(tmp_path, text), gates=GateConfig.model_validate(gates)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_suites_use_nothing_but_what_there_is(kind: str) -> None:
    found = default_suite(kind)  # type: ignore[arg-type]
    assert {name for one in found.expectations for name in one.parameters()} <= set(PARAMETERS)
    assert set(found.columns()) <= set(COLUMNS[kind])
    assert len({one.says for one in found.expectations}) == len(found.expectations)


def test_a_dataset_has_its_own_suite_or_the_default_one(tmp_path: Path) -> None:
    gates = GateConfig(expectations=Path("suites"))
    assert suite_of("chunks", gates, tmp_path) == default_suite("chunks")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "chunks.yaml").write_text(default_text("chunks"))
    own = suite_of("chunks", gates, tmp_path)
    assert (own.path, own.expectations) == (tmp_path / "suites" / "chunks.yaml", default_suite("chunks").expectations)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("- type: a: b", 1, "not YAML"),
        ("a: 1", 1, "unknown key a"),
        ("just text", 1, "must hold a list"),
        ("# nothing\n", 1, "holds no expectation"),
        ("- kwargs: {column: chars}", 1, "must be a mapping with a `type:`"),
        ("# one\n\n- {type: expect_column_values_to_be_unique, kwarg: {}}", 3, "unknown key kwarg"),
        ("- {type: expect_column_values_to_be_unique, kwargs: {column: chras}}", 1, "no column chras; did you mean chars?"),
        ("- {type: expect_column_values_to_be_unique}", 1, "column is missing"),
        ("- {type: expect_column_values_to_be_unique, kwargs: {column: text}}", 1, "for lengths, patterns and nulls only"),
        ("- {type: expect_column_values_to_be_uniq, kwargs: {column: chars}}", 1, "Great Expectations has no"),
        ("- {type: expect_column_values_to_be_between, kwargs: {column: chars}}", 1, "min_value or max_value is missing"),
        (
            "- {type: expect_column_values_to_be_between, kwargs: {column: chars, min_value: 2, max_value: 1}}",
            1, "min_value is greater",
        ),
        ("- {type: expect_column_values_to_be_between, kwargs: {column: chars, min_value: two}}", 1, "min_value"),
        ("- {type: expect_column_values_to_be_between, kwargs: {column: chars, minimum: 2}}", 1, "minimum"),
        ("- {type: expect_column_values_to_not_be_null, kwargs: {column: chars, mostly: 2}}", 1, "between 0 and 1"),
        ("- {type: expect_column_values_to_be_in_set, kwargs: {column: chars, value_set: 2}}", 1, "must be a list"),
        ("- {type: expect_column_values_to_not_be_null, kwargs: {column: chars}, severity: bad}", 1, "critical, warning or info"),
        (
            "- type: expect_table_row_count_to_be_between\n  kwargs: {min_value: {$PARAMETER: min_row}}",
            1, "did you mean min_rows?",
        ),
        (
            "expectations:\n- {type: expect_column_values_to_be_unique, kwargs: {column: chars}}\nexpectations: []",
            3, "expectations stands twice",
        ),
        ("- {type: expect_column_kl_divergence_to_be_less_than, kwargs: {column: chars, threshold: x}}", 1, "threshold"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_with_file_and_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        suite(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'documents.yaml'}:{line}: ")
    assert says in said
    assert "\n" not in said


def test_metadata_has_a_schema(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    text = """
- {type: expect_column_values_to_not_be_null, kwargs: {column: metadata.status}}
- {type: expect_column_values_to_be_in_set, kwargs: {column: metadata.status, value_set: [draft, final]}}
- {type: expect_column_values_to_be_of_type, kwargs: {column: metadata.year, type_: int}}
- {type: expect_column_values_to_be_between, kwargs: {column: metadata.year, min_value: 1990, mostly: 0.9}}
- {type: expect_column_values_to_be_in_set, kwargs: {column: metadata.tags, value_set: [a, b, c]}}
- {type: expect_column_values_to_not_be_null, kwargs: {column: metadata.a/b.c, mostly: 0.05}}
"""
    result = check(con, tmp_path, text)
    assert result.status is Status.FAILED
    assert [one["unexpected"] for one in result.detail["expectations"]] == [1, 1, 1, 2, 1, 19]
    assert [one["success"] for one in result.detail["expectations"]] == [False, False, False, True, False, True]
    assert [one["document_id"] for one in result.examples] == ["d8", "d7", "d7", "d9"]


def test_texts_are_asked_where_they_are(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute("UPDATE documents SET text = '<div>menu</div> ' || text WHERE document_id IN ('d3', 'd4')")
    text = "- {type: expect_column_values_to_not_match_regex, kwargs: {column: text, regex: '<[a-z]+>'}}"
    result = check(con, tmp_path, text)
    assert [one["document_id"] for one in result.examples] == ["d3", "d4"]
    assert check(con, tmp_path, text.replace("'}}", "', mostly: 0.9}}")).status is Status.PASSED


SECRET = "the quokka keeps a ledger"


def test_a_verdict_names_rows_and_repeats_nothing_that_they_say(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute(
        """UPDATE documents SET text = $1, title = $1, metadata = json_object('author', $1) WHERE document_id = 'd3'""",
        [SECRET],
    )
    column = "- {type: expect_column_%s, kwargs: {column: %s, %s}}"
    text = "\n".join(
        [
            column % ("values_to_not_match_regex", "text", "regex: quokka"),
            column % ("values_to_not_match_regex", "title", "regex: quokka"),
            column % ("values_to_not_match_regex", "metadata.author", "regex: quokka"),
            column % ("value_lengths_to_be_between", "text", "max_value: 24"),
            column % ("distinct_values_to_be_in_set", "metadata.author", "value_set: [Jane]"),
            column % ("most_common_value_to_be_in_set", "title", "value_set: [Jane]"),
            column % ("mean_to_be_between", "metadata.author", "min_value: 1"),
            "- {type: expect_compound_columns_to_be_unique, kwargs: {column_list: [title, shard]}}",
        ]
    )
    result = check(con, tmp_path, text)
    assert result.status is Status.FAILED
    assert SECRET not in json.dumps(result.to_json())
    assert [one["success"] for one in result.detail["expectations"]] == [False] * 8
    assert "does not know how over metadata.author" in result.detail["expectations"][6]["error"]
    for number in range(4):
        says = result.detail["expectations"][number]["expectation"]
        assert [one for one in result.examples if one["expectation"] == says] == [
            {"expectation": says, "document_id": "d3"}
        ], says


def test_what_sql_cannot_say_great_expectations_evaluates_up_to_a_bound(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    text = """
- {type: expect_column_pair_values_a_to_be_greater_than_b, kwargs: {column_A: chars, column_B: shard}}
- type: expect_column_values_to_be_in_set
  kwargs: {column: shard, value_set: [0], row_condition: "chars > 9", condition_parser: pandas}
"""
    result = check(con, tmp_path, text)
    assert [one["success"] for one in result.detail["expectations"]] == [True, False]
    assert result.detail["expectations"][1]["unexpected"] == 8
    assert {one["shard"] for one in result.examples} == {1, 2, 3}
    result = check(con, tmp_path, text, expectations_in_memory=19)
    assert result.status is Status.UNKNOWN
    assert "at most 19 rows" in result.summary


@pytest.mark.slow
def test_a_critical_failure_is_told_before_what_is_unknown(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    text = """
- {type: expect_column_values_to_be_between, kwargs: {column: chars, min_value: 99}}
- {type: expect_column_values_to_be_decreasing, kwargs: {column: chars}}
"""
    result = check(con, tmp_path, text, expectations_in_memory=0)
    assert (result.status, "could not be evaluated" in result.summary) == (Status.FAILED, True)


@pytest.mark.parametrize(
    ("severity", "status"), [("critical", Status.FAILED), ("warning", Status.WARNED), ("info", Status.PASSED)]
)
def test_severity_is_what_a_failure_means(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, severity: str, status: Status
) -> None:
    one = "{type: expect_column_max_to_be_between, severity: %s, kwargs: {column: chars, max_value: 9}, meta: {says: short texts}}"
    result = check(con, tmp_path, f"- {one % severity}")
    assert (result.status, "short texts (10" in result.summary) == (status, True)
    assert len(result.examples) == 10


def test_a_mistake_makes_the_gate_unknown_and_an_edited_suite_asks_for_a_new_verdict(make_project: MakeProject) -> None:
    project = make_project(3, gates="expectations: suites, modes: {canary_retrieval: 'off'}")
    project.build("handbook")
    before = project.gate_settings("handbook")
    assert project.check_data("handbook", "documents").status is Status.PASSED
    folder = project.base / "suites"
    folder.mkdir()
    (folder / "documents.yaml").write_text("- {type: expect_column_values_to_be_unique, kwargs: {column: idd}}")
    result = project.check_data("handbook", "documents")
    assert (result.status, "documents.yaml:1: " in result.summary) == (Status.UNKNOWN, True)
    assert project.gate_settings("handbook") != before


def test_the_folder_of_the_suites_may_hold_anything_else(make_project: MakeProject) -> None:
    project = make_project(3, gates="expectations: .")
    before = project.gate_settings("handbook")
    project.build("handbook")  # Writes the lake into it.
    (project.base / "chunks.yaml.orig").write_text("- {}")
    assert project.gate_settings("handbook") == before
    (project.base / "chunks.yaml").write_text("- {type: expect_column_values_to_be_unique, kwargs: {column: ordinal}}")
    assert project.gate_settings("handbook") != before
