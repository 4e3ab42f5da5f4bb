"""Identity: pure, stable, and the same in Python and in SQL."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_pipeline import hashing
from vector_pipeline.corpus.model import Document, sql_digest

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def test_identities_never_change() -> None:
    """These values are in users' indexes: whoever changes one breaks every index there is."""
    assert hashing.content_hash("hello") == "2cf24dba5fb0a30e26e83b2ac5b9e29e"
    assert hashing.document_key("a/b.md") == "5a05f1b231ec94b2822eb9a3"
    assert hashing.shard_of("a/b.md", 16) == 2
    assert hashing.content_key("h", "f") == "1dfa871e3eac7aa88245f986"
    assert hashing.metadata_hash({"b": 1, "a": "ü"}) == "4e7ff4080b1a00acdaf71eb0cdf2d504"
    assert hashing.fingerprint({"a": 1}) == "015abd7f5cc57a2d"
    assert hashing.record_id("d", "h", "f") == f"{hashing.document_key('d')}#{hashing.content_key('h', 'f')}"
    assert hashing.record_id("d", "h", "f", 3).endswith(".3")


@given(TEXTS, st.integers(1, 64))
def test_sql_twins_agree(con: duckdb.DuckDBPyConnection, text: str, shards: int) -> None:
    space = "0123456789abcdef"
    row = con.execute(
        f"""SELECT {hashing.sql_content_hash("t")}, {hashing.sql_document_key("t")},
                   {hashing.sql_content_key("t", space)}, {hashing.sql_shard("t", shards)} FROM (SELECT ?::VARCHAR AS t)""",
        [text],
    ).fetchone()
    assert row == (
        hashing.content_hash(text),
        hashing.document_key(text),
        hashing.content_key(text, space),
        hashing.shard_of(text, shards),
    )


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_document_digest_agrees_with_sql(
    con: duckdb.DuckDBPyConnection, text: str, title: str, metadata: dict[str, str]
) -> None:
    document = Document("id", text, title, "text/plain", metadata)
    found = con.execute(
        f"SELECT {sql_digest('a', 'b', 'c', 'd')} FROM (SELECT ? AS a, ? AS b, ? AS c, ? AS d)",
        [text, title, "text/plain", hashing.canonical_json(metadata)],
    ).fetchone()
    assert found == (document.digest,)


@given(st.dictionaries(TEXTS, st.integers() | TEXTS | st.booleans()))
def test_metadata_hash_ignores_order(metadata: dict[str, object]) -> None:
    assert hashing.metadata_hash(metadata) == hashing.metadata_hash(dict(reversed(metadata.items())))


def test_base_record_id_strips_the_generation_only(con: duckdb.DuckDBPyConnection) -> None:
    for identifier, base in {"a#b": "a#b", "a#b~7": "a#b", "a#b.2": "a#b.2", "a#b.2~7": "a#b.2"}.items():
        assert hashing.base_record_id(identifier) == base
        found = con.execute(f"SELECT {hashing.sql_base_record_id('t')} FROM (SELECT ? AS t)", [identifier]).fetchone()
        assert found == (base,)
