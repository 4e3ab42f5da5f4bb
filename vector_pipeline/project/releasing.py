"""Push: bring the places to hold a version, and point ``staging`` at it.

Laws
----
1. Places are written one after the other, each under its own lease; what landed stays, whatever becomes of the next. Nothing is
   asked of a place before its turn: one that is away keeps nothing from the others before it.
2. Of several places ``staging`` moves when all hold the version, and all its names together.
"""

from collections.abc import Sequence
from dataclasses import replace

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from vector_pipeline.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VectorPipelineError,
)
from vector_pipeline.project.placing import Why
from vector_pipeline.project.planning import Planning
from vector_pipeline.release.guards import Guards
from vector_pipeline.release.plan import Load, Plan
from vector_pipeline.release.planning import require_place
from vector_pipeline.release.promote import STAGING, STAGING_ATTEMPTS, point_staging
from vector_pipeline.release.push import Pushed, push_version
from vector_pipeline.release.registry import Deployment, DeploymentStatus, Version
from vector_pipeline.release.wishes import Wish


class Releasing(Planning):
    """Steps that change what a target holds."""

    def push(
        self,
        dataset: str,
        *,
        version: int | None = None,
        saved: Plan | Sequence[Plan] | None = None,
        run_id: str | None = None,
        by: str = "vector-pipeline",
        max_removed_share: float | None = None,
        max_changed_share: float | None = None,
        over_budget: bool = False,
        strategy: str | None = None,
        load: Load | None = None,
        on_drift: str | None = None,
        target: str | None = None,
    ) -> Pushed:
        """Bring every place to hold a version (default: the newest), one after the other, and point ``staging`` at it.

        ``staging`` follows the serving space: a version of another space is written beside it, and pointed at by nobody.
        Saved plans for production are applied up to there; ``verify`` and ``promote`` do the rest. ``max_removed_share``,
        ``max_changed_share``, ``over_budget``: what a person allows beyond the gates. ``target``: that place alone; saved plans of
        some places are taken so too. What was out of service comes back.
        """
        parts = [] if saved is None else [saved] if isinstance(saved, Plan) else list(saved)
        places = self._places_to_push(dataset, parts, target)
        wanted = self.version(dataset, parts[0].version if parts else version)
        self._require_whole(dataset)
        for one in parts:
            self.require_movable(dataset, one.strategy)
        plans: list[Plan | None] = [*parts] or [None] * len(places)
        guards = self._guards(dataset, max_removed_share, max_changed_share=max_changed_share, over_budget=over_budget)
        done: list[Pushed] = []
        for place, part in zip(places, plans, strict=True):
            try:
                self._mind_drift(dataset, wanted.number, part, strategy, on_drift, by, run_id, place)
                wish = self._wish(dataset, wanted, strategy, place, load)
                done.append(self._pushed(wanted, place, wish, guards, part, run_id, several=len(places) > 1))
            except VectorPipelineError as error:
                if len(places) == 1:
                    raise
                raise _partly(error, wanted, len(done), places) from None
            if place in self.withdrawn(dataset):
                self.registry().end_withdrawal(dataset, self.environment, place, by=by)
        every = target is None and set(self.places(dataset)) <= set(places)
        waits = self._stage(dataset, wanted, done[0], every, Why(by, "pushed", run_id, "push"))
        return replace(done[0], mirrors=tuple(done[1:]), waits_for=tuple(waits))

    def _places_to_push(self, dataset: str, parts: Sequence[Plan], target: str | None) -> list[str]:
        """In order. Saved plans name theirs."""
        if not parts:
            return self.places(dataset) if target is None else [self.place(dataset, target)]
        for part in parts:
            require_place(part, dataset=dataset, environment=self.environment, target=target or part.target)
            if part.target not in self.configured(dataset):
                require_place(part, dataset=dataset, environment=self.environment, target=self.place(dataset, None))
        if len({(one.version, one.goal) for one in parts}) > 1 or len({one.target for one in parts}) < len(parts):
            raise InputError("the saved plans do not belong together", fix="Make them anew: vector-pipeline plan --out")
        if parts[0].goal == "production":
            self.require_every_place(dataset, [part.target for part in parts])
        return [part.target for part in parts]

    def _pushed(
        self, version: Version, place: str, wish: Wish, guards: Guards, saved: Plan | None, run_id: str | None, *,
        several: bool,
    ) -> Pushed:  # fmt: skip
        what = f"push to {place}" if several else "push"
        return push_version(
            self.lake(read_only=True), self.registry(), version, self.target_named(place), wish, run_id=run_id,
            saved=saved, guards=guards,
            on_write=lambda done, total: self.progress.update(what, done, total, unit="records"),
            on_files=lambda done, total: self.progress.update(f"{what}: files", done, total, unit="records"),
        )  # fmt: skip

    def _stage(self, dataset: str, version: Version, first: Pushed, every: bool, why: Why) -> list[str]:
        """Point ``staging`` at what was pushed: of several places together, when all of them hold it. Returns those that do not.

        ``every``: every place was pushed to, not some alone.
        """
        if version.space != self.dataset(dataset).serving_space:
            return []
        if len(self.configured(dataset)) == 1:
            before = self.registry().alias(dataset, self.environment, STAGING)
            after = point_staging(self.registry(), first.deployment, by=why.by, run_id=why.run_id)
            self.followed([before], [after])
            return []
        found = {name: self._whole(version, name) for name in self.places(dataset)}
        waits = [name for name, held in found.items() if held is None]
        goals = [held for held in found.values() if held is not None]

        def move() -> None:
            now = self.registry().alias(dataset, self.environment, STAGING)
            # One place was brought to an older version, to be served from there: what is staged elsewhere stays.
            if every or now is None or now.deployment.version <= version.number:
                self.arrange_staging(dataset, goals, why)

        if not waits:
            again = retry_if_exception_type(ConflictError)
            Retrying(retry=again, stop=stop_after_attempt(STAGING_ATTEMPTS), reraise=True)(move)
        return waits

    def _whole(self, version: Version, target: str) -> Deployment | None:
        try:
            found = self.deployment_of(version, target)
        except NotFoundError:
            return None
        whole = found.status == DeploymentStatus.PUSHED and found.digest == version.digest
        return found if whole else None

    def staged(self, dataset: str, space: str | None = None) -> int:
        """Version to verify: what ``staging`` points to, or the newest of a space that is not served."""
        if space is None or space == self.dataset(dataset).serving_space:
            alias = self.registry(read_only=True).alias(dataset, self.environment, STAGING)
            if alias is not None:
                return alias.deployment.version
        return self.version(dataset, None, space).number

    def _mind_drift(
        self, dataset: str, version: int, saved: Plan | None, strategy: str | None, on_drift: str | None, by: str,
        run_id: str | None, target: str,
    ) -> None:  # fmt: skip
        """Before anything builds on what somebody else has changed: stop, repair, or go on, as was asked."""
        mode = on_drift or self.dataset(dataset).drift.on_drift
        if mode not in ("stop", "repair", "ignore"):
            raise InputError(f"on drift, {mode!r} cannot be done", fix="One of stop, repair, ignore")
        drifted = (
            []
            if mode == "ignore"
            else self.drift_in_the_way(dataset, version=version, saved=saved, strategy=strategy, target=target)
        )
        if not drifted:
            return
        if mode == "stop":
            raise RefusedError(
                f"somebody else has written to {drifted[0].namespace}: {drifted[0].summary}",
                fix=f"Repair it: vector-pipeline repair {dataset}, or push with --on-drift repair or ignore",
            )
        self.repair(dataset, only=(drifted[0].target, drifted[0].namespace), run_id=run_id, by=by)


def _partly(error: VectorPipelineError, version: Version, done: int, places: Sequence[str]) -> VectorPipelineError:
    """What stopped the push of one place, with where that leaves the others. Run again, it goes on."""
    held = f"v{version.number} is on {', '.join(places[:done])}; " if done else ""
    still = f"not yet on {', '.join(places[done:])}; staging was not moved"
    fix = error.fix or "Run the command again"
    if isinstance(error, UnavailableError):
        fix = f"{fix.rstrip('.')}; or go on without it: {', then '.join(_without(places[done], version, places[done + 1 :]))}"
    return type(error)(f"target {places[done]}: {error.what} ({held}{still})", fix=fix, kind=error.code)


def _without(away: str, version: Version, others: Sequence[str]) -> list[str]:
    """The commands that bring a version to production while a place is away. ``others``: those that do not hold it yet."""
    which = f"{version.dataset} --version {version.number}"
    return [
        *(f"vector-pipeline push {which} --target {name}" for name in others),
        f"vector-pipeline verify {which}",
        f"vector-pipeline promote {which} --without {away} --reason WHY",
    ]
