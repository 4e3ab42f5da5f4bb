"""Questions about what was: the timeline, one version's whole story, and what production served at a time."""

from datetime import datetime

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.diff import Side, VersionDiff, diff_versions
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.past import Changes, Event, Span, overlapping, pointing, spans, timeline
from vector_pipeline.release.registry import AliasMove, Deployment, Version
from vector_pipeline.release.restoring import (
    IndexState,
    Placed,
    Restore,
    Served,
    Touch,
    VersionPast,
    index_state,
    restore,
)
from vector_pipeline.release.snapshot import tables_of


class Past(Gating):
    """Reading what was. None of it writes."""

    def version_spaces(self, dataset: str) -> dict[int, str]:
        """The space of each version, where the dataset has or had several; else none: there is nothing to tell apart."""
        found = {one.number: one.space for one in self.registry(read_only=True).versions(dataset)}
        names = {*found.values(), *self.dataset(dataset).spaces}
        return found if len(names) > 1 else {}

    def diff(self, dataset: str, old: int, new: int, *, examples: int = 10) -> VersionDiff:
        """Difference between two versions, without reading a vector."""
        a, b = self.version(dataset, old), self.version(dataset, new)
        return diff_versions(
            self.lake(read_only=True),
            Side(tables_of(a), a.lake_snapshot),
            Side(tables_of(b), b.lake_snapshot),
            examples,
        )

    def history(self, dataset: str, *, limit: int = 50) -> list[AliasMove]:
        """Alias moves in this environment, newest first."""
        self.dataset(dataset)
        return self.registry(read_only=True).alias_moves(dataset, self.environment, limit=limit)

    def timeline(self, dataset: str, *, limit: int = 50) -> list[Event]:
        """Moves, pushes that moved nothing, audits and maintenance in this environment, newest first."""
        self.dataset(dataset)
        registry = self.registry(read_only=True)
        changes = Changes(self._lake_or_none(), registry.versions(dataset))
        return timeline(registry, dataset, self.environment, changes, limit=limit)

    def version_past(self, dataset: str, number: int) -> VersionPast:
        """What a version is, what made it, where it was, and whether it can be served again."""
        registry = self.registry(read_only=True)
        version, lake = self.version(dataset, number), self._lake_or_none()
        changes = Changes(lake, registry.versions(dataset), examples=10)
        served = spans(registry, dataset, self.environment)
        placed = [
            self._placed(one, served)
            for one in registry.deployments(dataset, self.environment)
            if one.version == version.number
        ]
        return VersionPast(
            version,
            version.model or self._model_here(version),
            changes.between(version.parent, version.number),
            tuple(reversed(placed)),
            self._restore(version, lake),
        )

    def served(self, dataset: str, since: datetime, until: datetime) -> list[Served]:
        """What production served between two moments (equal: at one), newest first."""
        self.dataset(dataset)
        registry, lake = self.registry(read_only=True), self._lake_or_none()
        known = {version.number: version for version in registry.versions(dataset)}
        found = overlapping(spans(registry, dataset, self.environment), since, until)
        return [
            Served(
                span,
                known[span.version],
                self._restore(known[span.version], lake),
            )
            for span in found
        ]

    def _restore(self, version: Version, lake: Lake | None) -> Restore:
        several = self.apart(version.dataset)
        return restore(
            self.registry(read_only=True), version, self.environment, lake=lake, targets=self.settings.targets,
            places=self.places(version.dataset) if several else (),
        )  # fmt: skip

    def index_state(self, deployment: Deployment) -> IndexState:
        """Whether something else wrote to a deployment's namespace since our last write."""
        try:
            target = self.target_named(deployment.target, read_only=True)
            return index_state(self.registry(read_only=True), deployment, target)
        except VectorPipelineError as error:
            return IndexState(Touch.UNKNOWN, why=error.what)

    def _placed(self, deployment: Deployment, served: list[Span]) -> Placed:
        registry = self.registry(read_only=True)
        audits = registry.audits(deployment.dataset, self.environment, limit=1, deployment_id=deployment.id)
        return Placed(
            deployment,
            pointing(registry.aliases(deployment.dataset, self.environment), deployment.id),
            tuple(span for span in served if span.deployment == deployment.id),
            tuple(registry.verdicts(deployment.id)),
            next(iter(audits), None),
            self.index_state(deployment),
            tuple(registry.overrides(deployment.dataset, self.environment, deployment_id=deployment.id)),
        )

    def _model_here(self, version: Version) -> str | None:
        try:
            here = self.space(version.dataset, version.space)
        except VectorPipelineError:
            return None
        return here.model if here.embedder_fingerprint == version.embedder_fingerprint else None

    def _lake_or_none(self) -> Lake | None:
        """The registry answers alone, too: without the lake, what changed is left out."""
        try:
            return self.lake(read_only=True)
        except VectorPipelineError:
            return None
