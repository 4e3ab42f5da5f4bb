"""Bridges of a dataset: fitted, measured, turned on and off.

Laws
----
1. A bridge leads from the embedder of a space that is being filled to the one that production serves. Without ``bridge`` in the
   configuration there is none.
2. A fit is recorded with what it was measured to keep, passed or not, and is not in force. Turning on is a second word, and only
   for what passed by ``min_recall`` as it is now: nothing overrides that.
3. Whether one is used is decided for each query (``bridge.crossing``); nothing needs to end it at a cut-over.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vector_pipeline.config import BridgeConfig
from vector_pipeline.errors import NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.project.questioning import Questioning
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Bridge, NewBridge, Version
from vector_pipeline.verify.context import GateContext, Side

if TYPE_CHECKING:
    from vector_pipeline.bridge.fitting import Work
    from vector_pipeline.bridge.texts import NewSide, Texts

_FILLS = 64
"""Newest fills that a rate is taken from."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A fit that has not begun."""

    dataset: str
    settings: BridgeConfig
    context: GateContext
    old: Side
    new: "NewSide"
    sample: "Texts"
    work: "Work"
    seconds: float | None
    """That embedding its texts takes, at the rate of the space's fills; None where none has told it."""
    money: tuple[float, str] | None
    """Amount and currency, by the embedder's prices."""


@dataclass(frozen=True, slots=True)
class BridgeState:
    """One bridge, and what it is worth here and now."""

    bridge: Bridge
    """The fit, or what is in force."""
    on: bool
    spaces: tuple[str, str] | None
    """Names of the space that queries come from and of the one that they are mapped into, where both are configured with these
    embedders on this machine now; else None.
    """
    fits: bool
    """It leads to the embedder of what production serves."""
    serving: int | None
    """Version that production serves."""

    @property
    def used(self) -> bool:
        """Readers who ask for the space that it leads from go through it."""
        return self.on and self.fits

    def to_json(self) -> dict[str, Any]:
        one = self.bridge
        return {
            "id": one.id, "fingerprint": one.fingerprint, "kind": one.kind, "on": self.on, "used": self.used,
            "from_embedder": one.from_embedder, "to_embedder": one.to_embedder,
            "spaces": list(self.spaces) if self.spaces else None, "serving": self.serving, "at": one.at.isoformat(),
            "by": one.by, "ended_at": one.ended_at.isoformat() if one.ended_at and one.fit else None,
            "ended_by": one.ended_by if one.fit else None, "detail": dict(one.detail),
        }  # fmt: skip


