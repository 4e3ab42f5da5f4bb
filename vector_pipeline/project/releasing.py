"""Plan, push, promote, roll back."""

from vector_pipeline.errors import NotFoundError
from vector_pipeline.project.drifting import Drifting
from vector_pipeline.project.gating import DATA_GATES, DEPLOYMENT_GATES
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.promote import STAGING, point_staging, promote, rollback
from vector_pipeline.release.push import Pushed, plan_push, push_version
from vector_pipeline.release.registry import Alias


class Releasing(Drifting):
    """Steps that change what a target holds and where an alias points."""

    def plan(self, dataset: str, *, version: int | None = None) -> Plan:
        """What a push would do now. Writes nothing."""
        wanted = self.version(dataset, version)
        target = self.target(dataset, read_only=True)
        return plan_push(self.lake(read_only=True), wanted, target, environment=self.environment)

    def push(
        self,
        dataset: str,
        *,
        version: int | None = None,
        saved: Plan | None = None,
        run_id: str | None = None,
        by: str = "vector-pipeline",
        max_removed_share: float | None = None,
    ) -> Pushed:
        """Bring the target to hold a version (default: the newest) and point ``staging`` at it.

        ``staging`` follows the serving space: a version of another space is written beside it, and pointed at by nobody.
        """
        wanted = self.version(dataset, saved.version if saved is not None else version)
        share = self.dataset(dataset).gates.max_removed_share if max_removed_share is None else max_removed_share
        pushed = push_version(
            self.lake(read_only=True), self.registry(), wanted, self.target(dataset), environment=self.environment,
            run_id=run_id, saved=saved, max_removed_share=share,
            on_write=lambda done, total: self.progress.update("push", done, total, unit="records"),
        )  # fmt: skip
        if wanted.space == self.dataset(dataset).serving_space:
            point_staging(self.registry(), pushed.deployment, by=by, run_id=run_id)
        return pushed

    def staged(self, dataset: str, space: str | None = None) -> int:
        """Version to verify: what ``staging`` points to, or the newest of a space that is not served."""
        if space is None or space == self.dataset(dataset).serving_space:
            alias = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            if alias is not None:
                return alias.deployment.version
        return self.version(dataset, None, space).number

    def promote(
        self, dataset: str, *, by: str, version: int | None = None, reason: str = "", run_id: str | None = None
    ) -> tuple[Alias, bool]:
        """Move ``production`` to a verified version (default: what staging holds); returns the alias and whether it moved."""
        if version is None:
            staging = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            if staging is None:
                raise NotFoundError(
                    f"nothing of {dataset} is on staging", fix=f"Push first: vector-pipeline push {dataset}"
                )
            deployment = staging.deployment
        else:
            deployment = self.deployment_of(self.version(dataset, version))
        self.require_current_gates(deployment)
        return promote(
            self.registry(), deployment, required=DATA_GATES, observed=DEPLOYMENT_GATES, mark=self.mark_of(deployment),
            by=by, reason=reason, run_id=run_id,
        )  # fmt: skip

    def rollback(
        self, dataset: str, *, by: str, to: int | None = None, reason: str = "", run_id: str | None = None
    ) -> tuple[Alias, bool]:
        """Move ``production`` back, without a write to the target; returns the alias and whether it moved."""
        self.dataset(dataset)
        return rollback(self.registry(), dataset, self.environment, to=to, by=by, reason=reason, run_id=run_id)
