"""What the recorded verdicts on a deployment are worth now.

Laws
----
1. A verdict counts for the version's digest, under the settings that it was made under; of a comparison while production serves
   what it was compared with; of an index for the state that it was in; of a gate that reads vectors while none of the version's was
   taken away or made anew. One that does not count is as good as none.
2. What is told may leave out what cannot be looked at now; what lets a version pass may not.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from vector_pipeline.errors import NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.lake.written import as_written, written
from vector_pipeline.project.demanding import Demanding
from vector_pipeline.release.promote import ALL_MOVES, PRODUCTION, trail
from vector_pipeline.release.registry import (
    Deployment,
    DeploymentStatus,
    Verdict,
    Version,
)
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.verify.context import AGAINST, Side
from vector_pipeline.verify.outcome import CheckResult, Status

SETTINGS = "settings"
"""Key of a verdict's detail that names the settings it was made under."""
VECTORS = "vectors"
"""Key of a verdict's detail that names the version's vectors (``lake.written``); of gates that read them only."""
_GONE = (DeploymentStatus.RETIRED, DeploymentStatus.REPLACED)


@dataclass(frozen=True, slots=True)
class _Now:
    """What verdicts must have been made for."""

    digest: str | None
    settings: str
    against: Mapping[str, Any]
    mark: str | None
    of_index: Collection[str]
    served: bool
    """Whether production serves the version that they are of."""
    same_vectors: Callable[[Mapping[str, Any]], bool]
    """Whether the version's vectors are those that a verdict names."""


class Judged(Demanding):
    """Verdicts, as they count now. Nothing here writes."""

    def said_now(self, deployment: Deployment, *, mark: str | None = None) -> list[CheckResult]:
        """Every gate that is demanded of a deployment, in order: its verdict, or ``unknown`` and why there is none that counts.

        ``mark``: state of the index now, ``""`` where there is no index; None: it was not looked at, and whatever was said counts.
        """
        registry, target = self.registry(read_only=True), deployment.target
        verdicts = {one.check: one for one in registry.verdicts(deployment.id)}
        live = registry.alias(deployment.dataset, self.environment, PRODUCTION)
        now = _Now(
            deployment.digest, self.gate_settings(deployment.dataset), self._against_now(deployment), mark,
            self.index_gates_of(deployment.dataset, target),
            live is not None and live.deployment.version == deployment.version,
            self._same_vectors(deployment, told=True),
        )  # fmt: skip
        return [_said(name, verdicts.get(name), now) for name in self.gates_of(deployment.dataset, target)]

    def require_current_gates(
        self, deployment: Deployment, *, but: Collection[str] = (), compared: bool = True
    ) -> None:
        """``RefusedError`` when a verdict on a deployment was made under other settings than today's, of other vectors, or
        (``compared``) against something else than production serves now. ``but``: gates that it is let past.
        """
        settings = self.gate_settings(deployment.dataset)
        required = set(self.gates_of(deployment.dataset, deployment.target)) - set(but)
        verdicts = [one for one in self.registry(read_only=True).verdicts(deployment.id) if one.check in required]
        again = f"Verify it again: vector-pipeline verify {deployment.dataset} --version {deployment.version}"
        name = f"version {deployment.version} of {deployment.dataset}"
        if any(one.detail.get(SETTINGS) != settings for one in verdicts):
            raise RefusedError(f"the gates' settings have changed since {name} was checked", fix=again)
        against = self._against_now(deployment)
        same_vectors = self._same_vectors(deployment)
        if not all(same_vectors(one.detail[VECTORS]) for one in verdicts if VECTORS in one.detail):
            raise RefusedError(f"vectors of {name} were taken away or made anew since it was checked", fix=again)
        for one in verdicts:
            seen = one.detail.get("detail", {}).get(AGAINST)
            if compared and seen is not None and seen != against:
                raise RefusedError(
                    f"{name} was compared with {_served(seen)}; since then it is {_serves(against)}", fix=again
                )

    def _compared_with(self, version: Version, deployment: Deployment | None) -> Side | None:
        """What readers get now, or got before the candidate was served; None where there is nothing else, or it has expired."""
        registry = self.registry(read_only=True)
        now = registry.alias(version.dataset, self.environment, PRODUCTION)
        if now is None:
            return None
        seen = [now.deployment.id]
        if now.deployment.version == version.number:
            # What it replaced, not what was rolled back from since.
            seen = trail(registry.alias_moves(version.dataset, self.environment, PRODUCTION, limit=ALL_MOVES))[::-1]
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

    def _against_now(self, deployment: Deployment) -> Mapping[str, Any]:
        version = self.registry(read_only=True).version(deployment.dataset, deployment.version)
        found = self._compared_with(version, None)
        return {} if found is None else {"version": found.version.number, "digest": found.version.digest}

    def _written(self, version: Version) -> Mapping[str, Any]:
        """What a verdict on a version's vectors names; nothing that there ever is where they cannot be seen."""
        try:
            return written(self.lake(read_only=True), tables_of(version), version.lake_snapshot)
        except VectorPipelineError:
            return {}  # The gates meet the same and say it.

    def _same_vectors(self, deployment: Deployment, *, told: bool = False) -> Callable[[Mapping[str, Any]], bool]:
        """Whether a version's vectors are those that a verdict names. ``told``: law 2; of an expired one nothing is left to see."""
        known: dict[str, bool] = {}

        def same(seen: Mapping[str, Any]) -> bool:
            version = self.registry(read_only=True).version(deployment.dataset, deployment.version)
            if version.expired_at is not None:
                return True
            try:
                return as_written(self.lake(read_only=True), tables_of(version), version.lake_snapshot, seen)
            except VectorPipelineError as error:
                if told:
                    return True
                what = f"whether version {version.number} of {version.dataset} has the vectors that were checked cannot be seen"
                raise RefusedError(f"{what}: {error.what}", fix=error.fix) from None

        def once(seen: Mapping[str, Any]) -> bool:
            key = str(seen)
            if key not in known:
                known[key] = same(seen)
            return known[key]

        return once

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

    def mark_of(self, deployment: Deployment) -> str | None:
        """The state that a deployment's namespace is in now; None when it or its target is not there."""
        try:
            state = self.target_named(deployment.target, read_only=True).describe(deployment.namespace)
        except (NotFoundError, RefusedError):
            return None
        return state.mark if state is not None else None

    def _mark_before(self, deployment: Deployment) -> str | None:
        """Read before a check looks: a write in between makes the verdict worthless, not wrong. None counts for no state."""
        try:
            return self.mark_of(deployment)
        except VectorPipelineError:
            return None  # The check itself meets the same and says it.


