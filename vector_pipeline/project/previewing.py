"""Previews: what a pull request builds, judges and takes down, beside everybody else.

Laws
----
1. A preview is an environment with an end (see ``preview_inside`` for what keeps it apart). It is begun in the registry before
   anything of it exists, with the moment until which it may stand; whatever exists of it later, the registry leads to.
2. Making one again under the same name goes on with it: what is embedded stays, what changed is built, the time begins anew.
3. Whoever made it takes it down, and so may anybody who has its name; the reaper takes down what is over its time, or was left
   half taken down, in every environment that the configuration leads to. Neither needs the process that made it, nor waits for a
   dead one.
4. Its budget is its own, asked before the model and the target are.
5. An erasure takes down every preview of its dataset: what is erased is in none.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from shutil import rmtree

from vector_pipeline.errors import ConflictError, NotFoundError, VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.project.building import code_revision
from vector_pipeline.project.gating import Gating
from vector_pipeline.project.preview_building import ERROR, Made, build, built
from vector_pipeline.project.preview_inside import Inside
from vector_pipeline.project.tracing import Tracing
from vector_pipeline.release.lines import base_namespace
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.preview import Budget, require_fitting, require_name
from vector_pipeline.release.preview_ending import Ending, sweep, take_down
from vector_pipeline.release.registry import PreviewRecord
from vector_pipeline.report.page import REPORTS
from vector_pipeline.report.page.facts import Facts, Missing
from vector_pipeline.trace.erased import Erased
from vector_pipeline.trace.removal import OnStep
from vector_pipeline.verify.outcome import CheckResult

WAIT_S = 90.0
"""For who writes a preview that is taken down: longer than a lease that nobody renews."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a comment on a pull request tells."""

    preview: PreviewRecord
    facts: Facts
    proposal: Plan | Missing
    """What a release of the same content would do."""
    refusal: str = ""
    """What a push of it would be refused with."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a reaper did."""

    ended: tuple[PreviewRecord, ...]
    left: tuple[tuple[PreviewRecord, str], ...]
    """Those that could not be taken down now, and why."""
    swept: tuple[str, ...]
    """Namespaces that a writer had left behind after the end."""


