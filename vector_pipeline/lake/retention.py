"""Two separate verbs. *Expire* forgets lake snapshots that no kept version needs; *collect* deletes what nothing refers to.

Laws
----
1. A lake snapshot that a kept version names, and the newest one, are never expired; nor is one that is younger than a grace
   period: somebody may be about to make a version of it.
2. Collect deletes only files that DuckLake itself has scheduled or that no catalog entry names and that are older than a
   grace period: a writer that is about to commit its files is not robbed.
3. Both can say what they would do and do nothing (``dry_run``).
"""

from collections.abc import Collection
from dataclasses import dataclass

from vector_pipeline.lake.connection import CATALOG, Lake

ORPHAN_GRACE = "INTERVAL 1 DAY"
"""Files that no catalog entry names may belong to a commit that is under way: they are left alone this long."""

SNAPSHOT_GRACE_S = 3600.0
"""Seconds between the look at a state and the version that is made of it, at the most."""


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What was (or would be) forgotten or deleted."""

    dry_run: bool
    snapshots: tuple[int, ...] = ()
    files: tuple[str, ...] = ()


def expire_snapshots(
    lake: Lake, kept: Collection[int], *, dry_run: bool, grace_s: float = SNAPSHOT_GRACE_S
) -> RetentionReport:
    """Forget every lake snapshot but those in ``kept``, the newest, and those of the last ``grace_s`` seconds."""
    newest = lake.snapshot_id()
    old = lake.rows(
        f"""SELECT snapshot_id FROM {CATALOG}.snapshots()
            WHERE snapshot_time <= now() - to_microseconds(?) ORDER BY 1""",
        [int(grace_s * 1_000_000)],
    )
    known = [int(row[0]) for row in old]
    doomed = [snapshot for snapshot in known if snapshot != newest and snapshot not in kept]
    if doomed and not dry_run:
        listed = ", ".join(str(snapshot) for snapshot in doomed)
        lake.run(f"CALL ducklake_expire_snapshots('{CATALOG}', versions => [{listed}])")
    return RetentionReport(dry_run, snapshots=tuple(doomed))


def collect_files(lake: Lake, *, dry_run: bool) -> RetentionReport:
    """Delete the files of expired snapshots, and files of writers that died before their commit."""
    flag = str(dry_run).lower()
    expired = lake.rows(f"CALL ducklake_cleanup_old_files('{CATALOG}', cleanup_all => true, dry_run => {flag})")
    orphans = lake.rows(
        f"CALL ducklake_delete_orphaned_files('{CATALOG}', older_than => now() - {ORPHAN_GRACE}, dry_run => {flag})"
    )
    return RetentionReport(dry_run, files=tuple(str(row[0]) for row in [*expired, *orphans]))
