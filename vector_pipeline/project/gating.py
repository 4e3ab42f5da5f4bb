"""The gates: what is checked before an alias moves, over the lake now, a version, or a deployment."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from vector_pipeline.config import DatasetConfig, PromotionConfig
from vector_pipeline.errors import NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.hashing import bytes_hash, fingerprint
from vector_pipeline.lake.snapshots import read_identities
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.project.placing import Placing
from vector_pipeline.release.observed import proved
from vector_pipeline.release.registry import Deployment, DeploymentStatus, VerdictStatus, Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import Filter, Match
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.canaries import load_canaries, run_canaries
from vector_pipeline.verify.coverage import coverage
from vector_pipeline.verify.expectations import validate
from vector_pipeline.verify.facts import chunks_facts, documents_facts, embeddings_facts
from vector_pipeline.verify.outcome import CheckResult, could_not_run, guarded

DATA_GATES = ("documents expectations", "chunks expectations", "embeddings expectations")
DEPLOYMENT_GATES = ("coverage", "canary retrieval")
REQUIRED_GATES = (*DATA_GATES, *DEPLOYMENT_GATES)
"""Checks that must have passed for a deployment's digest before it is promoted."""
MIRROR_DRIFT = "mirror drift"
"""Where a dataset has several places, each has this one too, and each but the first ``MIRRORS_AGREE``."""
SETTINGS = "settings"
"""Key of a verdict's detail that names the settings it was made under."""
Kind = Literal["documents", "chunks", "embeddings"]
_GONE = (DeploymentStatus.RETIRED, DeploymentStatus.REPLACED)


