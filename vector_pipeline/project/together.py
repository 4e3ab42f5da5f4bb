"""Several places move together or not at all.

Laws
----
1. Each goes to its own deployment of the version: whole, and verified for the state that the place is in, or served before.
2. What a place serves already is not looked at again: so a place can be brought in, or taken out, whatever was pushed since.
3. Going back, a place is not compared with what production serves now: that is what it goes back from.
4. One that is away stops the others until somebody takes it out of service, and says why.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from vector_pipeline.errors import NotFoundError, RefusedError, UnavailableError
from vector_pipeline.project.drifting import Drifting
from vector_pipeline.project.placing import Why
from vector_pipeline.release.mirrors import version_to_return, was_served, whole_on
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.promote import PRODUCTION, STAGING, require_verified
from vector_pipeline.release.registry import Alias, Deployment, NewOverride, Version
from vector_pipeline.verify import catalogue
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.catalogue import Scope


class Together(Drifting):
    """Promotion and rollback of several places."""

    def _staged(self, dataset: str) -> Alias:
        staging = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
        if staging is None:
            raise NotFoundError(
                f"nothing of {dataset} is on staging", fix=f"Push first: vector-pipeline push {dataset}"
            )
        return staging

    def _promote_places(
        self, dataset: str, version: int | None, why: Why, without: Sequence[str], past: Sequence[str] = ()
    ) -> tuple[Alias, bool]:
        """Law 2. ``past``: gates that a person lets the version past, at every place that they stop."""
        places = self.remaining(dataset, without, why.reason)
        wanted = self.version(dataset, version or self._staged(dataset).deployment.version)
        goals = [self._goal(wanted, target) for target in places]
        served = {one.deployment.id for one in self.standing(dataset, PRODUCTION)}
        coming = [one for one in goals if one.id not in served]
        overrides: list[NewOverride] = []
        for one in coming:
            overrides += self._require_ready(one, goals[0], without, past)
        if coming:
            self.require_blocked(past, overrides, wanted.number)
        return self.arrange(dataset, goals, replace(why, overrides=tuple(overrides)), without=without)

    def _goal(self, version: Version, target: str) -> Deployment:
        """A place's deployment of a version that is to be promoted."""
        try:
            return self.deployment_of(version, target)
        except NotFoundError as error:
            raise RefusedError(
                error.what, fix=f"{error.fix}; or leave the target out: --without {target} --reason WHY"
            ) from None

    def _require_ready(
        self,
        deployment: Deployment,
        first: Deployment,
        without: Sequence[str],
        past: Sequence[str] = (),
        *,
        back: bool = False,
    ) -> list[NewOverride]:
        """Whole, verified for the state that the place is in, and in agreement with the first one, but for what it is let ``past``.

        ``back``: law 3.
        """
        if deployment.strategy is Strategy.IN_PLACE:
            raise RefusedError(
                f"version {deployment.version} of {deployment.dataset} is in {deployment.namespace} of {deployment.target}, which "
                "is written in place: several places cannot change together so",
                fix="Push it with another strategy",
            )
        try:
            found = self.blocked(deployment, past) if past else []
            compared = catalogue.names(Scope.CHANGE) if back else ()
            self._require_judged(deployment, {*(one.check for one in found), *compared}, back=back)
            if deployment.id != first.id and MIRRORS_AGREE not in past:
                self.require_agreement(deployment, first, without)
            return found
        except UnavailableError as error:
            out = f"promote {deployment.dataset} --version VERSION --without {deployment.target} --reason WHY"
            raise UnavailableError(
                error.what, fix=f"Try again, or take the target out of service: vector-pipeline {out}", kind=error.code
            ) from None

    def _require_judged(self, deployment: Deployment, past: Collection[str], *, back: bool) -> None:
        self.require_current_gates(deployment, but=past, compared=not back)
        observed = self.index_gates_of(deployment.dataset, deployment.target)
        once = self.version_gates(deployment.dataset)
        require_verified(self.registry(), deployment, once, observed, self.mark_of(deployment), past=past)

    def _places_back(
        self, dataset: str, to: int | None, why: Why, without: Sequence[str], seen: Sequence[Alias] | None = None
    ) -> tuple[Alias, bool]:
        """Every place to its own deployment of the version (law 1). ``seen``: only from there."""
        places = self.remaining(dataset, without, why.reason)
        registry = self.registry()
        _, number = version_to_return(registry, dataset, self.environment, to)
        goals: list[Deployment] = []
        for target in places:
            found = whole_on(registry, dataset, self.environment, target, number)
            if not found:
                raise RefusedError(
                    f"{target} does not hold version {number} of {dataset} whole: nothing was moved",
                    fix=f"Restore it: vector-pipeline push {dataset} --version {number} --target {target}; or leave the target "
                    f"out: --without {target} --reason WHY",
                )
            goals.append(found[0])
        for one in goals:
            if not was_served(registry, one):
                self._require_ready(one, goals[0], without, back=True)
        return self.arrange(dataset, goals, why, without=without, seen=seen)
