"""What became of a table between two lake snapshots, at the cost of what changed: DuckLake's change feed, netted.

Laws
----
1. What is found is the multiset difference of the two states in the columns asked for: a row that came and went, or that was
   written again as it was, is no change.
2. Where the feed may not tell all (a state or the table is not there at one end, the counts of both ends do not agree with it), or
   tells too much (law 6), nothing is found, and the caller reads both states.
3. Nothing here says what a state should be: whoever trusts an earlier one must know that it is the lake's own.
4. The feed of a table is read once: what was read stays in a temporary table of the thread, and later states add what came after.
   States do not change, so what was read of them stays true while both ends are there, which is asked each time: by number and
   by the time of the commit, for a lake that was put back or made anew under an open connection has the same numbers. So do its
   counts: of a feed that is added to, the new end is counted.
5. What cannot be added to as a whole (an error, an interrupt) is not known any more.
6. A feed that is longer than reading both states is worth, is not read: rows that were written many times between are in it as
   often, and all of it is written out. How long it is the catalog says before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.lake.connection import CATALOG, METADATA, Lake
from vector_pipeline.lake.tables import DatasetTables, at

_OF_ROWS = "(inserted_into_table|deleted_from_table|inlined_insert|inlined_delete)"
"""Commits that touch no other tables than they name, as DuckLake 1.0 says it."""
_MOST = 2
"""Law 6: rows of a feed for each row of the two states."""
_LITTLE = 10_000
"""Rows of a feed that are read whatever the states have."""


@dataclass(frozen=True, slots=True)
class _Feed:
    """What was read of a table's feed (law 4): the temporary table ``name`` of ``columns`` and ``sign``."""

    name: str
    columns: tuple[str, ...]
    old: int
    new: int
    times: tuple[str, str]
    """Of the commits that made ``old`` and ``new`` (law 4)."""
    before: int = 0
    after: int = 0
    """Rows at ``old`` and at ``new``."""

    def leads_to(self, old: int, new: int, columns: Sequence[str]) -> bool:
        return self.old == old and self.new <= new and set(columns) <= set(self.columns)


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
    # Known again when it was added to (law 5).
    seen: _Feed | None = lake.notes.pop(named, None)
    feed = _feed(lake, dataset, table, columns, old, new, seen)
    if feed is None and seen is not None:
        # What was read may not be added to: the state that it ended with is gone, perhaps.
        feed = _feed(lake, dataset, table, columns, old, new, None)
    if feed is None:
        return False
    lake.notes[named] = feed
    if expected not in (None, feed.before):
        return False
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE {into} AS
            SELECT {listed}, sum(sign)::BIGINT AS net FROM {feed.name} GROUP BY ALL HAVING sum(sign) <> 0"""
    )
    return True


def columns_read(lake: Lake, dataset: DatasetTables, table: str) -> tuple[str, ...]:
    """Columns of the table's feed that this thread has read; none where it has read nothing."""
    feed: _Feed | None = lake.notes.get(dataset.named(table))
    return feed.columns if feed is not None else ()


def count_at(lake: Lake, dataset: DatasetTables, table: str, snapshot: int | None) -> int:
    """Rows of a table at a lake snapshot (None: now), which ``find_changes`` may have counted."""
    feed: _Feed | None = lake.notes.get(dataset.named(table))
    if feed is not None and snapshot in (feed.old, feed.new):
        end = (feed.old, feed.new).index(snapshot)
        if _times(lake, snapshot) == {snapshot: feed.times[end]}:
            return (feed.before, feed.after)[end]
    return _count(lake, dataset.named(table), snapshot)


def _feed(
    lake: Lake, dataset: DatasetTables, table: str, columns: Sequence[str], old: int, new: int, seen: _Feed | None
) -> _Feed | None:
    """Law 4; None where the feed refuses, is too long, or the counts of both ends do not agree with it."""
    known = seen if seen is not None and seen.leads_to(old, new, columns) else None
    after = old if known is None else known.new
    try:
        times = _times(lake, old, after, new)
        if len(times) < len({old, after, new}) or (known is not None and known.times != (times[old], times[after])):
            return None
        ends, quiet = (times[old], times[new]), _quiet(lake, dataset, table, after, old, new)
        if not quiet and not _worth(lake, dataset, table, old, new):
            return None
        if known is None:
            every = tuple(dict.fromkeys((*(seen.columns if seen is not None else ()), *columns)))
            name = f'"feed of {dataset.dataset} {table}"'
            read = (
                f"SELECT {', '.join(every)}, 1 AS sign FROM {dataset.named(table)} WHERE false"
                if quiet
                else _read(dataset, table, every, old, new)
            )
            lake.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {read}")
            # Where nobody touched it, one end says what both have.
            count = _count(lake, dataset.named(table), new if quiet else old)
            first = _Feed(name, every, old, new, ends, count, count)
            return first if quiet else _agreeing(lake, dataset.named(table), first)
        longer = replace(known, new=new, times=ends)
        if quiet:
            return longer
        lake.run(f"INSERT INTO {known.name} {_read(dataset, table, known.columns, after, new)}")
        return _agreeing(lake, dataset.named(table), longer)
    except (NotFoundError, UnavailableError):
        # The feed names neither what is gone nor what a merge took along: whatever it refuses, both states still say.
        return None


