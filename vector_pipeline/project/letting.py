"""Gates that a person lets a deployment past.

Laws
----
1. Only a gate that stops it now is let past, and what it says then is kept.
2. A gate that a deployment was let past stays what it said. What is checked by itself afterwards, and the way back, know of it
   until the deployment is promoted again.
"""

from collections.abc import Collection, Sequence

from vector_pipeline.errors import InputError
from vector_pipeline.project.judged import Judged, told
from vector_pipeline.release.promote import ALL_MOVES, PRODUCTION
from vector_pipeline.release.registry import Deployment, NewOverride, Override, Verdict, VerdictStatus, plain_name
from vector_pipeline.verify.outcome import CheckResult, Status
from vector_pipeline.verify.policy import let_past


class Letting(Judged):
    """Overrides. Nothing here writes: they are recorded with the move that they are for."""

    def blocked(self, deployment: Deployment, gates: Collection[str]) -> list[NewOverride]:
        """Those of ``gates`` that stop a deployment now, with what they say."""
        mark, of_index = self.mark_of(deployment), self.index_gates_of(deployment.dataset, deployment.target)
        return [
            NewOverride(
                deployment.id, one.name, VerdictStatus(one.status.value), one.summary, deployment.digest or "",
                mark if one.name in of_index else None,
            )
            for one in self.said_now(deployment, mark=mark or "")
            if one.name in gates and one.blocks
        ]  # fmt: skip

    def require_blocked(self, named: Sequence[str], found: Sequence[NewOverride], version: int) -> None:
        """``InputError`` for a gate that is to be let past and stops nothing."""
        needless = [name for name in named if name not in {one.check for one in found}]
        if needless:
            words = " ".join(f"--override {name.replace(' ', '_')}" for name in needless)
            raise InputError(
                f"version {version} is not stopped by {', '.join(needless)}: there is nothing to let it past",
                fix=f"Leave out {words}",
            )

    def overridden(self, deployment: Deployment) -> dict[str, Override]:
        """Gates that a deployment was let past by its last promotion, with the content that it has (law 2)."""
        registry, place = self.registry(read_only=True), (deployment.dataset, deployment.environment)
        found = registry.overrides(*place, deployment_id=deployment.id)
        if not found:
            return {}
        digest = registry.version(deployment.dataset, deployment.version).digest
        moves = registry.alias_moves(*place, limit=ALL_MOVES)
        promotion = (deployment.id, "promote", PRODUCTION)
        promoted = next(
            (one.id for one in moves if (one.to_deployment, one.kind, plain_name(one.name)) == promotion), None
        )
        return {one.check: one for one in found if (one.digest, one.move_id) == (digest, promoted)}

    def accepted(self, deployment: Deployment, results: Sequence[CheckResult]) -> list[CheckResult]:
        """Results on a deployment, those that a person let it past as warnings."""
        known = self.overridden(deployment)
        said = {one.check: one for one in self.registry(read_only=True).verdicts(deployment.id)} if known else {}
        return [
            let_past(one, _then(past, said.get(one.name)), by=past.by, reason=past.reason)
            if (past := known.get(one.name)) is not None
            else one
            for one in results
        ]


def _then(past: Override, verdict: Verdict | None) -> CheckResult:
    """What a gate said when a deployment was let past it: with its measures, where nobody has looked again since."""
    if (
        verdict is None
        or (verdict.status, verdict.digest) != (past.status, past.digest)
        or "status" not in verdict.detail
    ):
        return CheckResult(past.check, Status(past.status.value), past.summary)
    return told(past.check, verdict)
