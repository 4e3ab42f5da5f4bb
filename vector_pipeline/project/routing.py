"""Route a share of production's readers to another version: the step before a cut-over.

Laws
----
1. Readers are routed only to what a promotion would take now: whole, its gates passed as they count now, on every place in service.
   Nobody is routed past a gate, and whether the configuration serves the version's space does not matter: that is what is tried.
   The route names the deployments that were judged: readers get no other, whatever the configuration says later.
2. A route is a word in the registry. It writes to no target and moves no alias; readers follow within their staleness.
3. Promotion and rollback end it. It is no step of production's history: a rollback does not go back to what was only routed to.
"""

from collections.abc import Sequence
from typing import Any

from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.project.promoting import Promoting
from vector_pipeline.release.past import ROUTED
from vector_pipeline.release.plan import Strategy
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Alias, Deployment, Route


class Routing(Promoting):
    """Routes between production and another version."""

    def routed(self, dataset: str) -> Route | None:
        """The route in force here; None: every reader gets what production names."""
        self.dataset(dataset)
        return self.registry(read_only=True).route(dataset, self.environment)

    def route(
        self, dataset: str, version: int, share: float, *, by: str, reason: str = "", run_id: str | None = None
    ) -> Route:
        """Give a share of production's readers (above 0, to 1) a version, until production moves or ``unroute``.

        A route that is in force is replaced: to the same version with a larger share, whoever was routed stays so. ``RefusedError``
        by law 1, or where production serves that version; ``ConflictError`` when production moves meanwhile.
        """
        if not 0 < share <= 1:
            raise InputError(f"{share:g} is no share of the readers", fix="Give more than 0 and at most 1")
        self._require_policy(dataset, reason)
        production = self._plain(dataset)
        wanted = self.version(dataset, version)
        if wanted.number == production.deployment.version:
            raise RefusedError(
                f"production of {dataset} serves version {wanted.number} to every reader",
                fix="Route to another version, or end the route: --off",
            )
        goals = [self._goal_at(dataset, wanted.number, target) for target in self.places(dataset)]
        self._require_read_there(dataset, goals)
        for one in goals:
            if len(goals) > 1:
                self._require_ready(one, goals[0], ())
            else:
                self._require_judged(one, (), back=False)
        begun = self.registry().begin_route(
            dataset, self.environment, version=wanted.number, deployments=[one.id for one in goals], share=share,
            beside=production.deployment.id, by=by, reason=reason, run_id=run_id,
        )  # fmt: skip
        self._record_route(dataset, {"version": begun.version, "share": share, "reason": reason}, by, run_id)
        return begun

    def unroute(self, dataset: str, *, by: str) -> Route | None:
        """Give every reader what production names; returns the route that was in force, or None."""
        self.dataset(dataset)
        ended = self.registry().end_route(dataset, self.environment, by=by)
        if ended is not None:
            self._record_route(dataset, {"version": ended.version}, by, None)
        return ended

    def _record_route(self, dataset: str, detail: dict[str, Any], by: str, run_id: str | None) -> None:
        """For the history: who got which version, and why. The route itself is gone with the next promotion."""
        self.registry().record_audit(
            dataset=dataset, environment=self.environment, alias=None, deployment_id=None, level=ROUTED, drifted=False,
            counts={}, detail=detail, by=by, run_id=run_id,
        )  # fmt: skip

    def _plain(self, dataset: str) -> Alias:
        found = self.registry(read_only=True).alias(dataset, self.environment, PRODUCTION)
        if found is None:
            raise NotFoundError(
                f"nothing of {dataset} is in production, so there are no readers to route",
                fix=f"Promote first: vector-pipeline promote {dataset}",
            )
        return found

    def _require_read_there(self, dataset: str, goals: Sequence[Deployment]) -> None:
        """Readers are where production is: what is judged elsewhere says nothing of what they would get."""
        judged = {one.target for one in goals}
        for alias in self.standing(dataset, PRODUCTION):
            read = alias.deployment.target
            if read not in judged:
                raise RefusedError(
                    f"readers of {dataset} read {read}, and the configuration has it served from {', '.join(sorted(judged))}, "
                    "where gates are asked",
                    fix=f"Promote a version there first, or put {read} back into the configuration",
                )

    def _goal_at(self, dataset: str, version: int, target: str) -> Deployment:
        """Law 1, of a place: the deployment that readers would read there."""
        try:
            found = self.deployment_of(self.version(dataset, version), target)
        except NotFoundError as error:
            raise RefusedError(error.what, fix=error.fix) from None
        if found.strategy is Strategy.IN_PLACE:
            raise RefusedError(
                f"version {version} of {dataset} is in {found.namespace} of {found.target}, which is written in place: readers who "
                "do not filter cannot be routed to it",
                fix="Push it with another strategy",
            )
        return found
