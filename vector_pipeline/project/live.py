"""Production checks itself after a move: what readers get through the alias, and the way back when that is not right.

Laws
----
1. What is checked is what an application would read: the alias is resolved anew, and canaries go through its reader.
2. A result counts as a verdict of the deployment's gate where it is worse than what the gate said: one that fails live is not
   promoted again before it was verified again. One that is right live takes nothing back that the gate said: it looks at less.
   What is turned off is not looked at; what only warns undoes nothing, nor does what a person let the version past, where it fails
   as it did then.
3. Every place is looked at; when one fails, all go back.
   It goes back only from the move that was checked: whoever moved production meanwhile is left alone.
4. A rollback is not checked: it goes to what production served before, and there is nowhere better to go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vector_pipeline.errors import ConflictError, CorruptError, NotFoundError
from vector_pipeline.project.releasing import Releasing
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Alias, Deployment
from vector_pipeline.targets.base import Filter, Match
from vector_pipeline.verify.canaries.file import canaries_of
from vector_pipeline.verify.canaries.gate import NAME as CANARIES
from vector_pipeline.verify.canaries.gate import run_canaries
from vector_pipeline.verify.catalogue import key_of
from vector_pipeline.verify.coverage import NAME as COVERAGE
from vector_pipeline.verify.outcome import CheckResult, Status, guarded, overall
from vector_pipeline.verify.policy import under

_REASON_CHARS = 400


@dataclass(frozen=True, slots=True)
class LiveChecked:
    """What production said of itself after a move."""

    results: tuple[CheckResult, ...]
    back: Alias | None = None
    """Where production points after it moved back by itself; None: it stayed."""
    error: CorruptError | None = None
    """What went wrong, in one line; None when all is well."""


class Living(Releasing):
    """Checks of what is live."""

    def check_live(self, dataset: str, *, run_id: str | None = None) -> list[CheckResult]:
        """Coverage and canaries of what production serves, read through the alias of every place; recorded as law 2 says.

        Coverage that was proved for exactly the state that the index is in now is not proved again. ``NotFoundError`` when nothing
        was promoted; ``ConflictError`` when production moves while it is looked at.
        """
        places, settings = self._production(dataset), self.gate_settings(dataset)
        looked = [self._look_at(one) for one in places]
        if [one.generation for one in self._production(dataset)] != [one.generation for one in places]:
            raise ConflictError(
                f"production of {dataset} moved while it was checked", fix="See: vector-pipeline history"
            )
        results: list[CheckResult] = []
        for alias, (mark, coverage, canaries) in zip(places, looked, strict=True):
            looks = [one for one in (coverage, canaries) if one is not None]
            told = self.accepted(alias.deployment, looks)
            for result in self._worse(alias.deployment, mark, looks, told):
                self._record(
                    alias.deployment, result.name, result, digest=alias.deployment.digest or "", mark=mark, run_id=run_id,
                    settings=settings,
                )  # fmt: skip
            if coverage is None and COVERAGE in self.index_gates_of(dataset, alias.deployment.target):
                proved = "proved for the state that the index is in now"
                told.insert(0, CheckResult(COVERAGE, Status.PASSED, proved, {"mark": mark}))
            where = "" if alias.name == PRODUCTION else f" ({alias.deployment.target})"
            results += [replace(one, name=f"{one.name}{where}") for one in told]
        return results

    def _look_at(self, alias: Alias) -> tuple[str | None, CheckResult | None, CheckResult | None]:
        """One place: its mark before the look, coverage (None: it is proved already) and canaries; None too where they are off."""
        deployment, mark = alias.deployment, self._mark_before(alias.deployment)
        gates = self.gates(alias.dataset)
        modes = gates.mode(key_of(COVERAGE)), gates.mode(key_of(CANARIES))
        known = modes[0] == "off" or self._proved(deployment, mark)
        coverage = None if known else under(modes[0], self._covers(deployment))
        off = modes[1] == "off"
        canaries = None if off else under(modes[1], guarded(CANARIES, lambda: self._live_canaries(alias)))
        return mark, coverage, canaries

    def _worse(
        self, deployment: Deployment, mark: str | None, results: Sequence[CheckResult], told: Sequence[CheckResult]
    ) -> list[CheckResult]:
        """Law 2: those of ``results`` that are worse than what their gates said. ``told``: the same, as a person let them past."""
        said = {one.name: one for one in self.said_now(deployment, mark=mark or "")}
        return [
            one
            for one, as_told in zip(results, told, strict=True)
            if overall([said[one.name], one]) is not said[one.name].status
            or (one.status is Status.FAILED and as_told.blocks)
        ]

    def settle(self, moved: Alias, *, by: str, run_id: str | None = None) -> LiveChecked:
        """Check what a promotion has just made live, and move production back when that fails and the policy says so."""
        dataset = moved.dataset
        results = tuple(self.check_live(dataset, run_id=run_id))
        self._still(moved)
        failed = [result for result in results if result.blocks]
        if not failed:
            return LiveChecked(results)
        said = "; ".join(f"{result.name}: {result.summary}" for result in failed)
        now = f"production serves version {moved.deployment.version} of {dataset}"
        look = f"vector-pipeline verify {dataset} --version {moved.deployment.version}"
        if not self.promotion_of(dataset).rollback_on_failure:
            return LiveChecked(results, error=_error(f"{now} and fails its own check", said, f"Look: {look}"))
        reason = f"self-check failed: {said}"[:_REASON_CHARS]
        undone = self.roll_back_failed(moved, by=by, reason=reason, run_id=run_id)
        if undone is None:
            fix = f"There is nothing to go back to, so it stays. Look: {look}"
            return LiveChecked(results, error=_error(f"{now} and fails its own check", said, fix))
        back = undone[0]
        again = f"production of {dataset} moved back by itself to version {back.deployment.version}"
        what = f"{again}: version {moved.deployment.version} failed its own check after the promotion"
        return LiveChecked(results, back, _error(what, said, f"Look: {look}"))

    def _still(self, seen: Alias) -> None:
        """``ConflictError`` when production has moved since: a verdict on what it was is none on what it is."""
        if self._production(seen.dataset)[0].generation != seen.generation:
            raise ConflictError(
                f"production of {seen.dataset} moved while it was checked, and was left alone",
                fix=f"See: vector-pipeline history {seen.dataset}",
            )

    def _production(self, dataset: str) -> list[Alias]:
        """Of every place, the first one first."""
        self.dataset(dataset)
        found = self.standing(dataset, PRODUCTION)
        if not found:
            raise NotFoundError(f"nothing of {dataset} is in production", fix=f"vector-pipeline promote {dataset}")
        return found

    def _proved(self, deployment: Deployment, mark: str | None) -> bool:
        if mark is None:
            return False
        return not self.registry(read_only=True).verified(deployment.id, deployment.digest or "", [COVERAGE], mark=mark)

    def _covers(self, deployment: Deployment) -> CheckResult:
        version = self.registry(read_only=True).version(deployment.dataset, deployment.version)
        context = self.gate_context(version, deployment)
        return guarded(COVERAGE, self._gate(context, COVERAGE))

    def _live_canaries(self, alias: Alias) -> CheckResult:
        from vector_pipeline.serving.reader import Index  # Only after a move.

        dataset, deployment = alias.dataset, alias.deployment
        gates = self.gates(dataset)
        file = canaries_of(gates, self.base)
        # The reader shares this project's parts: it is not closed here.
        place = None if alias.name == PRODUCTION else deployment.target
        index = Index(self, dataset, PRODUCTION, max_staleness_s=0, target=place)

        def search(queries: Sequence[str], top_k: int, filter: Filter | None) -> list[list[Match]]:
            most = self.target_named(deployment.target, read_only=True).capabilities.max_top_k
            found = index.query(list(queries), top_k=min(top_k, most), filter=filter)
            other = {hit.version for hits in found for hit in hits} - {deployment.version}
            if other:
                raise CorruptError(f"production serves version {other.pop()}, not {deployment.version}")
            return [
                [Match(hit.id, hit.score, hit.document, "", deployment.version, deployment.version) for hit in hits]
                for hits in found
            ]

        of, rates = file.canaries, file.pass_rates
        return run_canaries(of, search, gates.canary_pass_rate, pass_rates=rates, version=deployment.version)


def _error(what: str, said: str, fix: str) -> CorruptError:
    return CorruptError(f"{what} ({said})", fix=fix, kind="self-check")