class Previews:
    """Previews of a project's datasets in its environment."""

    def __init__(self, project: Gating) -> None:
        self._project = project

    def create(
        self, dataset: str, name: str, *, by: str, ttl_s: float | None = None, budget: Budget | None = None
    ) -> Made:
        """Build the working tree's documents and configuration, and put them into a namespace of their own.

        ``RefusedError`` for more than the budget, and for one that is taken down meanwhile: what was built is kept until it ends.
        """
        project, settings = self._project, self._project.settings.previews
        asked = Budget(settings.max_texts, settings.max_records, settings.max_cost) if budget is None else budget
        space = project.space(dataset)
        require_fitting(base_namespace(f"{dataset}--{require_name(name)}--12345678", space.name, space.fingerprint))
        lasts = settings.ttl_hours * 3600 if ttl_s is None else ttl_s

        def begin() -> PreviewRecord:
            found, _ = project.registry().begin_preview(
                dataset, project.environment, name, ttl_s=lasts, by=by, revision=code_revision(), most=settings.at_once
            )
            return found

        try:
            preview = begin()
        except ConflictError:
            self.destroy(dataset, name, by=by)
            preview = begin()
        try:
            with self._inside(preview, asked) as inside:
                return build(inside)
        except VectorPipelineError as error:
            # For the comment, which another process writes.
            with suppress(VectorPipelineError):
                project.registry().note_preview(preview.id, {ERROR: error.what})
            raise

    def verify(self, dataset: str, name: str) -> tuple[Made, list[CheckResult]]:
        """Run every gate that a release must pass, against what production serves, and record what they say."""
        with self._inside(self.find(dataset, name)) as inside:
            made = built(inside)
            deployment, results = inside.verify(inside.held_as, version=made.version.number, deployment=made.deployment)
            return Made(made.preview, made.version, deployment, made.texts, made.seconds), results

    def report(self, dataset: str, name: str) -> Reported:
        """What there is to say of a preview. Writes nothing."""
        with self._inside(self.find(dataset, name)) as inside:
            made = built(inside)
            facts = inside.report_facts(inside.held_as, made.version.number)
            try:
                proposal: Plan | Missing = inside.proposal(made.version)
            except VectorPipelineError as error:
                return Reported(inside.preview, facts, Missing(error.what))
            refused = inside.refusal(proposal) if isinstance(proposal, Plan) else None
            return Reported(inside.preview, facts, proposal, refused.what if refused is not None else "")

    def find(self, dataset: str, name: str) -> PreviewRecord:
        """``NotFoundError`` where there is none of that name."""
        self._project.dataset(dataset)
        return self._project.registry(read_only=True).preview(dataset, self._project.environment, name)

    def standing(self, dataset: str | None = None) -> list[PreviewRecord]:
        """Previews that have not ended; none where there is no registry."""
        try:
            registry = self._project.registry(read_only=True)
        except NotFoundError:
            return []
        return registry.previews(dataset, self._project.environment)

    def destroy(self, dataset: str, name: str, *, by: str, reason: str = "") -> PreviewRecord | None:
        """Take a preview down. None where there is none: done already. ``ConflictError`` while somebody writes it still."""
        self._project.dataset(dataset)
        found = next((one for one in self.standing(dataset) if one.name == name), None)
        return None if found is None else self._end(found, by=by, reason=reason or "destroyed", wait_s=WAIT_S)

    def matching(self, dataset: str, pattern: str) -> list[PreviewRecord]:
        """Previews whose name matches, as file names do: ``pr-123-*``."""
        return [one for one in self.standing(dataset) if fnmatchcase(one.name, pattern)]

    def reap(self, *, by: str) -> Reaped:
        """Law 3. What cannot be taken down now is left for the next time, and told."""
        registry = self._project.registry()
        ended, left = [], []
        for one in registry.overdue_previews():
            try:
                reason = one.reason or "its time was over"
                ended.append(self._end(one, by=by, reason=reason, wait_s=0))
            except VectorPipelineError as error:
                left.append((one, error.what))
        swept = sweep(self._ending(by, 0), registry.previews(environment=self._project.environment, ended=True))
        return Reaped(tuple(ended), tuple(left), tuple(swept))

    def end_all(self, dataset: str, *, by: str, reason: str) -> list[PreviewRecord]:
        """Law 5: take down every preview of a dataset, whatever its environment."""
        found = self._project.registry().previews(dataset)
        return [self._end(one, by=by, reason=reason, wait_s=WAIT_S) for one in found]

    def _end(self, preview: PreviewRecord, *, by: str, reason: str, wait_s: float) -> PreviewRecord:
        with self._reaching(preview) as project:
            ended = take_down(Previews(project)._ending(by, wait_s), preview, reason)
        rmtree(self._project.base / REPORTS / preview.held_as, ignore_errors=True)
        return ended

    @contextmanager
    def _inside(self, preview: PreviewRecord, budget: Budget | None = None) -> Iterator[Inside]:
        project = self._project
        target = project.places(preview.origin)[0]
        with Inside(project.config, project.base, project.environment, preview, target, budget or Budget()) as inside:
            yield inside

    @contextmanager
    def _reaching(self, preview: PreviewRecord) -> Iterator[Gating]:
        """The project of the environment that a preview is in. ``ConfigError`` where the configuration does not lead there."""
        project = self._project
        if preview.environment == project.environment:
            yield project
            return
        with Gating(project.config, project.base, preview.environment) as other:
            yield other

    def _ending(self, by: str, wait_s: float) -> Ending:
        project = self._project

        def lake() -> Lake | None:
            try:
                project.lake(read_only=True)
            except NotFoundError:
                return None
            return project.lake()

        return Ending(project.registry(), lake, project.target_named, by, wait_s)


class Forgetting(Tracing):
    """Law 5."""

    def erase(
        self,
        dataset: str,
        *,
        document: str | None = None,
        reason: str = "",
        dry_run: bool = False,
        run_id: str | None = None,
        by: str = "vector-pipeline",
        on_step: OnStep = lambda _: None,
    ) -> Erased:
        if not dry_run:
            self._end_previews(dataset, by)
        report = super().erase(
            dataset, document=document, reason=reason, dry_run=dry_run, run_id=run_id, by=by, on_step=on_step
        )
        if not dry_run:
            # One that had read its documents when the erasure began.
            self._end_previews(dataset, by)
        return report

    def _end_previews(self, dataset: str, by: str) -> None:
        self.dataset(dataset)
        if self.registry(read_only=True).previews(dataset):
            Previews(self).end_all(dataset, by=by, reason="a document was erased")
