"""CSV as DuckDB reads it, without guesses that a bad row could upset: delimiter and columns come from the header alone.

A metadata column is whole numbers, numbers or booleans only if every value in the file is written so; an id stays as written.
"""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import duckdb

from vector_pipeline.corpus.record_sql import file_name, named, quoted
from vector_pipeline.errors import ConfigError

_DELIMITERS = (",", ";", "\t", "|")
# What a value must look like, and the type it then gets. 007 is no number; 1e999 is none that JSON has.
_TYPES = (
    (r"^-?(0|[1-9]\d{0,17})$", "BIGINT"),
    (r"^-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,2})?$", "DOUBLE"),
    (r"^(?i:true|false)$", "BOOLEAN"),
)


def csv_relation(path: Path, *, rejects: bool) -> tuple[str, list[str]]:
    """The ``read_csv`` of a file with all columns as text, and the columns. ``rejects`` stores bad rows, else they are skipped.

    Raises ``ConfigError`` for a file without a header.
    """
    delimiter, columns = _header(path)
    kinds = ", ".join(f"{quoted(column)}: 'VARCHAR'" for column in columns)
    bad = "store_rejects = true" if rejects else "ignore_errors = true"
    # A line may be as long as a text; the default of 2 MB would refuse it.
    return (
        f"read_csv({file_name(path)}, auto_detect = false, header = true, delim = {quoted(delimiter)}, quote = '\"', "
        f"escape = '\"', columns = {{{kinds}}}, max_line_size = 64000000, buffer_size = 128000000, {bad})"
    ), columns


def csv_types(connection: duckdb.DuckDBPyConnection, path: Path, columns: Sequence[str]) -> dict[str, str]:
    """Type of each of these columns, by all of its values."""
    if not columns:
        return {}
    fits = ", ".join(
        f"coalesce(bool_and(regexp_matches({named(column)}, {quoted(pattern)})), false)"
        for column in columns
        for pattern, _ in _TYPES
    )
    relation, _ = csv_relation(path, rejects=False)
    row = connection.execute(f"SELECT {fits} FROM {relation}").fetchone() or ()
    types = {}
    for number, column in enumerate(columns):
        found = row[number * len(_TYPES) : (number + 1) * len(_TYPES)]
        types[column] = next((kind for fit, (_, kind) in zip(found, _TYPES, strict=True) if fit), "VARCHAR")
    return types


def _header(path: Path) -> tuple[str, list[str]]:
    """Delimiter and column names: the delimiter that gives the header the most fields."""
    # Bytes that are no UTF-8 may follow in the next lines; they are those rows' problem.
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        text = io.TextIOWrapper(cast(IO[bytes], file), encoding="utf-8-sig", errors="replace", newline="")
        lines = [line for _, line in zip(range(20), text, strict=False)]
    headers = {delimiter: next(csv.reader(lines, delimiter=delimiter), []) for delimiter in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda one: len(headers[one]))
    columns = headers[delimiter]
    if not any(columns):
        raise ConfigError(f"{path} has no header", fix="Put the columns' names on its first line")
    if len(set(columns)) < len(columns):
        raise ConfigError(f"{path} names a column twice in its header: {', '.join(columns)}", fix="Rename one of them")
    return delimiter, columns
