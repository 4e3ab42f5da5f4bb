"""What commits changed since a complete state, told by the catalog: so that a step looks at that, and at nothing else.

Laws
----
1. Only a *complete* state is a beginning: one that a version was made of, where every document had its chunks, every chunk its
   vector, and no key stood twice. What no commit changed since is so still.
2. A commit counts by the tables that it names. Where the catalog does not know every commit since, or one did something else than
   to insert and delete rows (a table made anew, merged, altered), nothing is told: whoever asks looks at everything.
3. A state is the version's own only if its commit is older than the version: in a lake that was made anew, numbers begin again.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from vector_pipeline.lake.connection import CATALOG, METADATA, Lake
from vector_pipeline.lake.tables import SpaceTables

_ROWS = {"inserted_into_table", "deleted_from_table", "inlined_insert", "inlined_delete"}
"""What a commit may have done to a table for its change feed to tell all of it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Which of a space's tables were changed after ``since`` and up to ``until``, both lake snapshots."""

    since: int
    until: int
    documents: bool
    chunks: bool
    embeddings: bool

    @property
    def of_documents(self) -> bool:
        """Whether a document, or its chunks, may be another one."""
        return self.documents or self.chunks

    @property
    def any(self) -> bool:
        return self.of_documents or self.embeddings


def made_before(lake: Lake, snapshot: int, when: datetime) -> bool:
    """Law 3: whether the lake knows the snapshot, and made it before then."""
    rows = lake.rows(
        f"SELECT epoch_us(snapshot_time::TIMESTAMPTZ) FROM {METADATA}.ducklake_snapshot WHERE snapshot_id = ?",
        [snapshot],
    )
    return bool(rows) and int(rows[0][0]) <= when.timestamp() * 1_000_000


def changes_since(lake: Lake, tables: SpaceTables, since: int | None, until: int | None = None) -> Changes | None:
    """What changed after ``since`` (None: nobody knows a complete state) and up to ``until`` (None: now); None for law 2."""
    if since is None:
        return None
    end = lake.snapshot_id() if until is None else until
    names = ("documents", tables.chunk_table, tables.embedding_table)
    numbers = _numbers(lake, tables, names, since)
    commits = lake.rows(
        f"SELECT changes_made FROM {METADATA}.ducklake_snapshot_changes WHERE snapshot_id > ? AND snapshot_id <= ?",
        [since, end],
    )
    if numbers is None or len(commits) != end - since:
        return None
    done = [tuple(re.findall(r"(\w+):(\d+)", str(made))) for (made,) in commits]
    changed = []
    for number in numbers:
        kinds = {kind for commit in done for kind, of in commit if int(of) == number}
        if kinds - _ROWS:
            return None
        changed.append(bool(kinds))
    return Changes(since, end, *changed)


def fill_changed_documents(lake: Lake, tables: SpaceTables, changes: Changes) -> None:
    """Temporary table ``changed_documents`` of ids whose document or chunks may not be what they were."""
    names = [*(["documents"] if changes.documents else []), *([tables.chunk_table] if changes.chunks else [])]
    feeds = [f"SELECT document_id FROM {_feed(tables, name, kind, changes)}" for name in names for kind in _KINDS]
    found = " UNION ALL ".join(feeds) or "SELECT NULL::VARCHAR AS document_id WHERE false"
    lake.run(f"CREATE OR REPLACE TEMP TABLE changed_documents AS SELECT DISTINCT document_id FROM ({found})")


def written_vectors(tables: SpaceTables, changes: Changes) -> str:
    """Relation [shard, content_hash] of vectors that were written since."""
    return _hashes(tables, "insertions", changes)


def removed_vectors(tables: SpaceTables, changes: Changes) -> str:
    """Relation [shard, content_hash] of vectors that were taken away since."""
    return _hashes(tables, "deletions", changes)


_KINDS = ("insertions", "deletions")


def _hashes(tables: SpaceTables, kind: str, changes: Changes) -> str:
    if not changes.embeddings:
        return "(SELECT NULL::INTEGER AS shard, NULL::VARCHAR AS content_hash WHERE false)"
    return f"(SELECT shard, content_hash FROM {_feed(tables, tables.embedding_table, kind, changes)})"


def _feed(tables: SpaceTables, table: str, kind: str, changes: Changes) -> str:
    schema = tables.dataset.dataset
    return f"ducklake_table_{kind}('{CATALOG}', '{schema}', '{table}', {changes.since + 1}, {changes.until})"


def _numbers(lake: Lake, tables: SpaceTables, names: tuple[str, ...], since: int) -> list[int] | None:
    """The catalog's numbers of the tables, as they were at ``since`` and are now; None where one was made after that."""
    rows = lake.rows(
        f"""SELECT t.table_name, t.table_id FROM {METADATA}.ducklake_table t
            JOIN {METADATA}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
            WHERE s.schema_name = ? AND t.end_snapshot IS NULL AND t.begin_snapshot <= ?""",
        [tables.dataset.dataset, since],
    )
    found = {str(name): int(number) for name, number in rows}
    return [found[name] for name in names] if set(names) <= set(found) else None
