"""What became of a table between two lake snapshots, at the cost of what changed: DuckLake's change feed, netted.

Laws
----
1. What is found is the multiset difference of the two states in the columns asked for: a row that came and went, or that was
   written again as it was, is no change.
2. Where the feed may not tell all (a state or the table is not there at one end, the counts of both ends do not agree with it),
   nothing is found, and the caller reads both states.
3. Nothing here says what a state should be: whoever trusts an earlier one must know that it is the lake's own.
"""

from collections.abc import Sequence

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.lake.connection import CATALOG, Lake
from vector_pipeline.lake.tables import DatasetTables, at


def find_changes(
    lake: Lake,
    dataset: DatasetTables,
    table: str,
    columns: Sequence[str],
    old: int,
    new: int,
    into: str,
    *,
    expected: int | None = None,
) -> bool:
    """Fill the temporary table ``into`` with ``columns`` and ``net`` (how many more of such rows there are at ``new``; never 0).

    False where that cannot be told (law 2): ``into`` is not to be read then. ``old`` must not be newer than ``new``. ``expected``:
    how many rows there were at ``old`` when it was looked at; another number says that this is not that state any more.
    """
    named, listed = dataset.named(table), ", ".join(columns)
    if old == new:
        lake.run(f"CREATE OR REPLACE TEMP TABLE {into} AS SELECT {listed}, 0 AS net FROM {named} WHERE false")
        return True
    try:
        before, after = (int(lake.row(f"SELECT count(*) FROM {at(named, one)} t")[0]) for one in (old, new))
        if expected not in (None, before):
            return False
        lake.run(f"CREATE OR REPLACE TEMP TABLE {into} AS {_netted(dataset, table, listed, old, new)}")
    except (NotFoundError, UnavailableError):
        # The feed names neither what is gone nor what a merge took along: whatever it refuses, both states still say.
        return False
    return before + int(lake.row(f"SELECT coalesce(sum(net), 0) FROM {into}")[0]) == after


def _netted(dataset: DatasetTables, table: str, listed: str, old: int, new: int) -> str:
    place = f"{quoted(CATALOG)}, {quoted(dataset.dataset)}, {quoted(table)}, {int(old) + 1}, {int(new)}"
    return f"""
        SELECT {listed}, sum(sign)::BIGINT AS net FROM (
            SELECT {listed}, 1 AS sign FROM ducklake_table_insertions({place})
            UNION ALL SELECT {listed}, -1 FROM ducklake_table_deletions({place}))
        GROUP BY ALL HAVING sum(sign) <> 0"""
