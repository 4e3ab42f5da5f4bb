"""Previews: what a pull request builds, judges and takes down, beside everybody else.

Laws
----
1. A preview is an environment with an end (see ``preview_inside`` for what keeps it apart). It is begun in the registry before
   anything of it exists, with the moment until which it may stand; whatever exists of it later, the registry leads to.
2. Making one again under the same name goes on with it: what is embedded stays, what changed is built, the time begins anew.
3. It ends, whoever made it and whatever became of them: see ``preview_ends``.
4. Its budget is its own, asked before the model and the target are.
5. An erasure takes down every preview of its dataset: what is erased is in none.
   One that cannot be reached stops the erasure, until a person gives it up: the erasure then tells what it has not reached.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.errors import ConflictError, VectorPipelineError
from vector_pipeline.project.building import code_revision
from vector_pipeline.project.preview_building import ERROR, Made, build, built
from vector_pipeline.project.preview_ends import WAIT_S, Ends
from vector_pipeline.project.preview_inside import CHANGED, Inside
from vector_pipeline.project.tracing import Tracing
from vector_pipeline.release.lines import base_namespace
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.preview import Budget, require_fitting, require_name
from vector_pipeline.release.registry import PreviewRecord, Version
from vector_pipeline.report.page.facts import Facts, Missing
from vector_pipeline.verify.outcome import CheckResult

if TYPE_CHECKING:
    from vector_pipeline.trace.erased import Erased
    from vector_pipeline.trace.places import Reach
    from vector_pipeline.trace.removal import OnStep


@dataclass(frozen=True, slots=True)
class Reported:
    """What a comment on a pull request tells."""

    preview: PreviewRecord
    facts: Facts
    proposal: Plan | Missing
    """What a release of the same content would do."""
    refusal: str = ""
    """What a push of it would be refused with."""
    sample: Sample | None = None
    """What of the source was built; None: all of it."""
    against: str = ""
    """The environment whose production it is compared with."""


class Previews(Ends):
    """Previews of a project's datasets in its environment."""

    def create(
        self, dataset: str, name: str, *, by: str, ttl_s: float | None = None, budget: Budget | None = None,
        changed: Sequence[str] | None = None,
    ) -> Made:  # fmt: skip
        """Build the working tree's documents and configuration, and put them into a namespace of their own.

        ``changed``: ids of documents that are built whatever the environment's sample is (None: those of the last time).
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
            found = next((one for one in self.standing(dataset) if one.name == name), None)
            if found is not None and found.lives:
                raise  # Nobody takes it down: others kept the registry busy.
            if found is not None:
                self._end(found, by=by, reason=found.reason, wait_s=WAIT_S)
            preview = begin()
        if changed is not None:
            project.registry().note_preview(preview.id, {CHANGED: sorted(set(changed))})
            preview = self.find(dataset, name)
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
                proposal: Plan | Missing = self._proposal(inside, made.version)
            except VectorPipelineError as error:
                proposal = Missing(error.what)
            refused = inside.refusal(proposal) if isinstance(proposal, Plan) else None
            said = refused.what if refused is not None else ""
            return Reported(inside.preview, facts, proposal, said, inside.sample(inside.held_as), inside.against)

    def find(self, dataset: str, name: str) -> PreviewRecord:
        """``NotFoundError`` where there is none of that name."""
        self._project.dataset(dataset)
        return self._project.registry(read_only=True).preview(dataset, self._project.environment, name)

    def _proposal(self, inside: Inside, version: Version) -> Plan:
        """Of a release where the preview is compared: only looked at, with what this process may read there."""
        if inside.against == inside.environment:
            return inside.proposal(version)
        place = inside.dataset(inside.held_as).target
        with Inside(inside.config, inside.base, inside.against, inside.preview, place, Budget()) as there:
            return there.proposal(version)

    @contextmanager
    def _inside(self, preview: PreviewRecord, budget: Budget | None = None) -> Iterator[Inside]:
        project = self._project
        target = project.places(preview.origin)[0]
        with Inside(project.config, project.base, project.environment, preview, target, budget or Budget()) as inside:
            yield inside


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
        on_step: "OnStep" = lambda _: None,
    ) -> "Erased":
        if not dry_run:
            self._end_previews(dataset, by)
        report = super().erase(
            dataset, document=document, reason=reason, dry_run=dry_run, run_id=run_id, by=by, on_step=on_step
        )
        if not dry_run:
            # One that had read its documents when the erasure began.
            self._end_previews(dataset, by)
        return report

    def _reaches(self, dataset: str, *, dry_run: bool) -> "tuple[list[Reach], list[str]]":
        found, unknown = super()._reaches(dataset, dry_run=dry_run)
        ended = self.registry(read_only=True).previews(dataset, ended=True)
        lost = [
            f"{one.environment}: preview {one.name}, given up by {up.by} ({up.reason}): {', '.join(up.left)}"
            for one in ended
            if (up := one.given_up) is not None
        ]
        return found, [*unknown, *lost]

    def _end_previews(self, dataset: str, by: str) -> None:
        self.dataset(dataset)
        if self.registry(read_only=True).previews(dataset):
            Previews(self).end_all(dataset, by=by, reason="a document was erased")
