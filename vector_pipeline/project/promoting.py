"""Promote and roll back: the alias moves; in place, what readers read is written first.

Laws
----
1. Policy comes first: who may promote here, and whether a reason must be given.
2. In place, only what passed on ``…--next`` is written over ``…--live``; the gates look at ``…--live`` before the alias says so,
   and when they fail, what readers had is written back. Interrupted, the same command goes on.
3. A gate that a person lets a version past is passed on the way to readers too, and on the way back to it. Never past what is not
   whole, or not there.
4. What a failed check undoes, it undoes only while production still points at what failed: a check of ours, or of a job that says
   which version it looked at.
"""

from collections.abc import Collection, Sequence

from vector_pipeline.errors import RefusedError
from vector_pipeline.project.placing import Why
from vector_pipeline.project.together import Together
from vector_pipeline.release.guards import Guards
from vector_pipeline.release.lines import base_namespace, in_place_namespaces
from vector_pipeline.release.mirrors import before_last_move, goes_back_apart
from vector_pipeline.release.plan import FORMAT, Plan, Strategy
from vector_pipeline.release.promote import (
    PRODUCTION,
    STAGING,
    left_behind,
    move_back,
    promote,
    require_verified,
    rollback_target,
    stands_at,
)
from vector_pipeline.release.push import Pushed, push_version
from vector_pipeline.release.registry import Alias, Deployment, DeploymentStatus, Version
from vector_pipeline.release.wishes import Wish
from vector_pipeline.verify.outcome import CheckResult


