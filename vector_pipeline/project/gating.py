"""The gates: what is checked before an alias moves, over the lake now, a version, or a deployment.

Laws
----
1. What runs is every gate of the catalogue that this environment has not turned off; what of it stops a release is policy.
2. A verdict counts for the version's digest, under the settings that it was made under; of a comparison while production serves
   what it was compared with; of an index for the state that it was in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vector_pipeline.config import GateConfig, PromotionConfig
from vector_pipeline.config.models import gates_of
from vector_pipeline.errors import NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.hashing import bytes_hash, fingerprint
from vector_pipeline.project.placing import Placing
from vector_pipeline.release.promote import ALL_MOVES, PRODUCTION
from vector_pipeline.release.registry import Deployment, DeploymentStatus, VerdictStatus, Version
from vector_pipeline.verify import catalogue
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.canaries import NAME as CANARIES
from vector_pipeline.verify.catalogue import Scope, key_of
from vector_pipeline.verify.context import GateContext, Opened, Side
from vector_pipeline.verify.coverage import NAME as COVERAGE
from vector_pipeline.verify.expectations import Kind, expect
from vector_pipeline.verify.outcome import CheckResult, could_not_run, guarded
from vector_pipeline.verify.policy import under

MIRROR_DRIFT = "mirror drift"
"""Where a dataset has several places, each has this one too, and each but the first ``MIRRORS_AGREE``."""
SETTINGS = "settings"
"""Key of a verdict's detail that names the settings it was made under."""
AGAINST = "against"
"""Key of a verdict's detail that says what the candidate was compared with; on comparisons only."""
OF_INDEX = (COVERAGE, CANARIES)
"""Gates of an index that need nothing but it: production checks itself with them after a move."""
_GONE = (DeploymentStatus.RETIRED, DeploymentStatus.REPLACED)


