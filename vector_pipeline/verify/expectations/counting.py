"""Expectations over facts in DuckDB: one pass over the data, one query that counts everything, one bounded query a fault.

Laws
----
1. Facts stay in DuckDB, in a temporary table of this thread's. Texts and vectors are read, and never kept.
2. What has no plain meaning in SQL Great Expectations evaluates over pandas, up to ``in_memory`` rows; above that it is unknown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vector_pipeline.errors import UnavailableError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify import facts
from vector_pipeline.verify.expectations.finding import Finding, map_result
from vector_pipeline.verify.expectations.meaning import meaning, within
from vector_pipeline.verify.expectations.regex import as_re2
from vector_pipeline.verify.expectations.suite import Expectation, Kind, Suite
from vector_pipeline.verify.expectations.terms import Meaning, Number, Rows, name
from vector_pipeline.verify.outcome import EXAMPLES

TABLE = "facts"
_ROW_COUNTS = ("expect_table_row_count_to_be_between", "expect_table_row_count_to_equal")
Naming = Callable[[str], str]
"""Gives a SELECT of failing rows more to name them by: takes and returns SQL."""


@dataclass(frozen=True, slots=True)
class Source:
    """Rows and where they are."""

    lake: Lake
    relation: str
    """For FROM, with the columns that ``facts`` reads."""
    dimension: int | None = None
    naming: Naming = str


def evaluate(source: Source, suite: Suite, *, in_memory: int) -> tuple[int, list[Finding]]:
    """Number of rows, and the outcome of each expectation in the suite's order."""
    lake = source.lake
    texts = {
        number: found for number, one in enumerate(suite.expectations) if (found := _of_text(lake, one)) is not None
    }
    with _facts(source, suite, texts):
        types = {str(row[0]): str(row[1]) for row in lake.rows(f"DESCRIBE {TABLE}")}
        rows = int(lake.row(f"SELECT count(*) FROM {TABLE}")[0])
        # Nothing can be said of no rows but whether there may be none: a mean over them is no number.
        asked = {n: one for n, one in enumerate(suite.expectations) if rows or one.type in _ROW_COUNTS}
        known = {n: _kept(n, suite.kind) if n in texts else _plain(lake, one, types) for n, one in asked.items()}
        plain = {n: (asked[n], found) for n, found in known.items() if found is not None}
        findings = _counted(source, suite, plain, rows)
        findings |= _left(lake, suite, {n: one for n, one in asked.items() if n not in plain}, rows, in_memory)
    return rows, [findings[n] for n in asked]


def _of_text(lake: Lake, one: Expectation) -> Rows | None:
    """The meaning of an expectation on texts themselves."""
    found = _plain(lake, one, {facts.TEXT: "VARCHAR"}) if one.columns == (facts.TEXT,) else None
    return found if isinstance(found, Rows) and " FROM " not in found.unexpected else None


def _plain(lake: Lake, one: Expectation, types: Mapping[str, str]) -> Meaning | None:
    """The meaning that DuckDB can evaluate."""
    found = meaning(one, types)
    if found is not None and isinstance(one.kwargs.get("regex"), str):
        try:
            lake.row("SELECT regexp_matches('', ?)", [as_re2(one.kwargs["regex"])])
        except UnavailableError:
            return None
    return found


def _kept(number: int, kind: Kind) -> Rows:
    """The same, once it was answered while texts were read: its values are the names of rows."""
    answer = name(f"text broken {number}")
    return Rows(f"{answer} IS NOT NULL", answer, f"count(*) FILTER ({answer})", facts.NAMES[kind][:1])


