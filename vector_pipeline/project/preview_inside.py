"""A project as a preview sees it: its own dataset, built and judged by the same code, beside what production serves.

Laws
----
1. A preview is a dataset of a name that no configuration can hold. So lake, registry and target keep it apart by what they keep
   datasets apart by: it has a schema, versions, verdicts and namespaces of its own, and takes no lease of anybody's.
2. It points no alias: no reader can follow one to it, and nothing that follows aliases knows of it.
3. Its gates compare it with what production of its dataset serves, in its environment or in the one that ``previews.against``
   names, and judge it as a release would be judged. The other one is read in this environment's registry, lake and targets, and
   never copied: what has stores of its own is nothing to compare with.
4. It asks at every commit, and while it writes to the target, whether it is to go on (``require_preview``): who takes it down
   waits for one commit at most.
5. A document that was erased from its dataset does not enter it; none is built while an erasure is not finished.
6. Where the environment builds a sample, documents that the change is about are in the preview's, whatever their hash.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from vector_pipeline.config import Config
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake.diff import Side as Compared
from vector_pipeline.lake.diff import VersionDiff, diff_versions
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.project.live import Living
from vector_pipeline.project.placing import Why
from vector_pipeline.project.reporting import Reporting
from vector_pipeline.release.guards import Guards
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.planning import make_plan
from vector_pipeline.release.preview import Budget, proposed
from vector_pipeline.release.preview_lake import Texts, count_texts, of_origin, take_over
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.push import Pushed
from vector_pipeline.release.registry import Deployment, PreviewRecord, Version
from vector_pipeline.release.snapshot import reads_back, tables_of
from vector_pipeline.report.page.facts import GateSaid, Outlook
from vector_pipeline.report.progress import ProgressSink
from vector_pipeline.verify.context import Side

_ASK_EVERY_S = 2.0
CHANGED = "changed"
"""Key of a preview's detail: ids of documents that the change is about."""


class _Asking:
    """Law 4, where progress is reported."""

    def __init__(self, inside: "Inside", sink: ProgressSink) -> None:
        self._inside, self._sink = inside, sink

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        self._inside.ask_now_and_then()
        self._sink.update(step, done, total, unit=unit, note=note)