class Gating(Placing):
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

    def gates(self, dataset: str) -> GateConfig:
        """What gates demand of a dataset in this environment."""
        return gates_of(self.dataset(dataset), self.settings)

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
        for number, name in enumerate(names):
            self.progress.update("verify", number, len(names), unit="gates", note=name)
            scope = catalogue.BY_NAME[name].scope if name in catalogue.BY_NAME else Scope.INDEX
            mark = self._mark_before(deployment) if scope is Scope.INDEX else None
            judged = guarded(name, self._gate(context, name))
            result = under(context.gates.mode(key_of(name)), judged)
            if scope is Scope.CHANGE:
                result = replace(result, detail={**result.detail, AGAINST: context.against()})
            self._record(deployment, name, result, digest=wanted.digest, mark=mark, run_id=run_id)
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
        )  # fmt: skip

    def _compared_with(self, version: Version, deployment: Deployment | None) -> Side | None:
        """What readers get now, or got before the candidate was served; None where there is nothing else, or it has expired."""
        registry = self.registry(read_only=True)
        now = registry.alias(version.dataset, self.environment, PRODUCTION)
        if now is None:
            return None
        seen = [now.deployment.id]
        if now.deployment.version == version.number:
            moves = registry.alias_moves(version.dataset, self.environment, PRODUCTION, limit=ALL_MOVES)
            seen = [move.from_deployment for move in moves if move.from_deployment is not None]
        for identifier in seen:
            held = registry.deployment(identifier)
            other = registry.version(version.dataset, held.version)
            if other.number == version.number or other.expired_at is not None:
                continue
            there = held if held.status not in _GONE else None
            # Of several places: where the candidate is, so that one target's index is compared with itself.
            where = held.target if deployment is None else deployment.target
            for one in registry.deployments(version.dataset, self.environment):
                if (one.version, one.target, one.status) == (other.number, where, DeploymentStatus.PUSHED):
                    there = one
            return Side(other, there)
        return None

    def version_gates(self, dataset: str) -> tuple[str, ...]:
        """Gates that look at a version, and compare it with production: once, wherever it is deployed."""
        return self._on(dataset, catalogue.names(Scope.VERSION, Scope.CHANGE))

    def index_gates_of(self, dataset: str, target: str) -> tuple[str, ...]:
        """Gates that look at a place: of several places, each must hold the same as the first."""
        gates = catalogue.names(Scope.INDEX)
        places = self.places(dataset)
        if len(self.configured(dataset)) > 1:
            gates += (MIRROR_DRIFT,) if target == places[0] else (MIRROR_DRIFT, MIRRORS_AGREE)
        return self._on(dataset, gates)

    def gates_of(self, dataset: str, target: str) -> tuple[str, ...]:
        """Every gate that a deployment at a place must have passed before it is promoted."""
        return (*self.version_gates(dataset), *self.index_gates_of(dataset, target))

    def _on(self, dataset: str, gates: Sequence[str]) -> tuple[str, ...]:
        """Law 1."""
        demanded = self.gates(dataset)
        return tuple(name for name in gates if demanded.mode(key_of(name)) != "off")

    def _record(
        self,
        deployment: Deployment,
        gate: str,
        result: CheckResult,
        *,
        digest: str,
        mark: str | None,
        run_id: str | None,
    ) -> None:
        detail = {**result.to_json(), SETTINGS: self.gate_settings(deployment.dataset)}
        self.registry().record_verdict(
            deployment.id,
            gate,
            VerdictStatus(result.status.value),
            digest=digest,
            detail=detail,
            run_id=run_id,
            mark=mark,
        )

    def gate_settings(self, dataset: str) -> str:
        """Name of what the gates demand now: their configuration and the bytes of the files that it names."""
        gates = self.gates(dataset)
        files = {str(path): _bytes_of(self.base / path) for path in gates.files()}
        return fingerprint({"gates": gates.model_dump(mode="json"), "files": files})

    def promotion_of(self, dataset: str) -> PromotionConfig:
        """How this environment promotes a dataset: its own policy, or the dataset's."""
        return self.settings.promotion or self.dataset(dataset).promotion

    def require_current_gates(self, deployment: Deployment) -> None:
        """``RefusedError`` when a verdict on a deployment was made under other settings than today's."""
        now = self.gate_settings(deployment.dataset)
        verdicts = self.registry(read_only=True).verdicts(deployment.id)
        required = self.gates_of(deployment.dataset, deployment.target)
        again = f"Verify it again: vector-pipeline verify {deployment.dataset} --version {deployment.version}"
        name = f"version {deployment.version} of {deployment.dataset}"
        if any(one.check in required and one.detail.get(SETTINGS) != now for one in verdicts):
            raise RefusedError(f"the gates' settings have changed since {name} was checked", fix=again)
        against = self._against_now(deployment)
        for one in verdicts:
            seen = one.detail.get("detail", {}).get(AGAINST)
            if one.check in required and seen is not None and seen != against:
                raise RefusedError(f"{name} was compared with {_served(seen)}; now it is {_served(against)}", fix=again)

    def _against_now(self, deployment: Deployment) -> Mapping[str, Any]:
        version = self.registry(read_only=True).version(deployment.dataset, deployment.version)
        found = self._compared_with(version, None)
        return {} if found is None else {"version": found.version.number, "digest": found.version.digest}

    def deployment_of(self, version: Version, target: str | None = None) -> Deployment:
        """Where a version stands in a target (default: the first place in service): what staging or production points at, or where
        it was pushed last.

        ``NotFoundError`` when it was not pushed, or is there no more.
        """
        registry = self.registry(read_only=True)
        target = target or self.places(version.dataset)[0]
        for alias in reversed(registry.aliases(version.dataset, self.environment)):  # staging before production
            held = alias.deployment
            if (held.version, held.target) == (version.number, target) and held.status not in _GONE:
                return held
        found = [
            one
            for one in registry.deployments(version.dataset, self.environment)
            if (one.version, one.target) == (version.number, target) and one.status not in _GONE
        ]
        if not found:
            raise NotFoundError(
                f"version {version.number} of {version.dataset} was never pushed to {target}, or is there no more",
                fix=f"Push it: vector-pipeline push {version.dataset} --version {version.number}"
                + (f" --target {target}" if len(self.configured(version.dataset)) > 1 else ""),
            )
        return max(found, key=lambda one: (one.status == DeploymentStatus.PUSHED, one.updated_at))

    def _mark_before(self, deployment: Deployment) -> str | None:
        """Read before a check looks: a write in between makes the verdict worthless, not wrong. None counts for no state."""
        try:
            return self.mark_of(deployment)
        except VectorPipelineError:
            return None  # The check itself meets the same and says it.

    def mark_of(self, deployment: Deployment) -> str | None:
        """The state that a deployment's namespace is in now; None when it or its target is not there."""
        try:
            state = self.target_named(deployment.target, read_only=True).describe(deployment.namespace)
        except (NotFoundError, RefusedError):
            return None
        return state.mark if state is not None else None

    def _gate(self, context: GateContext, name: str) -> Callable[[], CheckResult]:
        """How one gate is judged."""
        gate = catalogue.BY_NAME.get(name)
        if gate is None:
            return lambda: could_not_run(name, NotFoundError(f"no gate {name!r}"))
        return lambda: gate.judge(context)


def _bytes_of(path: Path) -> str:
    """Digest of a file, or of the files in a folder."""
    try:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        return fingerprint({str(one): bytes_hash(one.read_bytes()) for one in found if one.is_file()})
    except OSError:
        return "unreadable"


def _served(seen: Mapping[str, Any]) -> str:
    return f"version {seen['version']}, which production served" if seen else "nothing: production served nothing"