@contextmanager
def _facts(source: Source, suite: Suite, texts: Mapping[int, Rows]) -> Iterator[None]:
    extra: dict[str, str] = {}
    for number, one in texts.items():
        extra[f"text broken {number}"] = f"CASE WHEN {one.considered} THEN ({one.unexpected})::BOOLEAN END"

    def make(nulls: bool) -> None:
        sql = facts.select(
            suite.kind, source.relation, suite.columns(), extra=extra, dimension=source.dimension, nulls=nulls
        )
        source.lake.run(f"CREATE OR REPLACE TEMP TABLE {TABLE} AS {sql}")

    try:
        make(nulls=False)
    except UnavailableError:
        if suite.kind != "embeddings":
            raise
        make(nulls=True)
    try:
        yield
    finally:
        source.lake.run(f"DROP TABLE IF EXISTS {TABLE}")


def _counted(
    source: Source, suite: Suite, plain: Mapping[int, tuple[Expectation, Meaning]], rows: int
) -> dict[int, Finding]:
    """One query for all; then one for each that does not hold."""
    if not plain:
        return {}
    wanted: list[str] = []
    for _, found in plain.values():
        wanted += (
            [found.value, "NULL"]
            if isinstance(found, Number)
            else [found.count, f"count(*) FILTER ({found.considered})"]
        )
    numbers = source.lake.row(f"SELECT {', '.join(wanted)} FROM {TABLE}")
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return {
        n: _finding(source, suite, one, found, pair, rows)
        for (n, (one, found)), pair in zip(plain.items(), pairs, strict=True)
    }


def _finding(
    source: Source, suite: Suite, one: Expectation, found: Meaning, pair: tuple[Any, Any], rows: int
) -> Finding:
    if isinstance(found, Number):
        success = within(pair[0], one.kwargs)
        shown = [] if success else _offenders(source, suite, one, found, pair[0])
        return Finding(one, success, {"observed_value": pair[0]}, shown)
    unexpected, considered = int(pair[0]), int(pair[1])
    success = not considered or (considered - unexpected) / considered >= one.kwargs.get("mostly", 1)
    shown = [] if success else _rows(source, suite, found.columns, f"WHERE {found.unexpected}")
    values = [row[found.columns[0]] if len(found.columns) == 1 else {c: row[c] for c in found.columns} for row in shown]
    return Finding(one, success, map_result(rows, considered, unexpected, values), shown)


def _offenders(source: Source, suite: Suite, one: Expectation, found: Number, seen: Any) -> list[dict[str, Any]]:
    """Rows that carry a number out of its bounds."""
    if found.column is None or found.offenders == "false":
        return []
    column = name(found.column)
    if found.offenders is not None:
        return _rows(source, suite, (found.column,), f"WHERE {found.offenders}")
    low = one.kwargs.get("min_value")
    below = low is not None and seen is not None and not within(seen, {**one.kwargs, "max_value": None})
    order = "ASC" if below else "DESC"
    return _rows(source, suite, (found.column,), f"WHERE {column} IS NOT NULL ORDER BY {column} {order}")


def _rows(source: Source, suite: Suite, columns: Sequence[str], which: str) -> list[dict[str, Any]]:
    """Some rows by name, with the columns that an expectation is on."""
    chosen = ", ".join(name(column) for column in dict.fromkeys([*facts.NAMES[suite.kind], *columns]))
    found = source.lake.table(source.naming(f"SELECT {chosen} FROM {TABLE} {which} LIMIT {EXAMPLES}"))
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _left(lake: Lake, suite: Suite, left: Mapping[int, Expectation], rows: int, in_memory: int) -> dict[int, Finding]:
    """What Great Expectations evaluates itself; law 2."""
    if not left:
        return {}
    if rows > in_memory:
        why = (
            f"only Great Expectations itself knows it, over at most {in_memory:,} rows (gates: expectations_in_memory)"
        )
        return {n: Finding(one, False, error=why) for n, one in left.items()}
    from vector_pipeline.verify.expectations import engine

    found = engine.run(suite.kind, lake.table(f"FROM {TABLE}"), list(left.values()))
    return dict(zip(left, found, strict=True))