def _said(name: str, verdict: Verdict | None, now: _Now) -> CheckResult:
    """Law 1."""
    if verdict is None:
        return CheckResult(name, summary="has not run")
    why = _worthless(verdict, now)
    if why:
        return CheckResult(name, summary=f"{why}: verify again")
    return told(name, verdict) if "status" in verdict.detail else CheckResult(name, Status(verdict.status.value), "")


def told(name: str, verdict: Verdict) -> CheckResult:
    """What a gate said, as it was recorded."""
    return CheckResult.from_json({"detail": {}, "examples": [], "summary": "", **verdict.detail, "name": name})


def _worthless(verdict: Verdict, now: _Now) -> str:
    """Why a verdict does not count now; empty where it does."""
    if verdict.digest != now.digest:
        return "judged other content"
    if verdict.check in now.of_index and now.mark is not None and verdict.mark != now.mark:
        return "judged before the index changed"
    if verdict.detail.get(SETTINGS) != now.settings:
        return "judged under other settings"
    if VECTORS in verdict.detail and not now.same_vectors(verdict.detail[VECTORS]):
        return "judged before vectors were taken away or made anew"
    seen = verdict.detail.get("detail", {}).get(AGAINST)
    # What a version in production was compared with may have expired since: what was said then was said for good.
    if seen is not None and seen != now.against and (now.against or not now.served):
        return f"compared with {_served(seen)}; since then it is {_serves(now.against)}"
    return ""


def _served(seen: Mapping[str, Any]) -> str:
    return f"version {seen['version']}, which production served" if seen else "nothing: production served nothing"


def _serves(seen: Mapping[str, Any]) -> str:
    return f"version {seen['version']}" if seen else "nothing"
