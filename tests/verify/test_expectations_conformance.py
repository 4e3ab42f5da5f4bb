"""What DuckDB counts is what Great Expectations counts: the same suite over the same rows, both ways."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify.expectations import counting, engine
from vector_pipeline.verify.expectations.finding import Finding
from vector_pipeline.verify.expectations.regex import as_re2
from vector_pipeline.verify.expectations.suite import Expectation, Suite

WORDS = ("", "ab\n", "٣ x", "a", "ab", "Ab", "naïve", "漢字", "a b\nc", "10", "x" * 12)
PATTERNS = (
    "^a",
    "b$",
    "[A-Z]",
    r"\d+",
    r"^\w+$",
    "a|漢",
    r"\s",
    "(?i)AB",
    "^$",
    ".",
    r"^\W",
    r"[^\w\s]",
    r"[\d-]",
    r"\S$",
    "a.b",
)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([-1.5, 0.5, 2.25]))
JSON = st.one_of(st.none(), st.sampled_from([*WORDS[1:6]]), st.integers(-3, 3), st.sampled_from([0.5, -1.5]))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "whole": st.one_of(st.none(), st.integers(-3, 3)),
            "real": st.one_of(st.none(), st.sampled_from([-1.5, 0.0, 0.5, 2.25, math.nan])),
            "word": st.one_of(st.none(), st.sampled_from(WORDS)),
            "flag": st.one_of(st.none(), st.booleans()),
            "metadata.k": JSON,
        }
    ),
    min_size=1,
    max_size=12,
)
COLUMNS = ("whole", "real", "word", "flag", "metadata.k")
NUMERIC = st.sampled_from(("whole", "real"))
MOSTLY = st.sampled_from([1, 1.0, 0.9, 0.5, 0.0])


def one(kind: str, **kwargs: st.SearchStrategy[Any]) -> st.SearchStrategy[Expectation]:
    return st.fixed_dictionaries(kwargs).map(lambda found: Expectation(kind, found))


@st.composite
def bounds(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> dict[str, Any]:
    low, high = sorted([draw(values), draw(values)])
    made = draw(st.sampled_from([{"min_value": low}, {"max_value": high}, {"min_value": low, "max_value": high}]))
    return {**made, **draw(st.sampled_from([{}, {"strict_min": True}, {"strict_max": True}]))}


@st.composite
def ranged(draw: st.DrawFn, kind: str, column: st.SearchStrategy[str] | None, values: Any, mostly: bool) -> Expectation:
    named = {"column": draw(column)} if column is not None else {}
    more = {"mostly": draw(MOSTLY)} if mostly else {}
    return Expectation(kind, {**named, **draw(bounds(values)), **more})


ANY = st.sampled_from(COLUMNS)
TEXTS = st.just("word")
SETS = {
    "whole": st.lists(NUMBERS, min_size=1, max_size=3), "real": st.lists(NUMBERS, min_size=1, max_size=3),
    "word": st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), "flag": st.lists(st.booleans(), min_size=1, max_size=2),
    "metadata.k": st.lists(st.one_of(st.sampled_from(WORDS), st.integers(-3, 3)), min_size=1, max_size=3),
}  # fmt: skip
IN_SETS = [
    one(f"expect_column_values_to_{said}be_in_set", column=st.just(column), value_set=values, mostly=MOSTLY)
    for column, values in SETS.items()
    for said in ("", "not_")
]
EXPECTATIONS = st.one_of(
    *(one(f"expect_column_values_to_{said}", column=ANY, mostly=MOSTLY) for said in ("not_be_null", "be_null")),
    one("expect_column_values_to_be_unique", column=ANY, mostly=MOSTLY),
    one(
        "expect_compound_columns_to_be_unique",
        column_list=st.lists(st.sampled_from(("whole", "real", "word", "flag")), min_size=2, max_size=3, unique=True),
    ),
    *IN_SETS,
    ranged("expect_column_values_to_be_between", NUMERIC, NUMBERS, True),
    ranged("expect_column_value_lengths_to_be_between", TEXTS, st.integers(0, 6), True),
    one("expect_column_value_lengths_to_equal", column=TEXTS, value=st.integers(0, 3), mostly=MOSTLY),
    *(
        one(f"expect_column_values_to_{said}match_regex", column=TEXTS, regex=st.sampled_from(PATTERNS), mostly=MOSTLY)
        for said in ("", "not_")
    ),
    one(
        "expect_column_values_to_be_of_type",
        column=st.just("metadata.k"),
        type_=st.sampled_from(("int", "str", "float")),
    ),
    one("expect_column_values_to_be_in_type_list", column=st.just("metadata.k"), type_list=st.just(["int", "float"])),
    *(
        ranged(f"expect_column_{said}_to_be_between", NUMERIC, NUMBERS, False)
        for said in ("mean", "median", "min", "max", "sum", "stdev")
    ),
    ranged("expect_column_unique_value_count_to_be_between", ANY, st.integers(0, 6), False),
    ranged("expect_column_proportion_of_unique_values_to_be_between", ANY, st.sampled_from([0, 0.5, 1]), False),
    ranged("expect_column_proportion_of_non_null_values_to_be_between", ANY, st.sampled_from([0, 0.5, 1]), False),
    ranged("expect_table_row_count_to_be_between", None, st.integers(0, 12), False),
    one("expect_table_row_count_to_equal", value=st.integers(1, 5)),
)


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    with duckdb.connect() as connection:
        yield Lake(connection, "memory", read_only=True)


def fill(lake: Lake, rows: list[dict[str, Any]]) -> None:
    lake.run(
        """CREATE OR REPLACE TEMP TABLE facts (document_id VARCHAR, title VARCHAR, whole BIGINT, "real" DOUBLE, word VARCHAR,
               flag BOOLEAN, "metadata.k" JSON)"""
    )
    for number, row in enumerate(rows):
        values = [row[name] for name in COLUMNS[:-1]]
        held = None if row["metadata.k"] is None else json.dumps(row["metadata.k"])
        lake.run("INSERT INTO facts VALUES (?, '', ?, ?, ?, ?, ?)", [f"d{number}", *values, held])


def counted(lake: Lake, suite: Suite, rows: int) -> list[Finding]:
    types = {str(row[0]): str(row[1]) for row in lake.rows("DESCRIBE facts")}
    plain = {}
    for number, expectation in enumerate(suite.expectations):
        found = counting._plain(lake, expectation, types)
        assert found is not None, f"{expectation} has no plain meaning"
        plain[number] = (expectation, found)
    findings = counting._counted(counting.Source(lake, "facts"), suite, plain, rows)
    return [findings[number] for number in range(len(suite.expectations))]


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, report_multiple_bugs=False, suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes: each example runs both ways
)  # fmt: skip
@given(rows=ROWS, expectations=st.lists(EXPECTATIONS, min_size=12, max_size=20))
def test_duckdb_counts_what_great_expectations_counts(
    lake: Lake, rows: list[dict[str, Any]], expectations: list[Expectation]
) -> None:
    fill(lake, rows)
    suite = Suite("documents", tuple(expectations))
    ours = counted(lake, suite, len(rows))
    theirs = engine.run("documents", lake.table("FROM facts"), expectations)
    for mine, other in zip(ours, theirs, strict=True):
        said = f"{mine.expectation.type} {mine.expectation.kwargs} over {rows}"
        assert other.error is None, f"{said}: {other.error}"
        assert mine.success == other.success, said
        for key in ("element_count", "unexpected_count", "missing_count", "unexpected_percent"):
            if key in other.result:
                assert mine.result[key] == pytest.approx(other.result[key]), f"{key}: {said}"
        if "observed_value" in other.result:
            assert mine.result["observed_value"] == pytest.approx(other.result["observed_value"]), said
        if not mine.success and other.rows:
            assert [row["document_id"] for row in mine.rows] == [row["document_id"] for row in other.rows], said


@pytest.mark.parametrize(
    "pattern",
    [
        r"\w+",
        r"^\d$",
        r"[\w-]+\s?$",
        "(?i)x",
        "(?:a|b)$",
        r"\.",
        "[$]",
        r"a\$",
        "[]a]",
        "[^]a]",
        "",
        "é",
        r"\S\W\D",
        "[a-c]{2}",
        "^a{,3}$",
        "^(?:a{,}b|x{,1} y)$",
        "[{,3}]",
        r"^a\{,3}$",
    ],
)
def test_patterns_find_the_same_in_both_engines(lake: Lake, pattern: str) -> None:
    shared = as_re2(pattern)
    assert shared is not None
    for text in (
        "",
        "a",
        "ab",
        "a\n",
        "X",
        "x y",
        "漢字",
        "٣",
        "-",
        "$",
        "a$",
        "]",
        ".",
        "é\u00a0z",
        "1\n\n",
        "ab\nb",
        "aaa",
        "aaaa",
        "a{,3}",
        ",",
    ):
        assert lake.row("SELECT regexp_matches(?, ?)", [text, shared])[0] == bool(re.search(pattern, text)), text


@pytest.mark.parametrize(
    "pattern",
    [
        r"\bword\b",
        "(?=a)",
        "(?<!a)b",
        r"(a)\1",
        "a++",
        "(?P<n>a)",
        "[[:alpha:]]",
        r"[\W]",
        r"\Z",
        "(?s)a",
        "a{1001}",
        "a{,9999}",
    ],
)
def test_what_only_python_knows_is_left_to_it(pattern: str) -> None:
    assert as_re2(pattern) is None
