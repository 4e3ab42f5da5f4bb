"""The right half, and questions: plan, push, promote, roll back; versions, diff, status, history, documents."""

from dataclasses import dataclass
from typing import Any

from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.diff import Side, VersionDiff, diff_versions
from vector_pipeline.lake.documents import quarantined_items
from vector_pipeline.lake.retention import SNAPSHOT_GRACE_S, RetentionReport, collect_files, expire_snapshots
from vector_pipeline.lake.tables import DatasetTables, at
from vector_pipeline.project.gating import DATA_GATES, DEPLOYMENT_GATES, Gating
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.promote import PRODUCTION, STAGING, point_staging, promote, rollback
from vector_pipeline.release.push import Pushed, plan_push, push_version
from vector_pipeline.release.registry import Alias, AliasMove, Verdict, Version
from vector_pipeline.release.snapshot import tables_of


@dataclass(frozen=True, slots=True)
class Status:
    """Where a dataset stands in this environment."""

    dataset: str
    environment: str
    newest: Version | None
    """Of the serving space."""
    staging: Alias | None
    production: Alias | None
    gates: tuple[Verdict, ...]
    """Latest verdicts on what staging points to."""
    mark: str | None = None
    """State of the index that staging points into: a verdict with another mark is out of date."""
    rolled_back_from: int | None = None
    """Version that production served before, when its last move was a rollback."""


class Project(Gating):
    """A configuration in one environment, ready to work."""

    def plan(self, dataset: str, *, version: int | None = None) -> Plan:
        """What a push would do now. Writes nothing."""
        wanted = self.version(dataset, version)
        target = self.target(dataset, read_only=True)
        return plan_push(self.lake(read_only=True), wanted, target, environment=self.environment)

    def push(
        self,
        dataset: str,
        *,
        version: int | None = None,
        saved: Plan | None = None,
        run_id: str | None = None,
        by: str = "vector-pipeline",
        max_removed_share: float | None = None,
    ) -> Pushed:
        """Bring the target to hold a version (default: the newest) and point ``staging`` at it.

        ``staging`` follows the serving space: a version of another space is written beside it, and pointed at by nobody.
        """
        wanted = self.version(dataset, saved.version if saved is not None else version)
        share = self.dataset(dataset).gates.max_removed_share if max_removed_share is None else max_removed_share
        pushed = push_version(
            self.lake(read_only=True), self.registry(), wanted, self.target(dataset), environment=self.environment,
            run_id=run_id, saved=saved, max_removed_share=share,
            on_write=lambda done, total: self.progress.update("push", done, total, unit="records"),
        )  # fmt: skip
        if wanted.space == self.dataset(dataset).serving_space:
            point_staging(self.registry(), pushed.deployment, by=by, run_id=run_id)
        return pushed

    def staged(self, dataset: str, space: str | None = None) -> int:
        """Version to verify: what ``staging`` points to, or the newest of a space that is not served."""
        if space is None or space == self.dataset(dataset).serving_space:
            alias = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            if alias is not None:
                return alias.deployment.version
        return self.version(dataset, None, space).number

    def promote(
        self, dataset: str, *, by: str, version: int | None = None, reason: str = "", run_id: str | None = None
    ) -> tuple[Alias, bool]:
        """Move ``production`` to a verified version (default: what staging holds); returns the alias and whether it moved."""
        if version is None:
            staging = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            if staging is None:
                raise NotFoundError(
                    f"nothing of {dataset} is on staging", fix=f"Push first: vector-pipeline push {dataset}"
                )
            deployment = staging.deployment
        else:
            deployment = self.deployment_of(self.version(dataset, version))
        self.require_current_gates(deployment)
        return promote(
            self.registry(), deployment, required=DATA_GATES, observed=DEPLOYMENT_GATES, mark=self.mark_of(deployment),
            by=by, reason=reason, run_id=run_id,
        )  # fmt: skip

    def rollback(
        self, dataset: str, *, by: str, to: int | None = None, reason: str = "", run_id: str | None = None
    ) -> tuple[Alias, bool]:
        """Move ``production`` back, without a write to the target; returns the alias and whether it moved."""
        self.dataset(dataset)
        return rollback(self.registry(), dataset, self.environment, to=to, by=by, reason=reason, run_id=run_id)

    def versions(self, dataset: str) -> list[Version]:
        """Every version, oldest first; none when nothing was built yet."""
        self.dataset(dataset)
        return self.registry(read_only=True).versions(dataset)

    def diff(self, dataset: str, old: int, new: int, *, examples: int = 10) -> VersionDiff:
        """Difference between two versions, without reading a vector."""
        a, b = self.version(dataset, old), self.version(dataset, new)
        return diff_versions(
            self.lake(read_only=True),
            Side(tables_of(a), a.lake_snapshot),
            Side(tables_of(b), b.lake_snapshot),
            examples,
        )

    def status(self, dataset: str) -> Status:
        """Where the dataset stands."""
        space = self.space(dataset)
        registry = self.registry(read_only=True)
        staging = registry.alias(dataset, self.environment, STAGING)
        last = next(iter(registry.alias_moves(dataset, self.environment, PRODUCTION, limit=1)), None)
        return Status(
            dataset,
            self.environment,
            registry.latest_version(dataset, space.name, space.fingerprint),
            staging,
            registry.alias(dataset, self.environment, PRODUCTION),
            tuple(registry.verdicts(staging.deployment.id)) if staging is not None else (),
            self.mark_of(staging.deployment) if staging is not None else None,
            last.from_version if last is not None and last.kind == "rollback" else None,
        )

    def history(self, dataset: str, *, limit: int = 50) -> list[AliasMove]:
        """Alias moves in this environment, newest first."""
        self.dataset(dataset)
        return self.registry(read_only=True).alias_moves(dataset, self.environment, limit=limit)

    def quarantined(self, dataset: str) -> list[dict[str, str]]:
        """Items of the source that could not become documents, with the reason."""
        self.dataset(dataset)
        return quarantined_items(self.lake(read_only=True), DatasetTables(dataset))

    def documents(self, dataset: str, *, version: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Documents of a version (default: the lake's present state), ordered by id."""
        tables = DatasetTables(dataset)
        snapshot = self.version(dataset, version).lake_snapshot if version is not None else None
        self.dataset(dataset)
        rows = self.lake(read_only=True).rows(
            f"""SELECT document_id, title, media_type, length(text), shard, digest
                FROM {at(tables.documents, snapshot)} ORDER BY 1 LIMIT {int(limit)}"""
        )
        names = ("document", "title", "media_type", "characters", "shard", "digest")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def expire(self, *, dry_run: bool, grace_s: float = SNAPSHOT_GRACE_S) -> RetentionReport:
        """Forget lake snapshots that no kept version of any dataset needs and that are older than ``grace_s`` seconds."""
        kept = self.registry().kept_lake_snapshots()
        return expire_snapshots(self.lake(), kept, dry_run=dry_run, grace_s=grace_s)

    def collect(self, *, dry_run: bool) -> RetentionReport:
        """Delete files that nothing refers to any more."""
        return collect_files(self.lake(), dry_run=dry_run)
