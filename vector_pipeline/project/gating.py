"""The gates: what is checked before an alias moves, over the lake now, a version, or a deployment.

Laws
----
1. What runs is every gate of the catalogue that this environment has not turned off; what of it stops a release is policy.
2. What is recorded says for what it counts: see ``judged``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vector_pipeline.errors import NotFoundError
from vector_pipeline.project.demanding import MIRROR_DRIFT
from vector_pipeline.project.judged import SETTINGS, VECTORS
from vector_pipeline.project.letting import Letting
from vector_pipeline.release.registry import Deployment, VerdictStatus, Version
from vector_pipeline.verify import catalogue
from vector_pipeline.verify.canaries.gate import NAME as CANARIES
from vector_pipeline.verify.catalogue import Scope, key_of
from vector_pipeline.verify.context import AGAINST, GateContext, Opened, Side
from vector_pipeline.verify.coverage import NAME as COVERAGE
from vector_pipeline.verify.expectations import Kind, expect
from vector_pipeline.verify.outcome import CheckResult, could_not_run, guarded
from vector_pipeline.verify.policy import under

__all__ = ["MIRROR_DRIFT", "OF_INDEX", "SETTINGS", "Gating", "Kind"]

OF_INDEX = (COVERAGE, CANARIES)
"""Gates of an index that need nothing but it: production checks itself with them after a move."""


class Gating(Letting):
    """Checks. None of them writes to the lake or the target; ``verify`` records its verdicts in the registry."""

    def check_data(self, dataset: str, kind: Kind, *, space: str | None = None) -> CheckResult:
        """Data expectations over the lake's present state: early, before anything is embedded or pushed."""
        name = f"{kind} expectations"

        def gate() -> CheckResult:
            return expect(
                kind, self.lake(read_only=True), self.tables(dataset, space), None, settings=self.dataset(dataset),
                gates=self.gates(dataset), base=self.base, normalized=self._normalized(dataset, space),
            )  # fmt: skip

        return under(self.gates(dataset).mode(key_of(name)), guarded(name, gate))

    def _normalized(self, dataset: str, space: str | None) -> bool:
        settings = self.dataset(dataset)
        found = settings.spaces.get(space or settings.serving_space)
        return found is None or found.embedder.normalize

    def verify(
        self,
        dataset: str,
        *,
        version: int | None = None,
        run_id: str | None = None,
        only: Sequence[str] | None = None,
        deployment: Deployment | None = None,
    ) -> tuple[Deployment, list[CheckResult]]:
        """Run the gates against a version's deployment on one target and record what they say.

        ``deployment``: the one to look at; default: see ``deployment_of``. ``only``: default is what a promotion wants of it.
        ``NotFoundError`` when the version was never pushed.
        """
        wanted = self.version(dataset, deployment.version if deployment is not None else version)
        deployment = deployment or self.deployment_of(wanted)
        context, results = self.gate_context(wanted, deployment), []
        names = self.gates_of(dataset, deployment.target) if only is None else only
        settings = self.gate_settings(dataset)
        vectors = self._written(wanted) if any(map(catalogue.reads_vectors, names)) else {}
        for number, name in enumerate(names):
            self.progress.update("verify", number, len(names), unit="gates", note=name)
            scope = catalogue.BY_NAME[name].scope if name in catalogue.BY_NAME else Scope.INDEX
            mark = self._mark_before(deployment) if scope is Scope.INDEX else None
            judged = guarded(name, self._gate(context, name))
            result = under(context.gates.mode(key_of(name)), judged)
            if scope is Scope.CHANGE:
                result = replace(result, detail={**result.detail, AGAINST: context.against()})
            self._record(
                deployment, name, result, digest=wanted.digest, mark=mark, run_id=run_id, settings=settings,
                vectors=vectors if catalogue.reads_vectors(name) else None,
            )  # fmt: skip
            results.append(result)
        return deployment, results

    def gate_context(self, version: Version, deployment: Deployment | None) -> GateContext:
        """What gates may look at of a version where it was deployed (None: in the lake alone)."""
        settings = self.dataset(version.dataset)

        def embedder(wanted: Version) -> Any:
            self.query_space(wanted)
            return self.embedder(wanted.dataset, wanted.space)

        opened = Opened(
            lake=lambda: self.lake(read_only=True),
            registry=lambda: self.registry(read_only=True),
            target=lambda name: self.target_named(name, read_only=True),
            embedder=embedder,
            space=lambda wanted: self.space(wanted.dataset, wanted.space),
        )
        return GateContext(
            settings, self.gates(version.dataset), self.base, Side(version, deployment),
            self._compared_with(version, deployment), opened, datetime.now(UTC),
            self.sample(version.dataset),
        )  # fmt: skip

    def _record(
        self,
        deployment: Deployment,
        gate: str,
        result: CheckResult,
        *,
        digest: str,
        mark: str | None,
        run_id: str | None,
        settings: str,
        vectors: Mapping[str, Any] | None = None,
    ) -> None:
        """``settings``: that it was judged under. ``vectors``: of the version when it was; None of a gate that reads none."""
        detail = {**result.to_json(), SETTINGS: settings, **({VECTORS: vectors} if vectors is not None else {})}
        self.registry().record_verdict(
            deployment.id,
            gate,
            VerdictStatus(result.status.value),
            digest=digest,
            detail=detail,
            run_id=run_id,
            mark=mark,
        )

    def _hold_too(self, deployment: Deployment, judged: Deployment, gates: Collection[str], run_id: str | None) -> None:
        """What gates of the data said of a version where it was ``judged`` holds wherever it is."""
        registry = self.registry()
        for one in registry.verdicts(judged.id):
            if one.check in gates:
                registry.record_verdict(
                    deployment.id, one.check, one.status, digest=one.digest, detail=one.detail, run_id=run_id
                )

    def _gate(self, context: GateContext, name: str) -> Callable[[], CheckResult]:
        """How one gate is judged."""
        gate = catalogue.BY_NAME.get(name)
        if gate is None:
            return lambda: could_not_run(name, NotFoundError(f"no gate {name!r}"))
        return lambda: gate.judge(context)