class Inside(Living, Reporting):
    """One preview, as a project whose dataset ``held_as`` it is."""

    def __init__(
        self, config: Config, base: Path, environment: str, preview: PreviewRecord, target: str, budget: Budget
    ) -> None:
        settings = config.datasets[preview.origin]
        # One place: what several places say alike is asked of releases. In place there is nothing of it to write over.
        release = settings.release.model_copy(update={"strategy": "auto"})
        mine = settings.model_copy(update={"target": target, "mirrors": [], "release": release})
        datasets = {**config.datasets, preview.held_as: mine}
        super().__init__(config.model_copy(update={"datasets": datasets}), base, environment)
        self.preview, self.budget = preview, budget
        self._asked = 0.0

    @property
    def held_as(self) -> str:
        """The dataset that the preview is."""
        return self.preview.held_as

    @property
    def against(self) -> str:
        """The environment whose production it is compared with."""
        return self.settings.previews.against or self.environment

    def require_comparable(self) -> None:
        """``RefusedError`` where that environment's production is not in this one's registry."""
        if self.against != self.environment and self.registry().belonging().named(self.against) is None:
            raise self._apart("a registry")

    def _apart(self, store: str) -> RefusedError:
        return RefusedError(
            f"previews of environment {self.environment} cannot be compared with environment {self.against}, which has {store} of "
            "its own",
            fix=f"Take `previews: against:` out, and release in {self.environment} before {self.against}",
        )

    @property
    def progress(self) -> ProgressSink:
        return _Asking(self, super().progress)

    def ask(self) -> None:
        """Law 4: ``RefusedError`` once the preview is being taken down, or an erasure has begun (law 5)."""
        self.registry().require_preview(self.preview.id)
        super()._require_whole(self.preview.origin)

    def ask_now_and_then(self) -> None:
        """The same, where it is called often."""
        if time.monotonic() - self._asked > _ASK_EVERY_S:
            self.ask()
            self._asked = time.monotonic()

    @contextmanager
    def going_on(self) -> Iterator[Self]:
        """Law 4, for every commit to the lake within a block."""
        self.ask()
        with self.lake().guarded(self.ask):
            yield self

    def take_over(self) -> Texts:
        """Vectors of texts that the dataset has embedded already: here (see ``release.preview_lake``), and then in the environment
        that this one reuses (``build.reusing``).
        """
        tables = self.tables(self.held_as)
        with self._writing(self.held_as, tables.embedding_table):
            take_over(self.lake(), tables, self.preview.origin)
        self._reused(self.held_as, None, None, None)
        return count_texts(self.lake(), tables)

    def _elsewhere(self, tables: SpaceTables) -> SpaceTables:
        """The dataset's: no other lake knows the preview."""
        return of_origin(tables, self.preview.origin)

    def proposal(self, version: Version) -> Plan:
        """What a release of the same content would do to what production is served from, from here to production."""
        origin, registry = self.preview.origin, self.registry(read_only=True)
        numbers = [one.number for one in registry.versions(origin)]
        following = proposed(version, origin=origin, number=max(numbers, default=0) + 1)
        place = self.dataset(self.held_as).target
        wish = self._wish(origin, following, None, place)
        plan = make_plan(self.lake(read_only=True), registry, following, self.target_named(place, read_only=True), wish)
        return self._annotated(self._to_production(following, plan))

    def sample(self, dataset: str) -> Sample | None:
        """Law 6."""
        found = super().sample(dataset)
        if found is None or dataset != self.held_as:
            return found
        return replace(found, also=tuple(sorted({*found.also, *self.preview.detail.get(CHANGED, [])})))

    def _erased(self, dataset: str) -> set[str]:  # noqa: ARG002
        return super()._erased(self.preview.origin)

    def _require_whole(self, dataset: str) -> None:
        super()._require_whole(dataset)
        super()._require_whole(self.preview.origin)

    def _stage(self, dataset: str, version: Version, first: Pushed, every: bool, why: Why) -> list[str]:  # noqa: ARG002
        """Law 2."""
        return []

    def _guards(
        self,
        dataset: str,
        max_removed_share: float | None = None,
        *,
        max_changed_share: float | None = None,
        over_budget: bool = False,
    ) -> Guards:
        if dataset == self.held_as:
            return self.budget.guards()
        return super()._guards(dataset, max_removed_share, max_changed_share=max_changed_share, over_budget=over_budget)

    def _compared_with(self, version: Version, deployment: Deployment | None) -> Side | None:
        """Law 3."""
        if version.dataset != self.held_as:
            return super()._compared_with(version, deployment)
        registry = self.registry(read_only=True)
        alias = registry.alias(self.preview.origin, self.against, PRODUCTION)
        if alias is None:
            return None
        served = registry.version(self.preview.origin, alias.deployment.version)
        if self.against != self.environment and not reads_back(self.lake(read_only=True), served):
            raise self._apart("a lake")
        return Side(served, alias.deployment) if served.expired_at is None else None

    def _changes(self, version: Version, served: Version | None) -> VersionDiff:
        if served is None:
            raise NotFoundError("production serves nothing: everything is new")
        lake = self.lake(read_only=True)
        if not reads_back(lake, served):
            raise NotFoundError(f"the lake does not hold version {served.number}, which production serves, any more")
        old, new = (Compared(tables_of(one), one.lake_snapshot) for one in (served, version))
        return diff_versions(lake, old, new, limit=50)

    def _policy_said(self, dataset: str) -> str:  # noqa: ARG002
        return "A preview is never promoted: what is merged is built and judged anew."

    def _commands(
        self,
        version: Version,  # noqa: ARG002
        served: Version | None,  # noqa: ARG002
        outlook: Outlook,  # noqa: ARG002
        gates: tuple[GateSaid, ...],  # noqa: ARG002
    ) -> tuple[tuple[str, str], ...]:
        words = f"{self.preview.origin} --name {self.preview.name}"
        return (("Take it down", f"vector-pipeline ci destroy {words}"),)
