"""Expectations over facts that the documented SQL makes from real DuckDB tables."""

import subprocess
import sys
import time
import warnings
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from vector_pipeline.config import GateConfig
from vector_pipeline.verify.expectations import FACTS, validate
from vector_pipeline.verify.facts import chunks_facts, documents_facts, embeddings_facts
from vector_pipeline.verify.outcome import CheckResult, Status

GATES = GateConfig(min_text_chars=3, max_text_chars=50, max_duplicate_share=0.25)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE documents AS SELECT (i % 4)::INTEGER AS shard, 'd' || i AS document_id, 'text of ' || i AS text,
                'Title ' || i AS title, sha256(i::VARCHAR)[:32] AS content_hash FROM range(200) t(i);
            CREATE TABLE chunks AS SELECT shard, document_id, 0 AS ordinal, text, content_hash,
                document_id || '#' || content_hash AS record_id FROM documents;
            CREATE TABLE embeddings AS SELECT shard, content_hash,
                CASE WHEN shard = 0 THEN [0.6, 0.8, 0] ELSE [0, 0.8, -0.6] END::FLOAT[] AS vector FROM documents;
        """)
        yield connection


def check(con: duckdb.DuckDBPyConnection, kind: str, **kwargs: object) -> CheckResult:
    sql = {"documents": documents_facts, "chunks": chunks_facts, "embeddings": lambda name: embeddings_facts(name, 3)}[
        kind
    ]
    defaults = {"documents": {"shards": 4}, "embeddings": {"dimension": 3}}.get(kind, {})
    facts = con.sql(sql(kind)).to_arrow_table()
    assert tuple(facts.column_names) == FACTS[kind]
    return validate(kind, facts, gates=GATES, **{**defaults, **kwargs})  # type: ignore[arg-type]


def broken(result: CheckResult) -> set[str]:
    assert (result.status is Status.FAILED) == any(not one["success"] for one in result.detail["expectations"])
    return {one["expectation"] for one in result.detail["expectations"] if not one["success"]}


@pytest.mark.parametrize("kind", ["documents", "chunks", "embeddings"])
def test_good_tables_pass(con: duckdb.DuckDBPyConnection, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    result = check(con, kind)
    assert result.status is Status.PASSED, result.summary
    assert result.summary.startswith(f"{kind}: ")
    assert result.summary.endswith(" expectations hold for 200 rows")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["documents", "chunks", "embeddings"])
def test_an_empty_table_fails_unless_it_may_be_empty(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    con.execute(f"DELETE FROM {kind}")
    assert "rows >= 1" in broken(check(con, kind))
    assert "rows >= 1" not in broken(check(con, kind, min_rows=0))


@pytest.mark.parametrize(
    ("change", "fails", "named"),
    [
        ("INSERT INTO documents SELECT * FROM documents WHERE document_id = 'd7'", {"document_id is unique"}, {"d7"}),
        ("UPDATE documents SET document_id = NULL WHERE document_id = 'd7'", {"document_id is not null"}, {None}),
        ("UPDATE documents SET content_hash = NULL WHERE document_id = 'd7'", {"content_hash is not null"}, {"d7"}),
        ("UPDATE documents SET text = '' WHERE document_id = 'd7'", {"chars >= 1"}, {"d7"}),
        ("UPDATE documents SET text = NULL WHERE document_id = 'd7'", {"chars >= 1"}, {"d7"}),
        ("UPDATE documents SET shard = 4 WHERE document_id = 'd7'", {"shard between 0 and 3"}, {"d7"}),
        ("UPDATE documents SET shard = -1 WHERE document_id = 'd7'", {"shard between 0 and 3"}, {"d7"}),
        ("UPDATE documents SET shard = NULL WHERE document_id = 'd7'", {"shard is not null"}, {"d7"}),
    ],
)
def test_bad_documents(con: duckdb.DuckDBPyConnection, change: str, fails: set[str], named: set[object]) -> None:
    con.execute(change)
    result = check(con, "documents")
    assert broken(result) == fails
    assert {example["document_id"] for example in result.examples} == named
    assert all(example["title"] == "Title 7" for example in result.examples)


def test_rows_are_named_rightly_where_nulls_stand_before_them(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE documents SET shard = CASE document_id WHEN 'd7' THEN 9 ELSE NULL END WHERE rowid < 9")
    result = check(con, "documents")
    assert broken(result) == {"shard is not null", "shard between 0 and 3"}
    outside = [one for one in result.examples if one["expectation"] == "shard between 0 and 3"]
    assert [(one["document_id"], one["shard"]) for one in outside] == [("d7", 9)]


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        ("INSERT INTO chunks SELECT * FROM chunks WHERE document_id = 'd7'", {"record_id is unique"}),
        ("UPDATE chunks SET record_id = NULL WHERE document_id = 'd7'", {"record_id is not null"}),
        ("UPDATE chunks SET text = 'no' WHERE document_id = 'd7'", {"chars between 3 and 50"}),
        ("UPDATE chunks SET text = repeat('é', 51) WHERE document_id = 'd7'", {"chars between 3 and 50"}),
    ],
)
def test_bad_chunks(con: duckdb.DuckDBPyConnection, change: str, fails: set[str]) -> None:
    con.execute(change)
    result = check(con, "chunks")
    assert broken(result) == fails
    assert {example["document_id"] for example in result.examples} == {"d7"}
    assert "such as" in result.summary


def test_replacement_characters_are_allowed_in_one_chunk_of_a_hundred(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE chunks SET text = 'caf\ufffd ' || text WHERE document_id IN ('d1', 'd2')")
    assert check(con, "chunks").status is Status.PASSED
    con.execute("UPDATE chunks SET text = 'caf\ufffd ' || text WHERE document_id = 'd3'")
    result = check(con, "chunks")
    assert broken(result) == {"bad_chars is 0 in 99% of rows"}
    assert {(one["document_id"], one["bad_chars"]) for one in result.examples} == {("d1", 1), ("d2", 1), ("d3", 1)}


def test_duplicates_count_only_across_documents_and_up_to_the_share(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE chunks SET document_id = 'd0', content_hash = 'same', record_id = 'd0#' || rowid")
    assert check(con, "chunks").status is Status.PASSED
    con.execute("UPDATE chunks SET content_hash = 'h' || rowid, document_id = 'd' || rowid")
    con.execute("UPDATE chunks SET content_hash = 'same' WHERE rowid < 50")
    assert check(con, "chunks").status is Status.PASSED
    con.execute("UPDATE chunks SET content_hash = 'same' WHERE rowid = 50")
    result = check(con, "chunks")
    assert broken(result) == {"share of duplicates <= 0.25"}
    assert "0.255" in result.summary
    assert len(result.examples) == 10
    assert all(one["duplicate"] == 1 for one in result.examples)


NOT_MEASURED = {"norm is not null", "spread is not null"}


@pytest.mark.parametrize(
    ("vector", "fails"),
    [
        ("[0.6, 0.8]", {"dimension is 3", *NOT_MEASURED}),
        ("[1, 'nan'::FLOAT, 0]", {"every component is finite", *NOT_MEASURED}),
        ("['inf'::FLOAT, '-inf'::FLOAT, 0]", {"every component is finite", *NOT_MEASURED}),
        ("[1, NULL, 0]", {"every component is finite", *NOT_MEASURED}),
        ("NULL", {"dimension is 3", "every component is finite", *NOT_MEASURED}),
        ("[]", {"dimension is 3", "every component is finite", *NOT_MEASURED}),
        ("[0, 0, 0]", {"norm between 0.99 and 1.01", "spread > 0"}),
        ("[3, 4, 0]", {"norm between 0.99 and 1.01"}),
        ("[3e38, 3e38, 0]", {"norm between 0.99 and 1.01"}),
        ("[0.57735, 0.57735, 0.57735]", {"spread > 0"}),
    ],
)
def test_bad_vectors(con: duckdb.DuckDBPyConnection, vector: str, fails: set[str]) -> None:
    con.execute(f"UPDATE embeddings SET vector = {vector} WHERE content_hash = sha256('7')[:32]")
    result = check(con, "embeddings")
    assert broken(result) == fails
    assert {(example["content_hash"], example["shard"]) for example in result.examples} == {
        (con.execute("SELECT sha256('7')[:32]").fetchall()[0][0], 3)
    }


def test_a_space_that_is_not_normalised_allows_any_length_but_zero(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE embeddings SET vector = [3, 4, 0]")
    assert check(con, "embeddings", normalized=False).status is Status.PASSED
    con.execute("UPDATE embeddings SET vector = [0, 0, 0]")
    assert broken(check(con, "embeddings", normalized=False)) == {"norm > 0", "spread > 0"}


def test_a_text_has_one_vector_in_each_shard_that_needs_it(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "INSERT INTO embeddings SELECT 1, content_hash, vector FROM embeddings WHERE content_hash = sha256('7')[:32]"
    )
    assert check(con, "embeddings").status is Status.PASSED
    con.execute(
        "INSERT INTO embeddings SELECT 1, content_hash, vector FROM embeddings WHERE content_hash = sha256('1')[:32]"
    )
    assert broken(check(con, "embeddings")) == {"shard and content_hash are together unique"}


def test_what_cannot_be_checked_is_unknown(con: duckdb.DuckDBPyConnection) -> None:
    facts = con.sql(documents_facts("documents")).to_arrow_table()
    result = validate("documents", facts.drop_columns(["chars"]), gates=GATES)
    assert (result.status, "lack the column chars" in result.summary) == (Status.UNKNOWN, True)
    assert check(con, "embeddings", dimension=None).status is Status.UNKNOWN
    wrong = facts.set_column(2, "chars", pa.array(["many"] * facts.num_rows))
    result = validate("documents", wrong, gates=GATES)
    assert result.status is Status.UNKNOWN
    assert "chars >= 1" in result.summary
    assert "\n" not in result.summary


def test_the_module_costs_no_import_of_great_expectations() -> None:
    code = "import sys, vector_pipeline.verify.expectations as e; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_warm_check_of_100_000_rows_takes_under_a_second_though_every_row_fails(
    con: duckdb.DuckDBPyConnection,
) -> None:
    check(con, "documents")
    facts = con.sql(
        "SELECT 'd' || i // 2 AS document_id, 9 AS shard, 0 AS chars, 'h' AS content_hash, '' AS title "
        "FROM range(100000) t(i)"
    ).to_arrow_table()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        result = validate("documents", facts, gates=GATES, shards=4)
        times.append(time.perf_counter() - start)
    assert broken(result) == {"document_id is unique", "chars >= 1", "shard between 0 and 3"}
    assert len(result.examples) == 30
    assert min(times) < 1.0


def test_warning_filters_are_as_before(con: duckdb.DuckDBPyConnection) -> None:
    before = list(warnings.filters)
    check(con, "documents")
    assert warnings.filters == before