def _agreeing(lake: Lake, named: str, feed: _Feed) -> _Feed | None:
    """With the count of its new end, which the table says, where that of its old end and the feed lead to it."""
    after, more = lake.row(
        f"SELECT (SELECT count(*) FROM {at(named, feed.new)} t), (SELECT coalesce(sum(sign), 0) FROM {feed.name})"
    )
    return replace(feed, after=int(after)) if feed.before + more == after else None


def _count(lake: Lake, named: str, snapshot: int | None) -> int:
    return int(lake.row(f"SELECT count(*) FROM {at(named, snapshot)} t")[0])


def _times(lake: Lake, *snapshots: int) -> dict[int, str]:
    """When these states were committed, of those that are there."""
    numbers = ", ".join(str(int(one)) for one in snapshots)
    return dict(
        lake.rows(
            f"""SELECT snapshot_id, snapshot_time::VARCHAR FROM {METADATA}.ducklake_snapshot
                WHERE snapshot_id IN ({numbers})"""
        )
    )


def _quiet(lake: Lake, dataset: DatasetTables, table: str, after: int, old: int, new: int) -> bool:
    """Whether no commit after ``after`` until ``new`` touched the table, which was there at ``old``: DuckLake says of each commit
    what it did. One that is gone, or did anything else than write and delete rows, may have touched any.
    """
    (quiet,) = lake.row(
        f"""WITH this AS (SELECT * FROM ({_this(dataset, table)}) WHERE begin_snapshot <= {int(old)})
            SELECT (SELECT count(*) FROM this) = 1
               AND (SELECT count(*) FROM {METADATA}.ducklake_snapshot_changes
                    WHERE snapshot_id > {int(after)} AND snapshot_id <= {int(new)}
                      AND regexp_full_match(changes_made, '({_OF_ROWS}:[0-9]+,?)+')
                      AND NOT regexp_matches(changes_made, ':' || (SELECT any_value(table_id) FROM this) || '(,|$)')
                   ) = {int(new) - int(after)}"""
    )
    return bool(quiet)


def _worth(lake: Lake, dataset: DatasetTables, table: str, old: int, new: int) -> bool:
    """Law 6, by what the catalog says of files. Small changes that it holds itself are not counted.

    What was deleted follows from what was inserted and from both ends: a file of deletions holds those of the file before it too.
    """

    def there(snapshot: int) -> str:
        return f"begin_snapshot <= {int(snapshot)} AND coalesce(end_snapshot > {int(snapshot)}, true)"

    def rows(count: str, file: str, which: str) -> str:
        """One look at a table of the catalog's: rows of its files at both ends, and of those that came between."""
        return f"""(SELECT coalesce(sum({count}) FILTER ({there(old)}), 0) AS before,
                           coalesce(sum({count}) FILTER ({there(new)}), 0) AS after,
                           coalesce(sum({count}) FILTER (begin_snapshot > {int(old)} AND begin_snapshot <= {int(new)}), 0) AS came
                    FROM {METADATA}.{file} WHERE table_id IN (SELECT table_id FROM this)) {which}"""

    before, after, inserted = lake.row(
        f"""WITH this AS ({_this(dataset, table)})
            SELECT d.before - g.before, d.after - g.after, d.came FROM this,
                   {rows("record_count", "ducklake_data_file", "d")}, {rows("delete_count", "ducklake_delete_file", "g")}"""
    )
    return bool(2 * inserted + before - after <= max(_LITTLE, _MOST * (before + after)))


def _this(dataset: DatasetTables, table: str) -> str:
    """Query of the table's id in DuckLake's catalog, and since which state it is there; of no row where it is not there now."""
    return f"""SELECT table_id, t.begin_snapshot FROM {METADATA}.ducklake_table t
               JOIN {METADATA}.ducklake_schema s USING (schema_id)
               WHERE s.schema_name = {quoted(dataset.dataset)} AND t.table_name = {quoted(table)}
                 AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL"""


def place_of(dataset: DatasetTables, table: str, old: int, new: int) -> str:
    """Arguments of the feed's table functions: what was committed to a table after ``old``, until ``new``; never nothing."""
    return f"{quoted(CATALOG)}, {quoted(dataset.dataset)}, {quoted(table)}, {int(old) + 1}, {int(new)}"


def _read(dataset: DatasetTables, table: str, columns: Sequence[str], old: int, new: int) -> str:
    place, listed = place_of(dataset, table, old, new), ", ".join(columns)
    return f"""
        SELECT {listed}, 1 AS sign FROM ducklake_table_insertions({place})
        UNION ALL SELECT {listed}, -1 FROM ducklake_table_deletions({place})"""
