"""Which line takes a version: the newest one, goes on, or a line of its own begins. Weighed, with figures.

Laws
----
1. A version that was begun in a line is finished there, while it can be; one that stands whole in a line is there already.
2. Where the target cannot filter by number, where nothing was pushed before, and where the newest line holds a later version, only
   a line of its own is possible. The newest line is the one that holds the newest whole version: what a killed push left counts
   only where nothing else is. What another registry's pushes left is joined only where it is this very version, whole.
3. Else the cheaper one is taken: by money where there is a price table (a line of its own that writes more vectors must save
   ``WORTH``), by expected seconds where not; then a push that writes no vector goes on. A line most of which the version would not
   see is not continued: it would be more grave than index.
4. In-place is never chosen, only asked for. What is asked for is done, or refused.
5. Weighing reads no vector, and looks at the target once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release import loading
from vector_pipeline.release.costs import (
    Rates,
    cost_of,
    figures,
    measured,
    said_of_reading,
    upserting,
    weight,
    with_endings,
)
from vector_pipeline.release.lines import (
    Line,
    base_namespace,
    belongs,
    fresh_namespace,
    in_place_namespaces,
    is_in_place,
    lines_of,
    to_continue,
)
from vector_pipeline.release.observed import Read
from vector_pipeline.release.plan import FILLING, Alternative, Cost, Stage, Strategy
from vector_pipeline.release.planner import Look, look_at, refuse_older
from vector_pipeline.release.registry import DeploymentStatus, Registry, Version
from vector_pipeline.release.wishes import Wish
from vector_pipeline.targets.base import Target

DEAD_SHARE = 0.5
"""Law 3: a line with a larger share of records that nobody of the new version sees is not continued."""
WORTH = 1.0
"""Of the prices' currency: what a line of its own that writes more vectors must save at least."""
_TEXT = 600
"""Bytes of a record's text and metadata, where nothing is written that tells."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The line that was chosen, as it was looked at last."""

    look: Look
    why: str
    fresh: bool
    """The line holds no other version whole: whoever reads anything reads another line."""
    rates: Rates
    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()


