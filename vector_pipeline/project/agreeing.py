"""The gates of mirrors: every place holds the version and nothing else, and answers as the first place does.

Laws
----
1. Data is judged once for a version, wherever it is; what looks at an index is judged for each place.
2. That two places agree is said of the states that both were in: another state of either ends it.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from vector_pipeline.drift import Level, audit
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.project.gating import MIRROR_DRIFT, Gating
from vector_pipeline.release.registry import Deployment, Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.agreement import Probes, Side, compare, sampled
from vector_pipeline.verify.canaries.file import canaries_of
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status

_FIRST = "first"
"""Key of the detail of a verdict that names what a mirror was compared with."""


class Agreeing(Gating):
    """Gates over several places."""

    def verify_places(
        self,
        dataset: str,
        *,
        version: int | None = None,
        run_id: str | None = None,
        only: Sequence[str] | None = None,
    ) -> list[tuple[Deployment, list[CheckResult]]]:
        """``verify`` on every place in service that has the version, the first one first. What looks at its data looks once.

        ``NotFoundError`` when no place has it.
        """
        wanted = self.version(dataset, version)
        once = self.version_gates(dataset)
        places = self.held_at(wanted) or [self.deployment_of(wanted)]
        found: list[tuple[Deployment, list[CheckResult]]] = []
        first = places[0].target == self.places(dataset)[0]
        for one in places:
            # Where the first place does not have it yet, there is nothing to agree with.
            gates = [gate for gate in self.gates_of(dataset, one.target) if first or gate != MIRRORS_AGREE]
            gates = [gate for gate in gates if only is None or gate in only]
            known = {result.name: result for result in found[0][1] if result.name in once} if found else {}
            _, looked = self.verify(
                dataset, run_id=run_id, only=[gate for gate in gates if gate not in known], deployment=one
            )
            if known:
                self._hold_too(one, found[0][0], known, run_id)
            by_name = {**known, **{result.name: result for result in looked}}
            found.append((one, [by_name[gate] for gate in gates]))
        return found

    def held_at(self, version: Version) -> list[Deployment]:
        """Its deployments at the places in service, the first one's first; not every place need have one."""
        found = []
        for target in self.places(version.dataset):
            with suppress(NotFoundError):
                found.append(self.deployment_of(version, target))
        return found

    def _gate(self, context: GateContext, name: str) -> Callable[[], CheckResult]:
        deployment = context.candidate.deployment
        if deployment is not None and name == MIRROR_DRIFT:
            return lambda: self._mirror_drift(context.version, deployment)
        if deployment is not None and name == MIRRORS_AGREE:
            return lambda: self._mirrors_agree(context, deployment)
        return super()._gate(context, name)

    def _mirror_drift(self, version: Version, deployment: Deployment) -> CheckResult:
        lake, registry = self.lake(read_only=True), self.registry(read_only=True)
        target = self.target_named(deployment.target, read_only=True)
        report = audit(lake, registry, target, deployment, version, level=Level.IDS)
        status = Status.FAILED if report.drifted else Status.PASSED
        examples = tuple({"kind": kind, "document": one} for kind, ids in report.examples.items() for one in ids)
        detail = {"mark": report.mark, "version": version.number, **report.counts}
        return CheckResult(MIRROR_DRIFT, status, report.summary, detail, examples[:EXAMPLES])

    def _mirrors_agree(self, context: GateContext, deployment: Deployment) -> CheckResult:
        version = context.version
        first = self.deployment_of(version, self.places(version.dataset)[0])
        mark = self.mark_of(first)
        canaries = canaries_of(context.gates, self.base).canaries
        if canaries:
            vectors = context.embedder(context.candidate).embed_queries([one.query for one in canaries])
            probes = Probes(
                [one.query for one in canaries], np.ascontiguousarray(vectors), [one.filter for one in canaries]
            )
        else:
            probes = sampled(self.lake(read_only=True), tables_of(version), version)
        sides = [
            Side(self.target_named(one.target, read_only=True), one.namespace, version.number)
            for one in (first, deployment)
        ]
        result = compare(probes, *sides, documents=version.documents, threshold=context.gates.mirror_overlap)
        return replace(result, detail={**result.detail, _FIRST: {"deployment": first.id, "mark": mark}})

    def require_agreement(self, deployment: Deployment, first: Deployment, without: Collection[str] = ()) -> None:
        """``RefusedError`` when a mirror was compared with another deployment than the first place's, or another state of it.

        One that was compared with a place that is being taken out (``without``) agreed with it, and so did the first one.
        """
        registry = self.registry(read_only=True)
        found = next((one for one in registry.verdicts(deployment.id) if one.check == MIRRORS_AGREE), None)
        seen = found.detail.get("detail", {}).get(_FIRST, {}) if found is not None else {}
        if seen and registry.deployment(int(seen["deployment"])).target in without:
            return
        if seen != {"deployment": first.id, "mark": self.mark_of(first)}:
            raise RefusedError(
                f"{deployment.target} was compared with what {first.target} held before it changed",
                fix=f"Verify it again: vector-pipeline verify {deployment.dataset} --version {deployment.version}",
            )