class Promoting(Together):
    """Moves ``production``."""

    def promote(
        self,
        dataset: str,
        *,
        by: str,
        version: int | None = None,
        reason: str = "",
        run_id: str | None = None,
        automatic: bool = False,
        without: Sequence[str] = (),
        overrides: Sequence[str] = (),
    ) -> tuple[Alias, bool]:
        """Move ``production`` to a verified version (default: what staging holds); returns the alias and whether it moved.

        ``automatic``: nobody asked for it but the chain; refused unless the policy of this environment says so. ``without``: places
        that are taken out of service with it. ``overrides``: gates that the version is let past, with a reason, recorded with the
        move; ``InputError`` for one that does not stop it. Of several places the first one's alias is returned: all move, or none.
        """
        self._require_policy(dataset, reason, automatic=automatic)
        past = self._to_override(dataset, overrides, reason, automatic=automatic)
        why = Why(by, reason, run_id)
        self._require_serving(dataset, version)
        if without or self.apart(dataset):
            return self._promote_places(dataset, version, why, without, past)
        staged = self._staged(dataset).deployment if version is None else None
        deployment = staged or self.deployment_of(self.version(dataset, version))
        before = self.standing(dataset, PRODUCTION)
        let = self.blocked(deployment, past) if past else []
        if deployment.id not in {one.deployment.id for one in before}:
            self.require_blocked(past, let, deployment.version)
        self.require_current_gates(deployment, but=past)
        if deployment.strategy is Strategy.IN_PLACE:
            deployment = self._written_live(deployment, run_id, past)
            let = self.blocked(deployment, past) if past else []
        alias, moved = promote(
            self.registry(), deployment, required=self.version_gates(dataset),
            observed=self.index_gates_of(dataset, deployment.target), mark=self.mark_of(deployment), by=by, reason=reason,
            run_id=run_id, overrides=let,
        )  # fmt: skip
        self.followed(before, [alias])
        return alias, moved

    def _require_serving(self, dataset: str, version: int | None) -> None:
        """``RefusedError`` for a version (default: what staging holds) of a space that the configuration does not serve: the next
        release would leave it again. Going back to one is no promotion.
        """
        serving = self.dataset(dataset).serving_space
        if version is None:
            staged = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            if staged is None:
                return  # Said below, better.
            version = staged.deployment.version
        space = self.version(dataset, version).space
        if space == serving:
            return
        known = space in self.dataset(dataset).spaces
        raise RefusedError(
            f"version {version} of {dataset} is of space {space}, and the configuration serves {serving}",
            fix=(f"To serve {space}, set `serving: {space}`, push and promote; else push" if known else "Push")
            + f" a version of {serving}: vector-pipeline push {dataset}",
        )

    def rollback(
        self,
        dataset: str,
        *,
        by: str,
        to: int | None = None,
        only_from: int | None = None,
        reason: str = "",
        run_id: str | None = None,
        without: Sequence[str] = (),
    ) -> tuple[Alias, bool]:
        """Move ``production`` back; returns the alias and whether anything moved. Only in place is anything written.

        ``only_from``: law 4 for who asks; where production is elsewhere by now, nothing moves.
        """
        self._require_policy(dataset, reason)
        why = Why(by, reason, run_id, "rollback")
        seen = self.standing(dataset, PRODUCTION)
        if only_from is not None and not all(stands_at(self.registry(), one, only_from) for one in seen):
            return seen[0], False
        if without or self.apart(dataset) or goes_back_apart(self.registry(), dataset, self.environment, to):
            return self._places_back(dataset, to, why, without, seen if only_from is not None else None)
        now, goal = rollback_target(self.registry(), dataset, self.environment, to)
        if only_from is not None and [one.generation for one in seen] != [now.generation]:
            return now, False
        return self._back(now, goal, why)

    def roll_back_failed(
        self, failed: Alias, *, by: str, reason: str, run_id: str | None = None
    ) -> tuple[Alias, bool] | None:
        """Undo the move that put production where a check failed now (law 4). None when there is nothing to go back to."""
        why = Why(by, reason, run_id, "self-check")
        if self.apart(failed.dataset):
            goals = before_last_move(self.registry(), failed, self.places(failed.dataset), run_id)
            return None if goals is None else self.arrange(failed.dataset, goals, why)
        goal = left_behind(self.registry(), failed)
        return None if goal is None else self._back(failed, goal, why)

    def _require_policy(self, dataset: str, reason: str, *, automatic: bool = False) -> None:
        self.dataset(dataset)
        policy = self.promotion_of(dataset)
        if automatic:
            if policy.policy != "automatic":
                raise RefusedError(
                    f"{dataset} is promoted by a person in environment {self.environment} (promotion.policy: manual)",
                    fix=f"Promote it: vector-pipeline promote {dataset}",
                )
        elif policy.require_reason and not reason.strip():
            raise RefusedError(
                f"{dataset} wants a reason for every move of production in {self.environment} (promotion.require_reason)",
                fix='Say it: --reason "why"',
            )

    def _to_override(self, dataset: str, overrides: Sequence[str], reason: str, *, automatic: bool) -> tuple[str, ...]:
        if overrides and automatic:
            raise RefusedError(
                "only a person lets a version past a gate", fix=f"Promote it: vector-pipeline promote {dataset}"
            )
        return self.gates_to_override(dataset, overrides, reason)

    def _back(self, now: Alias, goal: Deployment, why: Why) -> tuple[Alias, bool]:
        wrote = False
        # Written, but the alias was not moved: whether it was checked, only looking tells.
        unsaid = now.deployment.status == DeploymentStatus.REPLACED
        if goal.strategy is Strategy.IN_PLACE and (goal.status != DeploymentStatus.PUSHED or unsaid):
            self._live(self.version(goal.dataset, goal.version), goal.target, why.run_id)
            wrote = True
            failed = self._look_again(goal, goal, why.run_id, self.overridden(goal))
            if failed and goal.id != now.deployment.id:
                self._put_back(now, goal, failed, why.run_id)
        alias, moved = move_back(
            self.registry(), now, goal, by=why.by, reason=why.reason, run_id=why.run_id, kind=why.kind
        )
        self.followed([now], [alias])
        return alias, moved or wrote

    def _written_live(self, staged: Deployment, run_id: str | None, past: Collection[str]) -> Deployment:
        """Law 2: the deployment that readers read, whole and checked, but for what it is let ``past``."""
        registry = self.registry()
        once, of_index = self.version_gates(staged.dataset), self.index_gates_of(staged.dataset, staged.target)
        require_verified(registry, staged, once, of_index, self.mark_of(staged), past=past)
        now = registry.alias(staged.dataset, self.environment, PRODUCTION)
        version, share = self.version(staged.dataset, staged.version), self._allowed(staged)
        live = self._live(version, staged.target, run_id, max_removed_share=share).deployment
        failed = self._look_again(live, staged, run_id, past)
        if failed:
            self._put_back(now, live, failed, run_id)
        return live

    def _allowed(self, staged: Deployment) -> float:
        """Share that writing live may remove: what the gates allow, or what a person let through when the copy was pushed."""
        pushes = self.registry(read_only=True).pushes(staged.dataset, deployment_id=staged.id)
        shares = [Plan.from_json(one.plan).removal.share for one in pushes if one.plan.get("format") == FORMAT]
        return max([self.gates(staged.dataset).max_removed_share, *shares])

    def _live(self, version: Version, target: str, run_id: str | None, *, max_removed_share: float = 1.0) -> Pushed:
        """Write a version over what readers read. What was served before is written back whatever it removes."""
        base = base_namespace(version.dataset, version.space, version.fingerprint)
        there = self.target_named(target)
        wish = Wish(
            self.environment, Strategy.IN_PLACE, in_place_namespaces(base, self.environment)[1], stages=False,
            prices=self.settings.targets[target].prices, parallel=self._parallel(target),
        )  # fmt: skip
        return push_version(
            self.lake(read_only=True), self.registry(), version, there, wish, run_id=run_id,
            guards=Guards(max_removed_share),
            on_write=lambda done, total: self.progress.update("write live", done, total, unit="records"),
            on_files=lambda done, total: self.progress.update("write live: files", done, total, unit="records"),
        )  # fmt: skip

    def _parallel(self, target: str) -> int:
        """Writes at once."""
        asked = self.settings.targets[target].parallel_writes
        return asked or self.target_named(target, read_only=True).capabilities.parallel_writes

    def _look_again(
        self, live: Deployment, staged: Deployment, run_id: str | None, past: Collection[str]
    ) -> list[CheckResult]:
        """What fails of the gates of the index on what readers read; those of the data hold for the version, wherever it is."""
        registry = self.registry()
        once, of_index = self.version_gates(live.dataset), self.index_gates_of(live.dataset, live.target)
        live = registry.deployment(live.id)
        if staged.id != live.id:
            self._hold_too(live, staged, once, run_id)
        if live.digest and not registry.verified(live.id, live.digest, of_index, mark=self.mark_of(live)):
            return []
        _, results = self.verify(live.dataset, only=of_index, deployment=live, run_id=run_id)
        return [result for result in results if result.blocks and result.name not in past]

    def _put_back(self, now: Alias | None, live: Deployment, failed: Sequence[CheckResult], run_id: str | None) -> None:
        """Law 2: what production names is written back, and the failure raised."""
        what = f"version {live.version} of {live.dataset} did not pass on {live.namespace}: " + "; ".join(
            f"{one.name}: {one.summary}" for one in failed
        )
        if now is None or now.deployment.namespace != live.namespace or now.deployment.version == live.version:
            raise RefusedError(f"{what}. Production was not moved", fix="Look at it, then promote again")
        self._live(self.version(live.dataset, now.deployment.version), live.target, run_id)
        raise RefusedError(
            f"{what}. Version {now.deployment.version} was written back", fix="Look at it, then promote again"
        )
