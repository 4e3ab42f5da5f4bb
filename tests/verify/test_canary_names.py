"""Names and patterns mean the same to the database as to ``names``."""

from fnmatch import fnmatchcase

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MakeProject
from vector_pipeline.verify.canaries.names import absent, expression, names, near
from vector_pipeline.verify.context import Side

SIGNS = st.text(st.sampled_from("ab/.-!]^[*?\\\n"), max_size=8)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.mark.slow
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


def test_near_finds_what_was_mistyped_and_compares_few(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project({"a.md": "# One\n\nText of one."})
    project.build("handbook")
    lake = project.lake(read_only=True)
    many = (
        "(SELECT 'guide/section' || range % 100 || '/page-number-' || range || '.md' AS document_id FROM range(20_000))"
    )
    right = "guide/section12/page-number-1212.md"
    wrong = [
        "guide/section12/page-numer-1212.md", "guides/section12/page-number-1212.md",
        "Guide/section12/Page-Number-1212.md", "guide/section12/page-number-1212.rst",
    ]  # fmt: skip
    beyond = [f"guide/none/{n}" for n in range(50)]
    assert near(lake, many, [*wrong, *beyond]) == {one: [right] for one in wrong}
    assert near(lake, many, ["guide/section12/page-number-x12.md"]) == {
        "guide/section12/page-number-x12.md": ["guide/section12/page-number-112.md", "guide/section12/page-number-12.md",
                                               "guide/section12/page-number-212.md"]
    }  # fmt: skip
    monkeypatch.setattr("vector_pipeline.verify.canaries.names._PAIRS", 0)
    assert near(lake, many, wrong) == {}, "too many could be meant"
