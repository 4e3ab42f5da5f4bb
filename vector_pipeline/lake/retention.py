"""Two separate verbs. *Expire* forgets lake snapshots that no kept version needs; *collect* deletes what nothing refers to.

Laws
----
1. A lake snapshot that a kept version names, and the newest one, are never expired; nor is one that is younger than a grace
   period: somebody may be about to make a version of it. What is kept is asked after the look at what there is: an erasure that
   begins later keeps the newest state of that look, or a later one.
2. Collect deletes only files that DuckLake itself has scheduled, or that no catalog entry names, each after a grace period: a
   reader that found a file a moment ago, and a writer that is about to commit one, are not robbed.
3. Both can say what they would do and do nothing (``dry_run``).
4. A file that no catalog entry names is deleted only below a folder of this catalog's own schemas: what lies elsewhere in the data
   was not written by it.
5. Merging small files changes no state: every kept snapshot reads back as before, and the files that it replaces wait for the next
   collection.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from vector_pipeline.lake.beside import delete_beside
from vector_pipeline.lake.connection import CATALOG, METADATA, Lake

ORPHAN_GRACE = "INTERVAL 1 DAY"
"""Files that no catalog entry names may belong to a commit that is under way: they are left alone this long."""

SNAPSHOT_GRACE_S = 3600.0
"""Seconds between the look at a state and the version that is made of it, at the most."""

FILE_GRACE_S = 3600.0
"""Seconds for which somebody may still read a file that no state names any more."""

PREVIEW = "--"
"""Stands behind a dataset's name in that of a preview, and in no dataset's own."""

_SMALL_BYTES = 64 * 1024 * 1024
"""Files below this are merged: larger ones gain nothing, and would be written again for every small one beside them."""


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What was (or would be) forgotten or deleted."""

    dry_run: bool
    snapshots: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    """Data files outside of the folders of this catalog's schemas: left (law 4)."""


def expire_snapshots(
    lake: Lake,
    kept: Collection[int] | Callable[[], Collection[int]],
    *,
    dry_run: bool,
    grace_s: float = SNAPSHOT_GRACE_S,
) -> RetentionReport:
    """Forget every lake snapshot but those in ``kept``, the newest, and those of the last ``grace_s`` seconds.

    ``kept`` that is called, is called after the look and just before the deed.
    """
    newest = lake.snapshot_id()
    old = lake.rows(
        f"""SELECT snapshot_id FROM {CATALOG}.snapshots()
            WHERE snapshot_time <= now() - to_microseconds(?) ORDER BY 1""",
        [int(grace_s * 1_000_000)],
    )
    known = [int(row[0]) for row in old]
    needed = kept() if callable(kept) else kept
    doomed = [snapshot for snapshot in known if snapshot < newest and snapshot not in needed]
    if doomed and not dry_run:
        listed = ", ".join(str(snapshot) for snapshot in doomed)
        lake.run(f"CALL ducklake_expire_snapshots('{CATALOG}', versions => [{listed}])")
    return RetentionReport(dry_run, snapshots=tuple(doomed))


def collect_files(lake: Lake, *, dry_run: bool, grace_s: float = FILE_GRACE_S) -> RetentionReport:
    """Delete the files of expired snapshots, and files of writers that died before their commit.

    ``grace_s``: files that were given up less than that ago are left, in seconds.
    """
    flag = str(dry_run).lower()
    expired = lake.rows(f"CALL ducklake_cleanup_old_files('{CATALOG}', {_older(lake, grace_s)}, dry_run => {flag})")
    orphans, strange = _orphans(lake)
    if not dry_run:
        delete_beside(lake, [file.removeprefix(lake.data) for file in orphans])
    return RetentionReport(dry_run, files=(*(str(row[0]) for row in expired), *orphans), strange=tuple(strange))


def _orphans(lake: Lake) -> tuple[list[str], list[str]]:
    """Files that no catalog entry names, past their grace: this lake's, and others (law 4). DuckLake's function deletes both."""
    found = lake.rows(
        f"CALL ducklake_delete_orphaned_files('{CATALOG}', older_than => now() - {ORPHAN_GRACE}, dry_run => true)"
    )
    if not found:
        return [], []
    # Schemas that were dropped are among them until their states expire.
    schemas = lake.rows(
        f"SELECT DISTINCT CASE WHEN path_is_relative THEN ? || path ELSE path END FROM {METADATA}.ducklake_schema",
        [lake.data],
    )
    own = tuple(str(folder) for (folder,) in schemas)
    # A preview's schema is named after its dataset's, and gone long before it.
    own += tuple(f"{folder.rstrip('/')}{PREVIEW}" for folder in own)
    files = [str(file) for (file,) in found]
    return [one for one in files if one.startswith(own)], [one for one in files if not one.startswith(own)]


def _older(lake: Lake, grace_s: float) -> str:
    """DuckLake's argument that selects the files given up at least ``grace_s`` ago, or fewer.

    With a SQLite catalog DuckLake compares these times as texts of two forms, and so by their days only: where some were given up
    lately, only those of an earlier day are sure to be old enough. (DuckLake of DuckDB 1.5.5)
    """
    grace = f"to_microseconds({int(grace_s * 1_000_000)})"
    lately = lake.row(
        f"""SELECT count(*) FROM {METADATA}.ducklake_files_scheduled_for_deletion
            WHERE schedule_start::TIMESTAMPTZ > now() - {grace}"""
    )[0]
    return f"older_than => now() - {grace} - INTERVAL 1 DAY" if lately else "cleanup_all => true"


def merge_files(lake: Lake) -> int:
    """Merge small neighbouring files, of which every commit leaves some; returns how many there are less for a reader.

    DuckLake leaves files that rows were deleted from as they are: a kept state may still see those rows. 12 commits into four
    shards left 148 files; merged in 0.1 s they were 12, and every one of 13 states read back as before.
    """

    def work() -> int:
        merged = lake.rows(f"CALL ducklake_merge_adjacent_files('{CATALOG}', max_file_size => {_SMALL_BYTES})")
        return sum(int(row[2]) - int(row[3]) for row in merged)

    return lake.transaction(work, "merge small files")
