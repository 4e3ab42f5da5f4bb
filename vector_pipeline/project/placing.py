"""The places of a dataset: the targets that it is served from, and how their aliases move together.

Laws
----
1. A place is what the configuration names, in its order; in service are those that nobody took out. A dataset of one place has
   it in service, whatever happened before.
2. The registry moves first, all names or none; then every system's own names follow. What fails there is a warning.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vector_pipeline.config import Config
from vector_pipeline.errors import InputError, NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.project.catching import Catching
from vector_pipeline.release.mirrors import arranged, at, standing
from vector_pipeline.release.native import follow
from vector_pipeline.release.promote import PRODUCTION, STAGING
from vector_pipeline.release.registry import (
    Alias,
    Deployment,
    Move,
    MoveKind,
    NewOverride,
    Withdrawal,
    mirror_name,
    plain_name,
)


@dataclass(frozen=True, slots=True)
class Why:
    """Who moves aliases, and why."""

    by: str
    reason: str = ""
    run_id: str | None = None
    kind: MoveKind = "promote"
    overrides: tuple[NewOverride, ...] = ()
    """Gates that what moves is let past."""


class Placing(Catching):
    """Which targets a dataset is served from, and under which names."""

    def __init__(self, config: Config, base: Path, environment: str | None = None) -> None:
        super().__init__(config, base, environment)
        self._warnings: list[str] = []

    def configured(self, dataset: str) -> list[str]:
        """Names of its targets as the configuration has them, the first one first."""
        return [name for _, name in self.dataset(dataset).places()]

    def withdrawn(self, dataset: str) -> dict[str, Withdrawal]:
        """Targets that were taken out of service, or removed, and not served from since."""
        try:
            found = self.registry(read_only=True).withdrawals(dataset, self.environment)
        except NotFoundError:
            return {}
        return {one.target: one for one in found}

    def places(self, dataset: str) -> list[str]:
        """Targets in service, the first one first (law 1)."""
        names = self.configured(dataset)
        if len(names) == 1:
            return names
        out = {name for name, one in self.withdrawn(dataset).items() if not one.removed}
        return [name for name in names if name not in out] or names

    def place(self, dataset: str, target: str | None) -> str:
        """The place that is meant; None: the first in service. ``NotFoundError`` for a target that is none."""
        if target is None:
            return self.places(dataset)[0]
        if target not in self.configured(dataset):
            raise NotFoundError(
                f"{dataset} is not served from target {target!r}; it is from: {', '.join(self.configured(dataset))}",
                fix="Add it to `mirrors:` of the dataset",
            )
        return target

    def name_at(self, dataset: str, name: str, target: str) -> str:
        """What ``staging`` or ``production`` is called at a place; at one that is out of service, once it is in again."""
        served = self.places(dataset)
        first = next(one for one in [*self.configured(dataset), target] if one in (*served, target))
        return name if target == first else mirror_name(name, target)

    def standing(self, dataset: str, name: str) -> list[Alias]:
        """The aliases of a rank, the plain one first."""
        return standing(self.registry(read_only=True), dataset, self.environment, name)

    def apart(self, dataset: str) -> bool:
        """Whether a dataset has several places, or names that several had."""
        if len(self.configured(dataset)) > 1:
            return True
        every = self.registry(read_only=True).aliases(dataset, self.environment)
        return any(plain_name(one.name) != one.name for one in every)

    def left_over(self, dataset: str) -> list[str]:
        """Targets that aliases still point into, and that are no places any more. None for a dataset that always had one place."""
        if not self.apart(dataset):
            return []
        every = self.registry(read_only=True).aliases(dataset, self.environment)
        return sorted({one.deployment.target for one in every} - set(self.configured(dataset)))

    def remaining(self, dataset: str, without: Iterable[str], reason: str) -> list[str]:
        """Places in service when some are taken out. ``RefusedError`` where none would be left, or nobody says why."""
        out = {self.place(dataset, target) for target in without}
        left = [name for name in self.places(dataset) if name not in out]
        if not left:
            raise RefusedError(f"no place of {dataset} would be left in service", fix="Leave one out of --without")
        if out and not reason.strip():
            raise InputError("taking a place out of service wants a reason", fix='Say it: --reason "why"')
        return left

    def take_warnings(self) -> list[str]:
        """What did not follow a move, in one line each; forgotten afterwards."""
        found, self._warnings = self._warnings, []
        return found

    def arrange(
        self, dataset: str, goals: Sequence[Deployment], why: Why, *, without: Iterable[str] = (),
        seen: Sequence[Alias] | None = None,
    ) -> tuple[Alias, bool]:  # fmt: skip
        """Move production of every place together (law 2); returns the first place's alias, and whether anything moved.

        Staging leaves the places that production leaves. ``without``: places that are out of service from here on. ``seen``:
        where production has moved since, nothing moves.
        """
        out, removed = set(without), self.left_over(dataset)
        now = self.standing(dataset, PRODUCTION)
        if seen is not None and [one.generation for one in now] != [one.generation for one in seen]:
            return now[0], False
        staged = self.standing(dataset, STAGING)
        stay = [one for name in self.places(dataset) if name not in out and (one := at(staged, name)) is not None]
        of_staging = arranged(STAGING, staged, [one.deployment for one in stay])
        # All names of production must stand as they were seen; of staging only those that move: pushes go on meanwhile.
        moves = arranged(PRODUCTION, now, goals) + [one for one in of_staging if one.to != one.expected]
        withdrawing = out - {name for name, one in self.withdrawn(dataset).items() if not one.removed}
        if not withdrawing and not removed and all(one.to == one.expected for one in moves):
            return now[0], False
        return self._moved(dataset, moves, [*now, *staged], why, withdraw=out, remove=removed)[0], True

    def arrange_staging(self, dataset: str, goals: Sequence[Deployment], why: Why) -> list[Alias]:
        """Move staging of every place together."""
        now = self.standing(dataset, STAGING)
        return self._moved(dataset, arranged(STAGING, now, goals), now, why)

    def followed(self, before: Iterable[Alias | None], after: Iterable[Alias]) -> None:
        """Law 2: the names that the systems themselves have follow what has moved."""
        stood = {(plain_name(one.name), one.deployment.id) for one in before if one is not None}
        for one in after:
            if (plain_name(one.name), one.deployment.id) in stood:
                continue
            try:
                target = self.target_named(one.deployment.target)
            except VectorPipelineError as error:
                self._warnings.append(error.what)
                continue
            warning = follow(target, plain_name(one.name), one.deployment)
            if warning is not None:
                self._warnings.append(warning)

    def _moved(
        self, dataset: str, moves: Sequence[Move], before: Sequence[Alias], why: Why, *, withdraw: Iterable[str] = (),
        remove: Iterable[str] = (),
    ) -> list[Alias]:  # fmt: skip
        after = self.registry().move_aliases(
            dataset, self.environment, moves, by=why.by, reason=why.reason, run_id=why.run_id, kind=why.kind,
            withdraw=withdraw, remove=remove, overrides=why.overrides,
        )  # fmt: skip
        self.followed(before, after)
        return after
