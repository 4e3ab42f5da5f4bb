"""What the lake is asked, so that a test can say which statements may look at a table whole."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables

_ALLOWED = re.compile(
    # Counts of a state, which cost no column, the shape of a table, and rows that came after a state.
    r"\(SELECT count\(\*\) FROM \(FROM \S+ AT \(VERSION => \d+\)\) t\)"
    r"|^SELECT count\(\*\) FROM \(FROM \S+ AT \(VERSION => \d+\)\) t$"
    r"|FROM \S+ WHERE false|FROM \S+ WHERE snapshot_id > [1-9]\d*"
    # A few rows, as they stand.
    r"|FROM \S+ WHERE snapshot_id <= \d+ AND (?:true|ordinal = 0) LIMIT \d$"
    r"|^SELECT 1 FROM \(FROM \S+ AT \(VERSION => \d+\)\) LIMIT 1$"
)


def record_statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the lake is asked from now on."""
    said: list[str] = []

    def recorded(own: Callable[..., Any]) -> Callable[..., Any]:
        def ask(lake: Lake, sql: str, *args: Any, **more: Any) -> Any:
            said.append(" ".join(sql.split()))
            return own(lake, sql, *args, **more)

        return ask

    for name in ("table", "row", "rows", "run", "stream"):
        monkeypatch.setattr(Lake, name, recorded(getattr(Lake, name)))
    return said


def looked_whole(said: Sequence[str], tables: SpaceTables) -> list[str]:
    """Statements that look at a table of the dataset in another way than that."""
    names = (tables.dataset.documents, tables.dataset.items, tables.chunks, tables.embeddings)
    return [sql for sql in said if any(name in _ALLOWED.sub("", sql) for name in names)]
