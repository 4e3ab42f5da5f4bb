"""Pins, expiry and collection.

*Expire* says what may go: versions that nothing reaches, and states of the lake that no kept version needs. *Collect* deletes: in
the targets what no kept version sees, in the lake the files that nothing refers to. Both say what they would do with ``dry_run``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.retention import FILE_GRACE_S, SNAPSHOT_GRACE_S, collect_files, expire_snapshots, merge_files
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.collecting import collect
from vector_pipeline.release.collection import Collection, plan_collection
from vector_pipeline.release.registry import DeploymentStatus, Version
from vector_pipeline.release.retention import Expiry, expire_versions
from vector_pipeline.targets.base import Target


@dataclass(frozen=True, slots=True)
class Expired:
    """What expired, or would."""

    dry_run: bool
    datasets: tuple[Expiry, ...]
    snapshots: tuple[int, ...]
    """States of the lake that were forgotten: no version needed them."""

    @property
    def versions(self) -> int:
        """Versions that expired."""
        return sum(len(one.expired) for one in self.datasets)

    def to_json(self) -> dict[str, Any]:
        datasets = [one.to_json() for one in self.datasets]
        return {"dry_run": self.dry_run, "datasets": datasets, "snapshots": list(self.snapshots)}


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted, or would be."""

    dry_run: bool
    collections: tuple[Collection, ...]
    """One for each dataset and target."""
    files: tuple[str, ...]
    """Files of the lake that nothing referred to."""
    merged: int = 0
    """Small files of the lake that were merged into larger ones; 0 in a dry run. What they replace goes with a later collection."""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        collections = [one.to_json() for one in self.collections]
        return {
            "dry_run": self.dry_run, "collections": collections, "files": list(self.files), "merged": self.merged,
            "notes": list(self.notes),
        }  # fmt: skip


class Retaining(Gating):
    """What is kept, and what is deleted when nothing needs it any more."""

    def pin(self, dataset: str, version: int, on: bool = True) -> Version:
        """Keep a version from expiry and collection, or stop keeping it. ``RefusedError`` for one that has expired."""
        return self.registry().pin(dataset, self.version(dataset, version).number, on)

    def expire(self, dataset: str | None = None, *, dry_run: bool, grace_s: float = SNAPSHOT_GRACE_S) -> Expired:
        """Expire versions that nothing reaches, then forget lake states that no version of any dataset needs.

        ``dataset`` None: every dataset of the project. ``grace_s``: states of the lake younger than that are spared, in seconds.
        """
        registry = self.registry(read_only=dry_run)
        if not dry_run:
            for name in registry.datasets():
                # An interrupted erasure has yet to read a state that no version names.
                self._require_whole(name)
        found = []
        for name in self._named(dataset):
            retention = self.dataset(name).retention
            found.append(
                expire_versions(
                    registry, name, keep_versions=retention.keep_versions, grace_s=retention.reader_grace_s,
                    dry_run=dry_run,
                )
            )  # fmt: skip
        # What expires in a dry run is in the registry still.
        gone = {(one.dataset, number) for one in found for number in one.expired}
        lake = self.lake(read_only=dry_run)
        forgotten = expire_snapshots(lake, lambda: self._needed(gone), dry_run=dry_run, grace_s=grace_s)
        return Expired(dry_run, tuple(found), forgotten.snapshots)

    def _needed(self, gone: Iterable[tuple[str, int]]) -> set[int]:
        """States of the lake that a kept version names, or that an erasure has yet to read. ``gone``: versions that expire now."""
        registry, left_out = self.registry(read_only=True), set(gone)
        # Erasures first: one that ends in between has moved its versions to states that are then read.
        names = sorted({*registry.datasets(), *self.config.datasets})
        open_ones = [registry.open_erasure(name) for name in names]
        present = {int(one.report["present"]) for one in open_ones if one is not None and "present" in one.report}
        return present | {
            version.lake_snapshot
            for name in names
            for version in registry.versions(name)
            if version.expired_at is None and (name, version.number) not in left_out
        }

    def collect(
        self,
        dataset: str | None = None,
        *,
        dry_run: bool,
        grace_s: float = FILE_GRACE_S,
        run_id: str | None = None,
        by: str = "vector-pipeline",
    ) -> Collected:
        """Delete what nothing reaches: in the targets, for one dataset or all of the project's; then in the lake.

        ``grace_s``: files of the lake that were given up less than that ago are left, in seconds. Readers of the targets have
        their own: ``retention.reader_grace_s``.
        """
        from vector_pipeline.serving.following import OUTAGE_S

        registry = self.registry(read_only=dry_run)
        lake = self.lake(read_only=True)
        found: list[Collection] = []
        notes: list[str] = []
        for name in self._named(dataset):
            retention = self.dataset(name).retention
            keep, grace = retention.keep_versions, retention.reader_grace_s
            if grace < OUTAGE_S:
                notes.append(
                    f"{name}: retention.reader_grace_s is {grace:g} s, and a reader may follow an alias up to {OUTAGE_S:g} s "
                    "late when the registry does not answer, or another model is loaded"
                )
            for target in self._holding(name, notes, dry_run=dry_run):
                if dry_run:
                    one = plan_collection(
                        lake, registry, target, name, self.environment, keep_versions=keep, grace_s=grace
                    )
                else:
                    one = collect(
                        lake, registry, target, name, self.environment, keep_versions=keep, grace_s=grace,
                        run_id=run_id, by=by,
                        parallel=self.settings.targets[target.name].parallel_writes or target.capabilities.parallel_writes,
                        on_delete=lambda done, total: self.progress.update("collect", done, total, unit="records"),
                    )  # fmt: skip
                found.append(one)
        # DuckLake looks for files that nothing names only on a connection that may write, in a dry run too.
        if dry_run and self.is_sealed():
            notes.append(
                "files of the lake are not looked at: that takes a connection that may write, and the seal is not here"
            )
            return Collected(dry_run, tuple(found), (), 0, tuple(notes))
        self._admission.require_lake(self.lake(), self.registry(), deleting=True)
        gone = collect_files(self.lake(), dry_run=dry_run, grace_s=grace_s)
        if gone.strange:
            notes.append(
                f"{len(gone.strange)} data files lie outside of this lake's schemas, such as {gone.strange[0]}: they are left"
            )
        merged = 0 if dry_run else merge_files(self.lake())
        return Collected(dry_run, tuple(found), gone.files, merged, tuple(notes))

    def _named(self, dataset: str | None) -> list[str]:
        if dataset is None:
            return list(self.config.datasets)
        self.dataset(dataset)
        return [dataset]

    def _holding(self, dataset: str, notes: list[str], *, dry_run: bool) -> list[Target]:
        """The targets that hold something of a dataset in this environment. What cannot be reached from here is noted."""
        deployments = self.registry(read_only=True).deployments(dataset, self.environment)
        live = {one.target for one in deployments if one.status != DeploymentStatus.RETIRED}
        # It may be away; what it holds is wanted when it comes back.
        out = {target for target, one in self.withdrawn(dataset).items() if not one.removed}
        found = []
        for name in sorted({one.target for one in deployments}):
            if name not in self.settings.targets:
                if name in live:
                    notes.append(f"{dataset}: target {name} is not configured any more, and what is in it is left")
                continue
            if name in out:
                notes.append(f"{dataset}: target {name} is out of service, and what is in it is left")
                continue
            try:
                found.append(self.target_named(name, read_only=dry_run))
            except NotFoundError as error:
                notes.append(f"{dataset}: {error.what}")
        return found