class Gating(Placing):
    """Checks. None of them writes to the lake or the target; ``verify`` records its verdicts in the registry."""

    def check_data(self, dataset: str, kind: Kind, *, space: str | None = None) -> CheckResult:
        """Data expectations over the lake's present state: early, before anything is embedded or pushed."""
        settings = self.dataset(dataset)
        return guarded(
            f"{kind} expectations",
            lambda: self._expect(settings, self.tables(dataset, space), kind, None, self._normalized(dataset, space)),
        )

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
        results = []
        for name in self.gates_of(dataset, deployment.target) if only is None else only:
            mark = self._mark_before(deployment) if name not in DATA_GATES else None
            result = guarded(name, self._gate(wanted, deployment, name))
            self._record(deployment, name, result, digest=wanted.digest, mark=mark, run_id=run_id)
            results.append(result)
        return deployment, results

    def index_gates_of(self, dataset: str, target: str) -> tuple[str, ...]:
        """Gates that look at a place: of several places, each must hold the same as the first."""
        places = self.places(dataset)
        if len(self.configured(dataset)) == 1:
            return DEPLOYMENT_GATES
        more = (MIRROR_DRIFT,) if target == places[0] else (MIRROR_DRIFT, MIRRORS_AGREE)
        return (*DEPLOYMENT_GATES, *more)

    def gates_of(self, dataset: str, target: str) -> tuple[str, ...]:
        """Every gate that a deployment at a place must have passed before it is promoted."""
        return (*DATA_GATES, *self.index_gates_of(dataset, target))

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
        """Name of what the gates demand now: their configuration and the canary file's bytes."""
        settings = self.dataset(dataset)
        path = settings.gates.canaries
        try:
            canaries = bytes_hash((self.base / path).read_bytes()) if path is not None else ""
        except OSError:
            canaries = "unreadable"
        return fingerprint({"gates": settings.gates.model_dump(mode="json"), "canaries": canaries})

    def promotion_of(self, dataset: str) -> PromotionConfig:
        """How this environment promotes a dataset: its own policy, or the dataset's."""
        return self.settings.promotion or self.dataset(dataset).promotion

    def require_current_gates(self, deployment: Deployment) -> None:
        """``RefusedError`` when a verdict on a deployment was made under other settings than today's."""
        now = self.gate_settings(deployment.dataset)
        verdicts = self.registry(read_only=True).verdicts(deployment.id)
        required = self.gates_of(deployment.dataset, deployment.target)
        old = [one.check for one in verdicts if one.check in required and one.detail.get(SETTINGS) != now]
        if old:
            raise RefusedError(
                f"the gates' settings have changed since version {deployment.version} of {deployment.dataset} was checked",
                fix=f"Verify it again: vector-pipeline verify {deployment.dataset} --version {deployment.version}",
            )

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

    def _gate(self, version: Version, deployment: Deployment, name: str) -> Callable[[], CheckResult]:
        settings = self.dataset(version.dataset)
        if name in DATA_GATES:
            kind: Kind = name.split()[0]  # type: ignore[assignment]
            normalized = self._normalized(version.dataset, version.space)
            return lambda: self._expect(settings, tables_of(version), kind, version, normalized)
        if name == "coverage":
            return lambda: self._coverage(version, deployment)
        if name == "canary retrieval":
            return lambda: self._canaries(version, deployment, settings)
        return lambda: could_not_run(name, NotFoundError(f"no gate {name!r}"))

    def _normalized(self, dataset: str, space: str | None) -> bool:
        settings = self.dataset(dataset)
        found = settings.spaces.get(space or settings.serving_space)
        return found is None or found.embedder.normalize

    def _expect(
        self, settings: DatasetConfig, tables: SpaceTables, kind: Kind, version: Version | None, normalized: bool
    ) -> CheckResult:
        lake = self.lake(read_only=True)
        snapshot = version.lake_snapshot if version is not None else None
        # A source that may be empty may be released empty: nothing is what was asked for.
        least = 0 if settings.source.allow_empty else 1
        if kind == "documents":
            facts = lake.table(documents_facts(at(tables.dataset.documents, snapshot)))
            return validate("documents", facts, gates=settings.gates, shards=settings.shards, min_rows=least)
        if kind == "chunks":
            facts = lake.table(chunks_facts(at(tables.chunks, snapshot)))
            return validate("chunks", facts, gates=settings.gates, min_rows=least)
        # A vector stands in every shard that needs it: it is checked once. Vectors that no chunk needs any more are not.
        needed = (
            f"(SELECT * FROM {tables.embeddings} SEMI JOIN (SELECT content_hash FROM {at(tables.chunks, snapshot)}) "
            "USING (content_hash) QUALIFY row_number() OVER (PARTITION BY content_hash) = 1)"
        )
        dimension = version.dimension if version is not None else lake.row(
            f"SELECT coalesce(max(len(vector)), 0) FROM {tables.embeddings}"
        )[0]  # fmt: skip
        facts = lake.table(embeddings_facts(needed, dimension))
        return validate(
            "embeddings", facts, gates=settings.gates, dimension=dimension, normalized=normalized, min_rows=least
        )

    def _coverage(self, version: Version, deployment: Deployment) -> CheckResult:
        desired = read_identities(self.lake(read_only=True), tables_of(version), version.lake_snapshot)
        target = self.target_named(deployment.target, read_only=True)
        state = target.describe(deployment.namespace)
        observed = proved(self.lake(read_only=True), target, state) if state else target.scan(deployment.namespace)
        return coverage(desired, observed, version.number, version.fingerprint)

    def _canaries(self, version: Version, deployment: Deployment, settings: DatasetConfig) -> CheckResult:
        path = settings.gates.canaries
        canaries = load_canaries(self.base / path) if path is not None else ()
        return run_canaries(canaries, self.searcher(version, deployment), settings.gates.canary_pass_rate)

    def searcher(
        self, version: Version, deployment: Deployment
    ) -> Callable[[Sequence[str], int, Filter | None], list[list[Match]]]:
        """Search of one version where it was deployed, whatever any alias says. Embeds with that version's space or refuses."""
        self.query_space(version)
        embedder = self.embedder(version.dataset, version.space)
        target = self.target_named(deployment.target, read_only=True)

        def search(queries: Sequence[str], top_k: int, filter: Filter | None) -> list[list[Match]]:
            vectors = np.ascontiguousarray(embedder.embed_queries(list(queries)))
            # As the reader searches: a gate that looked at exact search would not see an index that finds less.
            return target.query(
                deployment.namespace, vectors, top_k=top_k, version=version.number, filter=filter,
                exact=not target.capabilities.approximate, include_text=False,
            )  # fmt: skip

        return search