class _Chooser:
    def __init__(self, lake: Lake, registry: Registry, version: Version, target: Target, wish: Wish) -> None:
        self.lake, self.registry, self.version, self.target, self.wish = lake, registry, version, target, wish
        self.rates = measured(registry, target, wish.environment, parallel=wish.parallel)
        self.base = base_namespace(version.dataset, version.space, version.fingerprint)
        known = [one for one in registry.deployments(version.dataset) if one.target == target.name]
        here = [one for one in known if one.environment == wish.environment and belongs(one.namespace, self.base)]
        lines = lines_of(here)
        self.lines = [line for line in lines if not is_in_place(line.namespace)]
        self.in_place = [line for line in lines if is_in_place(line.namespace)]
        self.newest = to_continue(self.lines)
        self.loaded: loading.Loaded | None = None
        self.read = Read()
        self.names = set(target.namespaces())
        self.taken = self.names | {one.namespace for one in known}
        self.collected = {
            one.namespace for one in here if one.version == version.number and one.status == DeploymentStatus.RETIRED
        }
        # Pushed by somebody whose registry this is not, and who may read it still.
        self.theirs = not self.lines and self.base in self.names and all(one.namespace != self.base for one in known)

    def choose(self) -> Choice:
        wish = self.wish
        if wish.namespace is not None or wish.strategy is Strategy.IN_PLACE:
            return self._forced()
        own = self._begun()
        if own is not None:
            return own
        if self.theirs and wish.strategy is not Strategy.BLUE_GREEN:
            return self._beside()
        newest = self.newest
        if wish.strategy is Strategy.VERSIONED:
            return self._versioned(newest)
        if wish.strategy is Strategy.BLUE_GREEN:
            return self._fresh("asked for")
        if newest is None:
            return self._fresh("nothing of this space was pushed here before")
        if newest.namespace in self.collected:
            # What still stands of it there may be deleted at any moment.
            return self._fresh(f"version {self.version.number} was collected from {newest.namespace}")
        if not self.target.capabilities.numeric_filters:
            return self._fresh(f"target {self.target.name} cannot filter by version", self._impossible(newest))
        return self._weighed(newest)

    def _forced(self) -> Choice:
        strategy = self.wish.strategy or Strategy.VERSIONED
        namespace = self.wish.namespace or in_place_namespaces(self.base, self.wish.environment)[0]
        line = next((line for line in (*self.lines, *self.in_place) if line.namespace == namespace), None)
        look = self._look(namespace, strategy, line)
        refuse_older(self.version, look)
        why = (
            "asked for: what readers see changes while it is written" if strategy is Strategy.IN_PLACE else "asked for"
        )
        return self._chosen(look, why, line)

    def _begun(self) -> Choice | None:
        """Law 1, the line that was touched last first."""
        found = [
            (one, line)
            for line in self.lines
            for one in line.deployments
            if one.version == self.version.number and self.wish.strategy in (None, Strategy.VERSIONED, one.strategy)
        ]
        for one, line in sorted(found, key=lambda pair: pair[0].updated_at, reverse=True):
            look = self._look(line.namespace, one.strategy, line)
            if look.later is None or not look.changes:
                done = one.status == DeploymentStatus.PUSHED
                why = (
                    _BEGUN
                    if not done
                    else "the line holds it already"
                    if look.whole
                    else "it was pushed into this line"
                )
                return self._chosen(look, why, line)
        return None

    def _beside(self) -> Choice:
        """What another registry's pushes left is joined where it is this version, whole; else it is left as it is."""
        look = self._look(self.base, self.wish.strategy or Strategy.VERSIONED, None)
        who = f"{self.base} was pushed by somebody whose registry this is not"
        if look.whole:
            chosen = self._chosen(look, "the line holds it already", None)
            shared = f"{who}, and holds this very version: it is shared with them"
            return replace(chosen, notes=(*chosen.notes, shared))
        anew = self._versioned(None) if self.wish.strategy is Strategy.VERSIONED else self._fresh(who)
        return replace(anew, notes=(*anew.notes, f"{who}: it is left as it is"))

    def _versioned(self, newest: Line | None) -> Choice:
        if not self.target.capabilities.numeric_filters:
            raise RefusedError(
                f"target {self.target.name} cannot filter by number: the versioned strategy needs that",
                fix="Push without --strategy, or with --strategy blue-green",
            )
        if newest is not None and newest.namespace in self.collected:
            raise RefusedError(
                f"version {self.version.number} was collected from {newest.namespace}, where it would belong",
                fix="Give it a line of its own: push with --strategy blue-green",
            )
        look = self._look(newest.namespace if newest else self._free_name(), Strategy.VERSIONED, newest)
        refuse_older(self.version, look)
        return self._chosen(look, "asked for", newest)

    def _weighed(self, newest: Line) -> Choice:
        """Law 3."""
        look = self._look(newest.namespace, Strategy.VERSIONED, newest)
        going_on = self._cost(look)
        if look.later is not None and look.changes:
            stands = f"{newest.namespace} already holds version {look.later}"
            if look.later > self.registry.versions(self.version.dataset)[-1].number:
                stands = f"{newest.namespace} has marks of version {look.later}, which does not exist: repair it, and plan again"
            return self._fresh(stands, Alternative(Strategy.VERSIONED, newest.namespace, going_on, stands, False))
        if not look.changes:
            return self._chosen(look, "the newest line holds it already", newest)
        anew_stages = self._estimate(look)
        anew = cost_of(anew_stages, self.rates, self.wish.prices)
        if look.dead_share > DEAD_SHARE:
            why = f"{look.dead_share:.0%} of {newest.namespace} would be closed records"
            return self._fresh(why, Alternative(Strategy.VERSIONED, newest.namespace, going_on, why))
        if self.wish.prices is None and not any(stage.kind in FILLING for stage in look.stages):
            why = f"no vector is written: {figures(going_on)} against {figures(anew)} for a line of its own"
        elif self._weight(anew_stages) < self._weight(look.stages) and not _hardly_saves(going_on, anew):
            why = f"cheaper: {figures(anew)} against {figures(going_on)} to go on with {newest.namespace}"
            return self._fresh(why, Alternative(Strategy.VERSIONED, newest.namespace, going_on, "costs more"))
        elif _hardly_saves(going_on, anew):
            why = (
                f"{going_on.vectors:,} vectors are written; a line of its own would write {anew.vectors:,} to save "
                f"{_little(going_on)}"
            )
        else:
            why = f"cheaper: {figures(going_on)} against {figures(anew)} for a line of its own"
        chosen = self._chosen(look, why, newest)
        fresh = Alternative(Strategy.BLUE_GREEN, self._free_name(), anew, "costs more")
        return replace(chosen, alternatives=(*chosen.alternatives, fresh))

    def _fresh(self, why: str, *others: Alternative) -> Choice:
        return self._chosen(self._look(self._free_name(), Strategy.BLUE_GREEN, None), why, None, *others)

    def _free_name(self) -> str:
        """A name that was never used: what is being collected under one cannot meet what is written under another."""
        if self.base not in self.taken:
            return self.base
        return fresh_namespace(self.base, self.version.number, taken=self.taken)

    def _look(self, namespace: str, strategy: Strategy, line: Line | None) -> Look:
        others = [one.version for one in line.deployments if one.version != self.version.number] if line else []
        known = self.registry.namespace_record(self.wish.environment, self.target.name, namespace)
        importing = None
        if line is None or not line.whole:
            importing = loading.standing(self.registry, self.target, self.wish.environment, self.version, namespace)
        look = look_at(
            self.lake, self.version, self.target, namespace, strategy, newest=max(others, default=None),
            ours=known.mark if known is not None else None, absent=importing is not None, registry=self.registry,
        )  # fmt: skip
        self.read.listed += look.read.listed
        self.read.fetched += look.read.fetched
        look = replace(look, stages=with_endings(look.stages, self.rates, self.wish.prices))
        self.loaded = loading.loaded(look, self.version, self.target, self.rates, self.wish.prices, self.wish.load)
        return self.loaded.look

    def _chosen(self, look: Look, why: str, line: Line | None, *others: Alternative) -> Choice:
        this = Alternative(look.strategy, look.namespace, self._cost(look), f"chosen: {why}")
        weighed = (this, *others) if self.wish.strategy is None else ()
        fresh = line is None or all(one.version == self.version.number for one in line.whole)
        ways = self.loaded if self.loaded is not None and self.loaded.look is look else loading.Loaded(look)
        notes = (*ways.notes, *said_of_reading(self.read, self.wish.prices))
        return Choice(look, why, fresh, self.rates, (*weighed, *ways.alternatives), notes)

    def _cost(self, look: Look) -> Cost:
        return cost_of(look.stages, self.rates, self.wish.prices)

    def _weight(self, stages: Iterable[Stage]) -> float:
        return weight(stages, self.rates, self.wish.prices)

    def _estimate(self, look: Look) -> list[Stage]:
        """Of a line of its own: every record, as long as those are that would be written (law 5)."""
        written = next((stage for stage in look.stages if stage.kind in FILLING), None)
        bare = 4 * self.version.dimension + self.target.capabilities.record_overhead
        text = written.bytes // written.records - bare if written is not None else _TEXT
        records, limits = self.version.records, self.target.capabilities
        upserts = upserting(records, text * records, self.version.dimension, limits)
        return [loading.likely(upserts, self.target, self.rates, self.wish.prices, self.wish.load)]

    def _impossible(self, newest: Line) -> Alternative:
        return Alternative(
            Strategy.VERSIONED, newest.namespace, Cost(), f"target {self.target.name} cannot filter by version", False
        )


def _hardly_saves(going_on: Cost, anew: Cost) -> bool:
    """Whether a line of its own would write more vectors to save next to nothing: closing has its price, and so has reading a plan
    in which everything is new.
    """
    if going_on.money is None or anew.money is None or anew.vectors <= going_on.vectors:
        return False
    return 0 < going_on.money - anew.money < WORTH


def _little(cost: Cost) -> str:
    return f"less than {WORTH:.2f} {cost.currency}"


_BEGUN = "it was begun in this line and not finished"


def choose(lake: Lake, registry: Registry, version: Version, target: Target, wish: Wish) -> Choice:
    """The line for a version. Leaves its actions in ``plan_actions``. ``RefusedError`` when what is asked for cannot be done."""
    return _Chooser(lake, registry, version, target, wish).choose()
