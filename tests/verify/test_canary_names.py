"""Names and patterns mean the same to the database as to ``names``."""

from fnmatch import fnmatchcase

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MakeProject
from vector_pipeline.verify.canaries.names import absent, expression, names
from vector_pipeline.verify.context import Side

SIGNS = st.text(st.sampled_from("ab/.-!]^[*?\\\n"), max_size=8)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@given(pattern=SIGNS, document=SIGNS)
@settings(max_examples=400, deadline=None)
def test_a_pattern_is_the_same_expression(database: duckdb.DuckDBPyConnection, pattern: str, document: str) -> None:
    found = database.execute("SELECT regexp_full_match($1, $2, 's')", [document, expression(pattern)]).fetchone()
    assert found is not None
    assert found[0] == fnmatchcase(document, pattern)


def test_an_id_may_hold_signs_of_patterns() -> None:
    assert names("b[1].md", "b[1].md")
    assert not names("b[1].md", "b2.md")


def test_absent_asks_the_version(make_project: MakeProject) -> None:
    project = make_project({"a[1].md": "# One\n\nText of one.", "deep/er/b.md": "# Two\n\nText of two."})
    project.build("handbook")
    version = project.version("handbook")
    lake, chunks = project.lake(read_only=True), Side(version).chunks
    wanted = ["a[1].md", "a1.md", "deep/*.md", "DEEP/*", "?[[]1].md", "c.md", "*", "none*"]
    assert absent(lake, chunks, wanted) == {"a1.md", "DEEP/*", "c.md", "none*"}
    assert absent(lake, chunks, []) == set()
