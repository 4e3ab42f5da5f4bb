"""The whole project, and questions about it: versions, diff, status, documents."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vector_pipeline.config.gates import Mode
from vector_pipeline.lake.documents import quarantined_items
from vector_pipeline.lake.tables import DatasetTables, at
from vector_pipeline.project.adopting import Adopting
from vector_pipeline.project.attesting import Attests
from vector_pipeline.project.bridging import Bridging
from vector_pipeline.project.costing import Costing
from vector_pipeline.project.inbox import Inboxes
from vector_pipeline.project.live import Living
from vector_pipeline.project.previewing import Forgetting
from vector_pipeline.project.questioning import Questioning
from vector_pipeline.project.reporting import Reporting
from vector_pipeline.project.retaining import Retaining
from vector_pipeline.project.routing import Routing
from vector_pipeline.project.sealing import Sealing
from vector_pipeline.project.spaces import Spaces
from vector_pipeline.release.mirrors import at as at_target
from vector_pipeline.release.promote import BACK, PRODUCTION, STAGING
from vector_pipeline.release.registry import Alias, Override, Route, Verdict, Version, Withdrawal
from vector_pipeline.verify.outcome import CheckResult


@dataclass(frozen=True, slots=True)
class PlaceStatus:
    """Where a dataset stands on one of several targets."""

    target: str
    place: bool
    """Whether the configuration serves the dataset from it. False: its aliases go with the next promotion."""
    staging: Alias | None
    production: Alias | None
    gates: tuple[Verdict, ...]
    """Latest verdicts on what its staging points to."""
    mark: str | None = None
    """None where it does not answer, too."""
    withdrawal: Withdrawal | None = None
    """Why it is out of service."""
    said: tuple[CheckResult, ...] = ()
    """What its gates say of what its staging points to, as it counts now."""


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
    required: tuple[str, ...] = ()
    """Gates that it must have passed before it is promoted."""
    mark: str | None = None
    """State of the index that staging points into: a verdict with another mark is out of date."""
    rolled_back_from: int | None = None
    """Version that production served before, when its last move was a rollback, asked for or by itself."""
    places: tuple[PlaceStatus, ...] = ()
    """Every target, the first one first, those in service before those that are not; none for a dataset that has one place."""
    said: tuple[CheckResult, ...] = ()
    """What every gate that is demanded says of what staging points to, as it counts now."""
    modes: Mapping[str, Mode] = field(default_factory=dict)
    """How strict each gate is here."""
    overridden: tuple[Override, ...] = ()
    """Gates that a person let past what production serves."""
    route: Route | None = None
    """A share of production's readers that gets another version."""
    beside: tuple[Version, ...] = ()
    """The newest version of each space that does not serve."""


class Project(
    Living, Routing, Retaining, Forgetting, Adopting, Reporting, Bridging, Questioning, Attests, Costing, Inboxes, Sealing,
    Spaces,
):  # fmt: skip
    """A configuration in one environment, ready to work."""

    def versions(self, dataset: str) -> list[Version]:
        """Every version, oldest first; none when nothing was built yet."""
        self.dataset(dataset)
        return self.registry(read_only=True).versions(dataset)

    def status(self, dataset: str) -> Status:
        """Where the dataset stands."""
        space = self.space(dataset)
        registry = self.registry(read_only=True)
        staging = registry.alias(dataset, self.environment, STAGING)
        # One of several that is away must not keep the others from being told of.
        mark_of = self._mark_before if self.apart(dataset) else self.mark_of
        last = next(iter(registry.alias_moves(dataset, self.environment, PRODUCTION, limit=1)), None)
        production = registry.alias(dataset, self.environment, PRODUCTION)
        mark = mark_of(staging.deployment) if staging is not None else None
        seen = mark if self.apart(dataset) else mark or ""
        return Status(
            dataset,
            self.environment,
            registry.latest_version(dataset, space.name, space.fingerprint),
            staging,
            production,
            tuple(registry.verdicts(staging.deployment.id)) if staging is not None else (),
            self.gates_of(dataset, staging.deployment.target) if staging is not None else (),
            mark,
            last.from_version if last is not None and last.kind in BACK else None,
            tuple(self._place_status(dataset)),
            tuple(self.said_now(staging.deployment, mark=seen)) if staging is not None else (),
            self.modes(dataset),
            tuple(self.let_past_in_production(dataset)),
            self.routed(dataset),
            tuple(self._beside(dataset)),
        )

    def _beside(self, dataset: str) -> Iterator[Version]:
        for space in self.dataset(dataset).spaces:
            found = (
                None if self.serves(dataset, space) else self.registry(read_only=True).latest_version(dataset, space)
            )
            if found is not None and found.expired_at is None:
                yield found

    def let_past_in_production(self, dataset: str) -> list[Override]:
        """Gates that a person let past what production serves now, at every place: each gate once."""
        found: dict[str, Override] = {}
        for one in self.standing(dataset, PRODUCTION):
            found = {**self.overridden(one.deployment), **found}
        return sorted(found.values(), key=lambda one: one.id)

    def _place_status(self, dataset: str) -> list[PlaceStatus]:
        if not self.apart(dataset):
            return []
        configured, out = self.configured(dataset), self.withdrawn(dataset)
        staging, production = self.standing(dataset, STAGING), self.standing(dataset, PRODUCTION)
        served = self.places(dataset)
        names = [*served, *(name for name in configured if name not in served), *self.left_over(dataset)]
        found = []
        for name in names:
            staged, gone = at_target(staging, name), out.get(name)
            verdicts = self.registry(read_only=True).verdicts(staged.deployment.id) if staged is not None else []
            mark = self._mark_before(staged.deployment) if staged is not None else None
            withdrawal = gone if gone is not None and not gone.removed else None
            found.append(
                PlaceStatus(
                    name,
                    name in configured,
                    staged,
                    at_target(production, name),
                    tuple(verdicts),
                    mark,
                    withdrawal,
                    self._said_at(staged, mark),
                )
            )
        return found

    def _said_at(self, staged: Alias | None, mark: str | None) -> tuple[CheckResult, ...]:
        """A place whose target is not configured any more has no gates."""
        if staged is None or staged.deployment.target not in self.configured(staged.dataset):
            return ()
        return tuple(self.said_now(staged.deployment, mark=mark))

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
