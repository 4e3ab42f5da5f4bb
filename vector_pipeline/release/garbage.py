"""Which records of a line no kept version sees: a set-based function of the target's marks. Reads the target once.

A record is garbage when it is closed at or before the oldest kept version; or when it is of the line's space, was added in a
version that the registry knows, and is visible at no kept one: what was pushed and abandoned, or lived only between kept versions.
Records without marks, or with marks that no version of ours explains, are not garbage: they are drift.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage
from vector_pipeline.release.observed import marks_of
from vector_pipeline.targets.base import MARK_SCHEMA, NamespaceState, Target

_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Garbage:
    """What may be deleted of a namespace."""

    ids: pa.Array
    """Ascending."""
    closed: int
    """Of them, those that were closed at or before the oldest kept version."""
    examples: tuple[str, ...]
    """Up to ten document ids."""


def find_garbage(
    lake: Lake,
    target: Target,
    namespace: str,
    state: NamespaceState,
    *,
    space: str,
    kept: Collection[int],
    newest: int,
) -> Garbage:
    """Garbage of a namespace, whose marks stay in the temporary table ``collect_marks``.

    ``state``: as ``describe`` gave it; ``kept``: versions that must stay readable, at least one; ``newest``: the last that exists.
    """
    stage(lake, "collect_marks", MARK_SCHEMA, marks_of(lake, target, namespace, state))
    return garbage_of(lake, "collect_marks", space=space, kept=kept, newest=newest)


def garbage_of(lake: Lake, marks: str, *, space: str, kept: Collection[int], newest: int) -> Garbage:
    """Garbage in a relation of ``MARK_SCHEMA``."""
    versions = sorted({int(version) for version in kept})
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE collect_garbage AS
            SELECT id, document_id, removed_in <= {versions[0]} AS closed FROM {marks}
            WHERE added_in IS NOT NULL AND removed_in IS NOT NULL AND (
                removed_in <= {versions[0]}
                OR (space = ? AND added_in <= {int(newest)}
                    AND len(list_filter({versions}, lambda v: added_in <= v AND v < removed_in)) = 0))""",
        [space],
    )
    closed = int(lake.row("SELECT count(*) FILTER (closed) FROM collect_garbage")[0])
    examples = lake.rows(f"SELECT DISTINCT document_id FROM collect_garbage ORDER BY 1 LIMIT {_EXAMPLES}")
    ids = lake.table("SELECT id FROM collect_garbage ORDER BY id")["id"].combine_chunks()
    return Garbage(ids, closed, tuple(str(row[0]) for row in examples))
