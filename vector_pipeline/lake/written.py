"""Which vectors a version has, in four numbers, so that it shows when some of them were taken away or made anew.

Laws
----
1. Vectors of a text are written and taken away, never changed in place: with fewer of them, or a newer one, they are others. What a
   later version adds is not among those that a version needs.
2. Every row knows the commit that wrote it (``snapshot_id``), through merges and expiry.
3. Where the whole table is as it was, so is what a version needs of it: that costs no look at a row.
"""

from collections.abc import Mapping
from typing import Any

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at


def written(lake: Lake, tables: SpaceTables, snapshot: int) -> dict[str, list[int]]:
    """Of the whole table, and of what the chunks of a lake snapshot need: how many vectors there are, and their newest commit."""
    return {"table": _of_table(lake, tables), "version": _of_version(lake, tables, snapshot)}


def as_written(lake: Lake, tables: SpaceTables, snapshot: int, seen: Mapping[str, Any]) -> bool:
    """Whether the vectors are those that ``written`` saw."""
    return seen.get("table") == _of_table(lake, tables) or seen.get("version") == _of_version(lake, tables, snapshot)


def _of_table(lake: Lake, tables: SpaceTables) -> list[int]:
    return _numbers(lake, str(tables.embeddings))


def _of_version(lake: Lake, tables: SpaceTables, snapshot: int) -> list[int]:
    needed = f"(SELECT shard, content_hash FROM {at(tables.chunks, snapshot)})"
    return _numbers(lake, f"{tables.embeddings} e SEMI JOIN {needed} c USING (shard, content_hash)")


def _numbers(lake: Lake, relation: str) -> list[int]:
    count, newest = lake.row(f"SELECT count(*), coalesce(max(snapshot_id), 0) FROM {relation}")
    return [int(count), int(newest)]
