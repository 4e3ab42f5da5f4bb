"""Record sources: every format gives the same rows; whatever is wrong with a row stays with that row."""

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_pipeline.config import RecordSourceConfig
from vector_pipeline.corpus import RECORD_ROWS, RecordSource, parse_record, record_sql, records
from vector_pipeline.errors import ConfigError, UnavailableError
from vector_pipeline.hashing import canonical_json

ROWS = [
    {"id": "1", "text": "first", "title": "One", "year": 1999, "tags": ["a", "b"], "extra": {"b": 1, "a": [1, 2]}},
    {"id": "2", "text": "second", "title": None, "year": None, "tags": [], "extra": None},
]


def rows(base: Path, **config: Any) -> list[dict[str, Any]]:
    source = RecordSource(RecordSourceConfig(**config), base)
    batches = list(source.batches())
    assert all(batch.schema == RECORD_ROWS for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def good(found: list[dict[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["text"] for row in found if row["reason"] is None}


def bad(found: list[dict[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in found if row["reason"] is not None}


def jsonl(path: Path, *lines: Any) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_jsonl_keeps_values_and_order(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", *ROWS)
    found = rows(tmp_path, kind="jsonl", path="a.jsonl", title="title", metadata=["year", "tags", "extra"])
    assert [row["id"] for row in found] == ["1", "2"]
    assert found[0]["title"] == "One"
    assert found[1]["title"] == ""
    assert json.loads(found[0]["metadata"]) == {"year": 1999, "tags": ["a", "b"], "extra": '{"b":1,"a":[1,2]}'}
    assert found[1]["metadata"] == '{"tags":[]}'
    assert {row["media_type"] for row in found} == {"text/plain"}


def test_jsonl_quarantines_by_line(tmp_path: Path) -> None:
    path = tmp_path / "data" / "a.jsonl"
    path.parent.mkdir()
    body = [
        b"\xef\xbb\xbf" + json.dumps({"id": 7, "text": "good"}).encode(),
        b'{"id": 2, "text": ',
        b"[1, 2]",
        b"",
        b'{"id": 3, "text": "caf\xe9"}',
        b'{"id": null, "text": "x"}',
        b'{"id": " ", "text": "x"}',
        b'{"id": 7, "text": "again"}',
        b'{"id": 8, "text": " \\n "}',
        b'{"id": 9, "text": "' + b"x" * 200 + b'"}',
        b'{"id": 10, "text": "last\\r\\nline"}',
    ]
    path.write_bytes(b"\n".join(body))
    found = rows(tmp_path, kind="jsonl", path="data/*.jsonl", max_text_size=100)
    assert good(found) == {"7": "good", "10": "last\nline"}
    assert bad(found) == {
        "data/a.jsonl:2": "unparsable",
        "data/a.jsonl:3": "unparsable",
        "data/a.jsonl:5": "unparsable",
        "data/a.jsonl:6": "bad-id",
        "data/a.jsonl:7": "bad-id",
        "data/a.jsonl:8": "bad-id",
        "8": "empty",
        "9": "too-large",
    }
    assert all(row["detail"] and "\n" not in row["detail"] and row["text"] == "" for row in found if row["reason"])


def test_several_files_and_gzip_are_one_source(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": "x", "text": "1"})
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write('{"id": "y", "text": "2"}\n{"id": "x", "text": "3"}\n')
    found = rows(tmp_path, kind="jsonl", path="*.jsonl*")
    assert good(found) == {"x": "1", "y": "2"}
    assert bad(found) == {"b.jsonl.gz:2": "bad-id"}


def test_texts_are_joined_by_a_blank_line(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": "1", "q": "Why?", "a": "So."}, {"id": "2", "q": " ", "a": "Only."})
    assert good(rows(tmp_path, kind="jsonl", path="a.jsonl", text=["q", "a"])) == {"1": "Why?\n\nSo.", "2": "Only."}


def test_csv_keeps_ids_as_they_are_written(tmp_path: Path) -> None:
    lines = [b"id,text,n,when", b'007,"hello, world",1,2024-01-01', b'8,"multi\nline",2,', b"9,too,many,columns,here"]
    lines += [b"11,caf\xe9,3,", b"12,fine,4,2024-02-01"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines) + b"\n")
    found = rows(tmp_path, kind="csv", path="a.csv", metadata=["n", "when"])
    assert good(found) == {"007": "hello, world", "8": "multi\nline", "12": "fine"}
    assert bad(found) == {"a.csv:4": "unparsable", "a.csv:5": "unparsable"}  # records, with the header as the first
    assert {row["id"]: row["metadata"] for row in found if not row["reason"]} == {
        "007": '{"n":1,"when":"2024-01-01"}',
        "8": '{"n":2}',
        "12": '{"n":4,"when":"2024-02-01"}',
    }


def test_parquet_and_a_query_give_the_same_rows(tmp_path: Path) -> None:
    connection = duckdb.connect(str(tmp_path / "d.duckdb"))
    connection.execute("""CREATE TABLE t AS SELECT range AS id, 'text ' || range AS text, range / 4 AS score,
        TIMESTAMP '2024-01-02 03:04:05' AS at, ['a', NULL, 'b'] AS tags, {'k': range} AS nested, range % 2 = 0 AS even,
        TIMESTAMPTZ '2024-01-02 03:04:05+02' AS zoned, 1.50::DECIMAL(5,2) AS price, NULL AS nothing FROM range(3)""")
    connection.execute(f"COPY t TO '{tmp_path / 'a.parquet'}'")
    connection.close()
    columns = ["score", "at", "tags", "nested", "even", "zoned", "price", "nothing"]
    parquet = rows(tmp_path, kind="parquet", path="a.parquet", metadata=columns)
    query = {"kind": "duckdb", "query": "SELECT * FROM t ORDER BY id; -- all"}
    assert rows(tmp_path, path="d.duckdb", metadata=columns, **query) == parquet
    assert json.loads(parquet[1]["metadata"]) == {
        "score": 0.25,
        "at": "2024-01-02T03:04:05",
        "tags": ["a", "b"],
        "nested": '{"k":1}',
        "even": False,
        "zoned": "2024-01-02T01:04:05+00",
        "price": 1.5,
    }
    files = {"kind": "duckdb", "query": "SELECT * FROM read_parquet('a.parquet') ORDER BY id"}
    assert rows(tmp_path, metadata=columns, **files) == parquet


def test_a_query_with_a_database_touches_nothing_else(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "d.duckdb")).close()
    (tmp_path / "secret.csv").write_text("id,text\n1,secret\n")
    with pytest.raises(ConfigError, match="disabled by configuration"):
        rows(tmp_path, kind="duckdb", path="d.duckdb", query=f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    for query in ("DROP TABLE t", "SELECT 1; SELECT 2", "COPY (SELECT 1) TO 'x'"):
        with pytest.raises(ConfigError, match="one SELECT"):
            rows(tmp_path, kind="duckdb", path="d.duckdb", query=query)
    with pytest.raises(ConfigError) as error:
        rows(tmp_path, kind="duckdb", query="SELEKT 1")
    assert "\n" not in str(error.value)


def test_wrong_sources_are_one_line(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": "1", "body": "x"})
    (tmp_path / "a.csv").write_text("key,body\n1,x\n")
    (tmp_path / "a.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(ConfigError, match=r"has no column text\. Columns there are: body, id"):
        rows(tmp_path, kind="jsonl", path="a.jsonl")
    with pytest.raises(ConfigError, match=r"has no column id, text\. Columns there are: key, body"):
        rows(tmp_path, kind="csv", path="a.csv")
    with pytest.raises((ConfigError, UnavailableError), match=r"a\.parquet"):
        rows(tmp_path, kind="parquet", path="a.parquet")
    with pytest.raises(ConfigError, match="no file matches"):
        rows(tmp_path, kind="csv", path="gone.csv")
    with pytest.raises(ConfigError, match="does not exist"):
        rows(tmp_path, kind="duckdb", path="gone.duckdb", query="SELECT 1")
    with pytest.raises(ConfigError, match="reserved"):
        rows(tmp_path, kind="csv", path="a.csv", metadata=["vp_x"])


def test_revision_follows_the_files(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"id": "1", "text": "x"})
    source = RecordSource(RecordSourceConfig(kind="jsonl", path="*.jsonl"), tmp_path)
    before = source.revision()
    assert before == source.revision()
    jsonl(path, {"id": "1", "text": "xy"})
    assert source.revision() not in (None, before)
    assert RecordSource(RecordSourceConfig(kind="duckdb", query="SELECT 1"), tmp_path).revision() is None


def test_html_rows_become_markdown(tmp_path: Path) -> None:
    jsonl(
        tmp_path / "a.jsonl",
        {"id": "1", "text": "<h2>A</h2><p>b <i>c</i></p>"},
        {"id": "2", "text": "<script>x</script>"},
    )
    found = rows(tmp_path, kind="jsonl", path="a.jsonl", media_type="text/html")
    assert good(found) == {"1": "## A\n\nb *c*"}
    assert bad(found) == {"2": "empty"}
    assert {row["media_type"] for row in found} == {"text/markdown"}
    assert parse_record("<p>x</p>", "text/html") == ("x", "text/markdown")
    assert parse_record("x \r\n", "text/plain") == ("x", "text/plain")


def test_html_too_deep_to_read_is_that_rows_problem(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": "1", "text": "<div>" * 2_000 + "deep"}, {"id": "2", "text": "<p>fine</p>"})
    found = rows(tmp_path, kind="jsonl", path="a.jsonl", media_type="text/html")
    assert good(found) == {"2": "fine"}
    assert bad(found) == {"1": "unparsable"}
    assert found[0]["text"] == ""
    assert "\n" not in found[0]["detail"]


@pytest.mark.parametrize("value", ["NaN", "nan", "1e999", "-Infinity", "-1E+400", "9" * 5_000])
def test_a_number_that_json_has_not_is_that_rows_problem(tmp_path: Path, value: str) -> None:
    lines = [f'{{"id": "1", "text": "a", "n": {value}}}', '{"id": "2", "text": "b", "n": 1.5}']
    jsonl(tmp_path / "a.jsonl", *lines, '{"id": "3", "text": "c", "n": {"deep": NaN}}')
    found = rows(tmp_path, kind="jsonl", path="a.jsonl", metadata=["n"])
    assert bad(found) == {"1": "bad-metadata"}
    assert [row["text"] for row in found] == ["", "b", "c"]
    assert [row["metadata"] for row in found] == ["{}", '{"n":1.5}', '{"n":"{\\"deep\\":NaN}"}']
    assert bad(rows(tmp_path, kind="jsonl", path="a.jsonl")) == {}  # only where it is metadata


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2028", "\x0b", " \u00a0\n\u2003\x85\x1f"])
def test_unicode_blanks_are_no_text(tmp_path: Path, blank: str) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": "1", "q": blank, "a": blank}, {"id": "2", "q": blank, "a": f"{blank}x"})
    found = rows(tmp_path, kind="jsonl", path="a.jsonl", text=["q", "a"])
    assert bad(found) == {"1": "empty"}
    assert good(found) == {"2": f"{blank}x"}


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_names_of_files_and_folders_are_no_patterns(tmp_path: Path, kind: str, name: str) -> None:
    base = tmp_path / "my [old] project"
    base.mkdir()
    for stem in ("a1", name):
        file = base / f"{stem}.{kind}"
        form = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet", "jsonl": "FORMAT json"}[kind]
        duckdb.sql(f"COPY (SELECT '{stem}' AS id, 'text of {stem}' AS text, 1 AS n) TO '{file}' ({form})")
    found = rows(base, kind=kind, path=f"*.{kind}", metadata=["n"])
    assert good(found) == {"a1": "text of a1", name: f"text of {name}"}
    assert bad(found) == {}


def test_batches_stream_in_order(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", *({"id": n, "text": f"text {n}"} for n in range(5_000)))
    source = RecordSource(RecordSourceConfig(kind="jsonl", path="a.jsonl"), tmp_path)
    batches = list(source.batches(rows_per_batch=2_048))
    assert len(batches) > 1
    assert pa.Table.from_batches(batches)["id"].to_pylist() == [str(n) for n in range(5_000)]
    next(source.batches())  # Left in the middle: nothing stays open.


plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(plain | text | st.lists(text, max_size=3), text), min_size=1, max_size=8))
def test_metadata_is_spelled_as_hashing_spells_it(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("law")
    lines = [{"id": n, "text": "x", "a/b~\"'": value, "Z": word} for n, (value, word) in enumerate(values)]
    jsonl(folder / "a.jsonl", *lines)
    found = rows(folder, kind="jsonl", path="a.jsonl", metadata=["a/b~\"'", "Z"])
    for line, row in zip(lines, found, strict=True):
        kept = {key: line[key] for key in ("a/b~\"'", "Z") if line[key] is not None}
        assert row["metadata"] == canonical_json(kept)


def compared(base: Path, known: dict[str, str], secret: str = "s") -> tuple[set[str], dict[str, dict[str, Any]]]:
    """Ids that are listed, and the rows of lines that changed, by id."""
    source = RecordSource(RecordSourceConfig(kind="jsonl", path="a.jsonl", text=["text", "more"]), base)
    table = pa.table({"id": pa.array(known, pa.string()), "revision": pa.array(known.values(), pa.string())})
    with source.compared(table, secret) as found:
        listed = [row["document_id"] for batch in found.listed() for row in batch.to_pylist()]
        changed = {row["id"]: row for batch in found.changed() for row in batch.to_pylist()}
    assert len(listed) == len(set(listed))
    return set(listed), changed


LINES = st.lists(
    st.one_of(
        st.builds(
            lambda id, text: json.dumps({"id": id, "text": text}), st.sampled_from("abcd"), st.sampled_from("xy ")
        ),
        st.sampled_from(
            ["", " ", "{", "[1]", '"a"', '{"id": null}', '{"id": " ", "text": "x"}', '{"id": "e", "more": "m"}']
        ),
    ),
    max_size=8,
)


@pytest.mark.slow
@given(before=LINES, after=LINES)
@settings(max_examples=30, deadline=None)
def test_comparing_lines_ends_where_reading_them_does(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str]
) -> None:
    base = tmp_path_factory.mktemp("lines")
    columns = json.dumps({"id": "has every column", "text": "t", "more": "m"})
    held: dict[str, dict[str, Any]] = {}
    for lines in (before, after):
        jsonl(base / "a.jsonl", columns, *lines)
        listed, changed = compared(base, {id: row["revision"] for id, row in held.items()})
        held = {id: row for id, row in held.items() if id in listed} | changed
        full = {row["id"]: row for row in rows(base, kind="jsonl", path="a.jsonl", text=["text", "more"])}
        assert listed == set(full)
        assert {id: (row["text"], row["reason"]) for id, row in held.items()} == {
            id: (row["text"], row["reason"]) for id, row in full.items()
        }
    assert compared(base, {id: row["revision"] for id, row in held.items()}) == (listed, {})


def test_what_a_line_is_known_by_is_made_with_the_secret(tmp_path: Path) -> None:
    """Two lines of one md5 can be made by whoever knows where it begins."""
    jsonl(tmp_path / "a.jsonl", {"id": "1", "text": "t", "more": "m"})
    _, first = compared(tmp_path, {})
    known = {id: row["revision"] for id, row in first.items()}
    assert compared(tmp_path, known) == ({"1"}, {})
    _, again = compared(tmp_path, known, "another")
    assert again["1"]["revision"] != known["1"]


def test_a_column_that_only_unchanged_lines_have_is_there(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": "1", "text": "t", "more": "m"}, {"id": "2", "text": "t"})
    _, first = compared(tmp_path, {})
    known = {id: row["revision"] for id, row in first.items()}
    jsonl(tmp_path / "a.jsonl", {"id": "1", "text": "t", "more": "m"}, {"id": "2", "text": "changed"})
    assert set(compared(tmp_path, known)[1]) == {"2"}
    jsonl(tmp_path / "a.jsonl", {"id": "1", "text": "t"}, {"id": "2", "text": "changed"})
    with pytest.raises(ConfigError, match="no column more"):
        compared(tmp_path, known)


@pytest.mark.parametrize("name", ["SELECT_ROWS", "SELECT_LISTED", "SELECT_CHANGED"])
@pytest.mark.parametrize("first", [0, 600_000], ids=["at once", "late"])
def test_what_fails_while_rows_are_read_is_told_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: int
) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": "1", "text": "t", "more": "m"})
    columns = (
        ["document_id"]
        if name == "SELECT_LISTED"
        else ["id", "text", "title", "metadata", "reason", "detail", "revision"]
    )
    values = ", ".join(f"i::VARCHAR AS {column}" for column in columns)
    failing = (
        f"SELECT {values} FROM (SELECT if(i < {first}, i, error('no more')) AS i FROM range({first + 10_000}) t(i))"
    )
    monkeypatch.setattr(record_sql, name, failing)
    with pytest.raises(ConfigError, match=r"a\.jsonl.*no more"):
        compared(tmp_path, {}) if name != "SELECT_ROWS" else rows(tmp_path, kind="jsonl", path="a.jsonl")


def test_that_rows_have_no_room_is_no_mistake_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jsonl(tmp_path / "a.jsonl", *({"id": n, "text": f"{n} " * 2_000} for n in range(1_000)))
    monkeypatch.setattr(records, "_MEMORY", "2MB")
    with pytest.raises(UnavailableError, match="Out of Memory") as raised:
        compared(tmp_path, {})
    assert "TMPDIR" in str(raised.value.fix)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_lines_longer_than_a_block_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: bytes) -> None:
    monkeypatch.setattr("vector_pipeline.corpus.record_lines._BATCH_BYTES", 7)
    body = b'{"id": "1", "text": "longer than seven"}\n\n \n{"id": "2", "text": "caf\xc3\xa9"}' + ending
    (tmp_path / "a.jsonl").write_bytes(body)
    found = rows(tmp_path, kind="jsonl", path="a.jsonl")
    assert good(found) == {"1": "longer than seven", "2": "café"}