class Bridging(Questioning):
    """Fits bridges, and decides which are on."""

    def prepare_bridge(self, dataset: str, space: str, *, sample: int | None = None) -> Prepared:
        """Draw the texts that a fit would take, and say what it costs. Embeds nothing.

        ``NotFoundError`` where nothing is in production; ``RefusedError`` where no bridge is allowed, or none is needed.
        """
        from vector_pipeline.bridge.fitting import draw, work_of
        from vector_pipeline.bridge.texts import NewSide

        settings = self._bridge_settings(dataset)
        if sample is not None:
            settings = BridgeConfig.model_validate({**settings.model_dump(), "sample": sample})
        resolved = self.space(dataset, space)
        side = self._aliased(dataset, PRODUCTION)
        if resolved.embedder_fingerprint == side.version.embedder_fingerprint:
            raise RefusedError(
                f"production of {dataset} serves version {side.version.number}, made with the embedder of space {space}: queries "
                "of it need no bridge"
            )
        context = self.gate_context(side.version, side.deployment)
        new = NewSide(resolved, self.embedder(dataset, space), self.tables(dataset, space))
        drawn = draw(context, side, new, settings.sample)
        work = work_of(context, drawn, new.embedder.tokens)
        prices = self.dataset(dataset).spaces[space].embedder.prices
        money = (work.tokens * prices.per_million_tokens / 1e6, prices.currency) if prices is not None else None
        return Prepared(
            dataset, settings, context, side, new, drawn, work, self._fill_seconds(new, work.embedded), money
        )

    def fit_bridge(
        self, dataset: str, space: str, *, sample: int | None = None, by: str, run_id: str | None = None
    ) -> Bridge:
        """Fit and measure a bridge from a space's queries to what production serves, and record it. It is not turned on."""
        return self.fit_prepared(self.prepare_bridge(dataset, space, sample=sample), by=by, run_id=run_id)

    def fit_prepared(self, prepared: Prepared, *, by: str, run_id: str | None = None) -> Bridge:
        """The same of a fit whose cost was told."""
        from vector_pipeline.bridge.fitting import fit_and_measure
        from vector_pipeline.bridge.map import name_of

        def report(step: str, done: int, total: int, note: str) -> None:
            self.progress.update(step, done, total, unit="texts", note=note)

        outcome = fit_and_measure(
            prepared.context, prepared.old, prepared.new, prepared.sample, prepared.settings, report
        )
        data, old = outcome.bridge.to_bytes(), prepared.old.version
        pair = prepared.new.space.embedder_fingerprint, old.embedder_fingerprint
        return self.registry().record_bridge(
            NewBridge(
                prepared.dataset, self.environment, *pair, outcome.bridge.kind, name_of(data, *pair), data,
                outcome.measured.recall.mean, outcome.detail, by, run_id,
            )
        )  # fmt: skip

    def bridge_status(self, dataset: str) -> list[BridgeState]:
        """What is on, and the newest fit of each pair; newest first. None where nothing was fitted."""
        self.dataset(dataset)
        registry = self.registry(read_only=True)
        shown: dict[tuple[str, str, bool], Bridge] = {}
        for one in registry.bridges(dataset, self.environment):
            if one.in_force or one.fit is None:
                shown[one.from_embedder, one.to_embedder, one.in_force] = one
        on = {one.fit for one in shown.values() if one.in_force}
        names, served = self._bridge_ends(dataset), self._in_production_now(dataset)
        return [
            self._bridge_state(one, names, served)
            for one in sorted(shown.values(), key=lambda one: -one.id)
            if one.in_force or one.id not in on
        ]

    def bridge_on(self, dataset: str, *, by: str, space: str | None = None) -> Bridge:
        """Put the newest fit in force that leads from a space (default: from whichever) to what production serves.

        ``NotFoundError`` where none was fitted; ``RefusedError`` where it did not pass.
        """
        settings = self._bridge_settings(dataset)
        served = self._aliased(dataset, PRODUCTION).version
        wanted = None if space is None else self.space(dataset, space).embedder_fingerprint
        known = {prints for _, prints in self._bridge_ends(dataset)}
        fits = [
            one
            for one in self.registry(read_only=True).bridges(dataset, self.environment)
            if one.fit is None
            and one.to_embedder == served.embedder_fingerprint
            and (one.from_embedder == wanted if wanted is not None else one.from_embedder in known)
        ]
        if not fits:
            which = f"from space {space} " if space else ""
            raise NotFoundError(
                f"no bridge {which}to what production of {dataset} serves (version {served.number}, space {served.space}) was "
                "fitted",
                fix=f"Fit one: vector-pipeline bridge fit {dataset} --space {space or 'NEW'}",
            )

        def demand(one: Bridge) -> None:
            if one.detail.get("low", 0.0) < settings.min_recall:
                raise RefusedError(
                    f"bridge {one.fingerprint} keeps {one.recall:.1%} of the answers, at least {one.detail.get('low', 0.0):.1%}; "
                    f"bridge.min_recall is {settings.min_recall:.0%}",
                    fix=f"Fit another one on more texts: vector-pipeline bridge fit {dataset} --space {space or 'NEW'} --sample N",
                )

        return self.registry().turn_bridge_on(fits[-1].id, by=by, demand=demand)

    def bridge_off(self, dataset: str, *, by: str, space: str | None = None) -> int:
        """End what is in force, from one space or from all; returns how many were."""
        self.dataset(dataset)
        # Asked of a registry that exists: none is made to say that nothing is on.
        self.registry(read_only=True)
        pair = {} if space is None else {"from_embedder": self.space(dataset, space).embedder_fingerprint}
        return self.registry().turn_bridges_off(dataset, self.environment, by=by, **pair)

    def _fill_seconds(self, new: "NewSide", texts: int) -> float | None:
        fills = self.registry(read_only=True).fills(new.tables.dataset.dataset, new.space.name, new.space.fingerprint)[
            -_FILLS:
        ]
        embedded, seconds = sum(one.embedded for one in fills), sum(one.seconds for one in fills)
        return texts * seconds / embedded if embedded and seconds else None

    def _bridge_settings(self, dataset: str) -> BridgeConfig:
        settings = self.dataset(dataset).bridge
        if settings is None:
            raise RefusedError(
                f"the configuration allows {dataset} no bridge",
                fix=f"Under `datasets: {dataset}:` write `bridge: {{}}`",
            )
        return settings

    def _bridge_ends(self, dataset: str) -> list[tuple[str, str]]:
        """Configured spaces whose models are on this machine, with the fingerprints of their embedders."""
        found = []
        for name in self.dataset(dataset).spaces:
            with suppress(VectorPipelineError):
                found.append((name, self.space(dataset, name).embedder_fingerprint))
        return found

    def _in_production_now(self, dataset: str) -> Version | None:
        registry = self.registry(read_only=True)
        alias = registry.alias(dataset, self.environment, PRODUCTION)
        return None if alias is None else registry.version(dataset, alias.deployment.version)

    def _bridge_state(self, one: Bridge, names: list[tuple[str, str]], served: Version | None) -> BridgeState:
        sides = [
            next((name for name, prints in names if prints == wanted), None)
            for wanted in (one.from_embedder, one.to_embedder)
        ]
        spaces = (sides[0], sides[1]) if sides[0] is not None and sides[1] is not None else None
        fits = served is not None and served.embedder_fingerprint == one.to_embedder
        return BridgeState(one, one.in_force, spaces, fits, served.number if served is not None else None)
