"""Pins, expiry and collection."""

from vector_pipeline.lake.retention import SNAPSHOT_GRACE_S, RetentionReport, collect_files, expire_snapshots
from vector_pipeline.project.gating import Gating


class Retaining(Gating):
    """What is kept, and what is deleted when nothing needs it any more."""

    def expire(self, *, dry_run: bool, grace_s: float = SNAPSHOT_GRACE_S) -> RetentionReport:
        """Forget lake snapshots that no kept version of any dataset needs and that are older than ``grace_s`` seconds."""
        kept = self.registry().kept_lake_snapshots()
        return expire_snapshots(self.lake(), kept, dry_run=dry_run, grace_s=grace_s)

    def collect(self, *, dry_run: bool) -> RetentionReport:
        """Delete files that nothing refers to any more."""
        return collect_files(self.lake(), dry_run=dry_run)
