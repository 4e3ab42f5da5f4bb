"""Expectations over facts that the documented SQL makes from real DuckDB tables."""

import subprocess
import sys
from collections.abc import Iterator

import duckdb
import pytest

from tests.verify.expecting import check_rows
from vector_pipeline.config import GateConfig
from vector_pipeline.verify.outcome import CheckResult, Status

GATES = GateConfig(min_text_chars=3, max_text_chars=50, max_duplicate_share=0.25)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE documents AS SELECT (i % 4)::INTEGER AS shard, 'd' || i AS document_id, 'text of ' || i AS text,
                'Title ' || i AS title, sha256(i::VARCHAR)[:32] AS content_hash, '{}' AS metadata FROM range(200) t(i);
            CREATE TABLE chunks AS SELECT shard, document_id, 0 AS ordinal, text, content_hash,
                document_id || '#' || content_hash AS record_id, metadata FROM documents;
            CREATE TABLE embeddings AS SELECT shard, content_hash,
                [0.6, 0.8, 0, 1e-4 * document_id[2:]::INTEGER]::FLOAT[] AS vector FROM documents;
        """)
        yield connection


def check(con: duckdb.DuckDBPyConnection, kind: str, **values: object) -> CheckResult:
    return check_rows(con, kind, kind, gates=GATES, shards=4, dimension=4, **values)  # type: ignore[arg-type]


def broken(result: CheckResult) -> set[str]:
    assert (result.status in (Status.FAILED, Status.WARNED)) == any(
        not one["success"] for one in result.detail["expectations"]
    )
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
    assert check(con, kind, allow_empty=True).status is Status.PASSED


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
    assert broken(result) == {"bad_chars (U+FFFD, where a decoder lost a character) is 0 in 99% of rows"}
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
FAR, ZERO, FLAT = "norm between 0.99 and 1.01", "norm > 0", "spread > 0"


@pytest.mark.parametrize(
    ("vector", "fails"),
    [
        ("[0.6, 0.8]", {"dimension is 4", *NOT_MEASURED}),
        ("[1, 'nan'::FLOAT, 0, 0]", {"every component is finite", *NOT_MEASURED}),
        ("['inf'::FLOAT, '-inf'::FLOAT, 0, 0]", {"every component is finite", *NOT_MEASURED}),
        ("[1, NULL, 0, 0]", {"every component is finite", *NOT_MEASURED}),
        ("NULL", {"dimension is 4", "every component is finite", *NOT_MEASURED}),
        ("[]", {"dimension is 4", "every component is finite", *NOT_MEASURED}),
        ("[0, 0, 0, 0]", {FAR, ZERO, FLAT}),
        ("[3, 4, 0, 0]", {FAR}),
        ("[3e38, 3e38, 0, 0]", {FAR}),
        ("[0.5, 0.5, 0.5, 0.5]", {FLAT}),
        ("[0, 0.577, 0.577, 0.577]", set()),
    ],
)
def test_bad_vectors(con: duckdb.DuckDBPyConnection, vector: str, fails: set[str]) -> None:
    con.execute(f"UPDATE embeddings SET vector = {vector} WHERE content_hash = sha256('7')[:32]")
    result = check(con, "embeddings")
    assert broken(result) == fails
    hashed = con.execute("SELECT sha256('7')[:32]").fetchall()[0][0]
    named = {(one["content_hash"], one["shard"]) for one in result.examples}
    assert named == ({(hashed, 3)} if fails else set())


@pytest.mark.parametrize("dimension", [1, 3, 384, 1536])
def test_constant_vectors_of_any_size_are_seen_and_others_are_not(
    con: duckdb.DuckDBPyConnection, dimension: int
) -> None:
    con.execute(
        f"""CREATE OR REPLACE TABLE embeddings AS SELECT shard, content_hash,
            list_transform(range({dimension}), lambda x: (CASE WHEN shard = 0 THEN 0.3 ELSE
                sin(x + 1 + document_id[2:]::INTEGER * 0.01) END / sqrt({dimension}))::FLOAT)::FLOAT[] AS vector FROM documents"""
    )
    result = check_rows(con, "embeddings", "embeddings", gates=GATES, dimension=dimension, normalized=False)
    flat = [one["unexpected"] for one in result.detail["expectations"] if one["expectation"] == FLAT]
    assert flat == ([0] if dimension == 1 else [50])


def test_a_space_that_is_not_normalised_allows_any_length_but_zero(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE embeddings SET vector = list_transform(vector, lambda x: 5 * x)")
    assert check(con, "embeddings", normalized=False).status is Status.PASSED
    con.execute("UPDATE embeddings SET vector = [0, 0, 0, 0]")
    assert broken(check(con, "embeddings", normalized=False)) >= {ZERO, FLAT}


def test_a_collapsed_model_is_seen(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE embeddings SET vector = [0.6, 0.8, 0, 0] WHERE shard = 0")
    result = check(con, "embeddings")
    assert broken(result) == {"share of vectors that stand for several texts <= 0.2"}
    assert "0.25" in result.summary


def test_a_text_has_one_vector_in_each_shard_that_needs_it(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "INSERT INTO embeddings SELECT 1, content_hash, vector FROM embeddings WHERE content_hash = sha256('7')[:32]"
    )
    assert check(con, "embeddings").status is Status.PASSED
    con.execute(
        "INSERT INTO embeddings SELECT 1, content_hash, vector FROM embeddings WHERE content_hash = sha256('1')[:32]"
    )
    assert broken(check(con, "embeddings")) == {"shard and content_hash are together unique"}


@pytest.mark.slow
def test_what_cannot_be_checked_is_unknown(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ALTER TABLE documents DROP COLUMN content_hash")
    result = check(con, "documents")
    assert (result.status, "content_hash" in result.summary) == (Status.UNKNOWN, True)
    con.execute("ALTER TABLE documents ADD COLUMN content_hash VARCHAR DEFAULT 'h'")
    con.execute("ALTER TABLE documents ALTER COLUMN shard TYPE VARCHAR USING 'many'")
    result = check(con, "documents")
    assert result.status is Status.UNKNOWN
    assert "shard between 0 and 3" in result.summary
    assert "\n" not in result.summary


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("cafÃ© au lait", "mojibake"),
        ("he said itâ€™s fine", "mojibake"),
        ("price Â£5 today", "mojibake"),
        ("ï»¿begin of it", "mojibake"),
        ("naïve café, it’s “fine” — £5, À L’ÂGE", None),
        ("MANHÃ… INFORMAÇÃO, NÃO", None),
        ("Ünïcôdé жук 漢字 😀", None),
        ("bell \x07 rings", "control_chars"),
        ("next\x85line here", "control_chars"),
        ("tab\tline\nfeed\fhere", None),
    ],
)
def test_signs_of_a_wrong_encoding(con: duckdb.DuckDBPyConnection, text: str, fails: str | None) -> None:
    con.execute("UPDATE chunks SET text = ? || ' ' || document_id WHERE document_id IN ('d1', 'd2')", [text])
    assert check(con, "chunks").status is Status.PASSED
    con.execute("UPDATE chunks SET text = ? || ' ' || document_id WHERE document_id = 'd3'", [text])
    assert {one.split(" ")[0] for one in broken(check(con, "chunks"))} == ({fails} if fails else set())


def test_near_duplicates_are_the_same_but_for_case_spaces_and_punctuation(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE chunks SET text = upper(replace(text, ' ', ' - ')) WHERE ordinal = 0 AND shard = 0")
    assert check(con, "chunks").status is Status.PASSED
    con.execute("UPDATE chunks SET text = 'The same: TEXT!' WHERE shard = 0")
    con.execute("UPDATE chunks SET text = 'the same text', content_hash = 'h' || rowid WHERE shard = 1 AND rowid < 9")
    result = check(con, "chunks")
    assert broken(result) == {"share of near duplicates <= 0.25"}
    assert all(one["near_duplicate"] == 1 for one in result.examples)


def test_letters_of_a_script_that_is_rare_in_the_dataset_are_a_warning(con: duckdb.DuckDBPyConnection) -> None:
    russian = "Это русский текст, номер "
    con.execute("UPDATE chunks SET text = ? || document_id WHERE document_id[2:]::INTEGER < 4", [russian])
    assert check(con, "chunks").status is Status.PASSED
    con.execute("UPDATE chunks SET text = ? || document_id WHERE document_id[2:]::INTEGER < 6", [russian])
    result = check(con, "chunks")
    assert (result.status, "foreign_letters" in result.summary) == (Status.WARNED, True)
    con.execute("UPDATE chunks SET text = ? || document_id WHERE document_id[2:]::INTEGER < 100", [russian])
    assert check(con, "chunks").status is Status.PASSED


def test_the_module_costs_no_import_of_great_expectations() -> None:
    code = "import sys, vector_pipeline.verify.expectations as e; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
