"""What a space will take, before anything of it runs: class of change, work, time, money, first load. Writes nothing."""

import json
import time
from dataclasses import replace
from typing import Any

from vector_pipeline.build.costing import PROBE, SpaceWork, work_of
from vector_pipeline.build.estimates import Estimate
from vector_pipeline.config.models import ReembedConfig
from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.embedding.factory import resolve_space
from vector_pipeline.errors import InputError, NotFoundError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.project.planning import Planning
from vector_pipeline.release.costs import cost_of, measured, upserting
from vector_pipeline.release.guards import over_budget
from vector_pipeline.release.loading import likely
from vector_pipeline.release.plan import Cost, Load, StageKind
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import DeploymentStatus, Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.release.spacefill import Ahead
from vector_pipeline.release.spaceplan import (
    Change,
    IndexLoad,
    Pace,
    SpaceFacts,
    SpacePlan,
    change_of,
    differences,
    facts_of,
    facts_of_version,
)

LEAST_SAMPLE = 10
"""Documents: of fewer nothing can be told."""
_FILLS = 64
"""Newest fills that a rate is taken from."""
_WARM = 4
"""Texts that are embedded before the clock starts: the first ones load the weights."""
_GONE = frozenset({DeploymentStatus.RETIRED, DeploymentStatus.REPLACED})


class Costing(Planning):
    """Plans of spaces."""

    def space_plan(
        self, dataset: str, space: str, *, sample: int = 200, measure: bool = True, target: str | None = None
    ) -> SpacePlan:
        """What it takes until a space of a dataset is whole and loaded into its targets (``target``: into that one alone).

        ``sample``: documents that are cut to estimate what the lake does not hold yet. ``measure``: where no fill has told the
        embedder's rate, load its weights and embed a few texts. ``NotFoundError`` for an unknown space, and before documents are in
        the lake.
        """
        if sample < LEAST_SAMPLE:
            raise InputError(f"a sample of {sample} documents tells nothing", fix=f"Take {LEAST_SAMPLE} or more")
        resolved, config = self.space(dataset, space), self.dataset(dataset).spaces[self._space_name(dataset, space)]
        places = self.places(dataset) if target is None else [self.place(dataset, target)]
        lake = self._with_documents(dataset)
        since, others = self._since(dataset)
        same_metric = config.model_copy(update={"metric": since.metric})
        chunker, embedder = self.chunker(dataset, space), self.embedder(dataset, space)
        alike = resolve_space(resolved.name, same_metric, self.base, chunker.version).fingerprint
        change, now = change_of(since, facts_of(resolved), alike), facts_of(resolved)
        counted = self._counted(lake, dataset, resolved, others, change)
        work = work_of(
            lake, counted, chunker, embedder.tokens, sample=sample, prompt=config.embedder.document_prompt, alike=others,
            own=counted == self.tables(dataset, space),
        )  # fmt: skip
        if change is Change.NONE and work.moved and not work.texts.high and not work.orphaned:
            change = Change.METADATA
        serves = resolved.name == self.dataset(dataset).serving_space
        fills = self.dataset(dataset).reembed if not serves else None
        pace, prices = self._pace(dataset, resolved, work, measure=measure), config.embedder.prices
        pace = replace(pace, most_per_s=fills.max_texts_per_s if fills is not None else None)
        money = work.tokens.times(prices.per_million_tokens / 1e6) if prices is not None else None
        return SpacePlan(
            dataset=dataset,
            environment=self.environment,
            space=now,
            since=since,
            serves=serves,
            change=change,
            differs=differences(since, now),
            documents=work.documents,
            missing=work.missing,
            sampled=work.sampled,
            chunks=work.chunks,
            texts=work.texts,
            known=work.known,
            tokens=work.tokens,
            pace=pace,
            embed_s=_seconds(work, pace),
            cut_s=work.cut_s if measure else None,
            money=money,
            currency=prices.currency if prices is not None else None,
            vector_bytes=work.texts.times(4 * resolved.dimension),
            text_bytes=work.rows,
            loads=tuple(self._load_of(dataset, name, resolved, since, work) for name in places),
            refused=_refused(
                work.texts,
                money,
                prices.currency if prices is not None else "",
                fills,
                self.spent(dataset, resolved.name),
            )
            if fills is not None
            else None,
            notes=_notes(dataset, resolved.name, change, serves=serves),
        )

    def _with_documents(self, dataset: str) -> Lake:
        lake = self.lake(read_only=True)
        if not lake.has_table(dataset, "documents"):
            raise NotFoundError(
                f"the lake holds no documents of {dataset} yet", fix=f"Build it first: vector-pipeline build {dataset}"
            )
        return lake

    def _since(self, dataset: str) -> tuple[SpaceFacts, SpaceTables]:
        """What a space is compared with (law 1 of ``spaceplan``), and its tables."""
        registry = self.registry(read_only=True)
        serving = self.space(dataset)
        live = registry.alias(dataset, self.environment, PRODUCTION)
        if live is not None:
            found: Version | None = registry.version(dataset, live.deployment.version)
        else:
            found = registry.latest_version(dataset, serving.name)
        if found is None:
            return facts_of(serving), SpaceTables.of(dataset, serving)
        return facts_of_version(found, _settings(found.chunker)), tables_of(found)

    def _counted(
        self, lake: Lake, dataset: str, space: EmbeddingSpace, others: SpaceTables, change: Change
    ) -> SpaceTables:
        """Where a space's contents are counted: in its own tables. With another metric it has the chunks of the space before."""
        own = SpaceTables.of(dataset, space)
        elsewhere = change is Change.METRIC and not lake.has_table(dataset, own.chunk_table)
        return SpaceTables(own.dataset, others.chunk_table, own.embedding_table) if elsewhere else own

    def _pace(self, dataset: str, space: EmbeddingSpace, work: SpaceWork, *, measure: bool) -> Pace:
        fills = self.registry(read_only=True).fills(dataset, space.name, space.fingerprint)
        told = [one for one in reversed(fills) if one.embedded and one.seconds > 0][:_FILLS]
        texts = sum(one.embedded for one in told)
        if texts >= PROBE:
            return Pace("fills", texts / sum(one.seconds for one in told), None, texts)
        if not measure or not work.probe:
            return Pace("unknown")
        embedder, probe = self.embedder(dataset, space.name), list(work.probe)
        embedder.embed_documents(probe[:_WARM])
        began = time.perf_counter()
        embedder.embed_documents(probe)
        took = max(time.perf_counter() - began, 1e-6)
        return Pace("measured", len(probe) / took, work.probe_tokens / took, len(probe))

    def _load_of(self, dataset: str, name: str, space: EmbeddingSpace, since: SpaceFacts, work: SpaceWork) -> IndexLoad:
        """The first load of a place: every record, as a plan of a line of its own would price it."""
        there, prices = self.target_named(name, read_only=True), self.settings.targets[name].prices
        limits, registry = there.capabilities, self.registry(read_only=True)
        moved = since.dimension != space.dimension or since.metric != space.metric
        other = limits.fixed_dimension and moved
        currency = prices.currency if prices is not None else None
        begun = [
            one
            for one in registry.deployments(dataset, self.environment)
            if one.target == name and one.fingerprint == space.fingerprint and one.status not in _GONE
        ]
        if begun:
            return IndexLoad(name, None, Cost(), currency, False, None)
        records = work.chunks.count
        upsert = upserting(records, work.payload.count, space.dimension, limits)
        rates = measured(registry, there, self.environment, parallel=self._parallel(name))
        stage = likely(upsert, there, rates, prices, self.dataset(dataset).release.load)
        cost, guards = cost_of([stage] if records else [], rates, prices), self._guards(dataset)
        refused, notes = over_budget(records, cost, guards), []
        if space.metric not in limits.metrics:
            refused = f"is not possible: target {name} compares by {' or '.join(sorted(limits.metrics))}, not by {space.metric}"
        if guards.max_cost is not None and cost.money is None:
            notes.append(f"gates.max_cost is not checked: target {name} has no prices")
        way: Load = "import" if stage.kind is StageKind.IMPORT else "upsert"
        return IndexLoad(name, way, cost, currency, other, refused, tuple(notes))


def _settings(chunker: str | None) -> dict[str, Any] | None:
    return json.loads(chunker) if chunker else None


def _seconds(work: SpaceWork, pace: Pace) -> Estimate | None:
    """Of embedding, by one process."""
    if not work.texts.high:
        return Estimate.exactly(0)
    if pace.held and pace.most_per_s:
        return work.texts.times(1 / pace.most_per_s)
    if pace.tokens_per_s:
        return work.tokens.times(1 / pace.tokens_per_s)
    return work.texts.times(1 / pace.texts_per_s) if pace.texts_per_s else None


def _refused(texts: Estimate, money: Estimate | None, currency: str, fills: ReembedConfig, spent: int) -> str | None:
    """What the budget of a re-embedding says: of the same numbers as a fill asks it."""
    both = money.value * (texts.value + spent) / texts.value if money is not None and texts.value else None
    ahead = Ahead(texts.count, spent, both)
    over = ahead.over(fills)
    if over == "max_texts":
        return (
            f"would embed {texts.count:,} texts{ahead.beside}, more than reembed.max_texts allows ({fills.max_texts:,})"
        )
    if over == "max_cost":
        return (
            f"would cost {both:,.2f} {currency}{' with what was spent' if spent else ''}, more than reembed.max_cost allows "
            f"({fills.max_cost:,.2f} {currency})"
        )
    return None


def _notes(dataset: str, name: str, change: Change, *, serves: bool) -> tuple[str, ...]:
    if change in (Change.NONE, Change.METADATA):
        return (f"it is the same space: what changed documents would write is in vector-pipeline plan {dataset}",)
    if serves:
        return (
            f"{name} is the space that staging follows: the next build makes it anew, and releases wait for it; give it a name "
            "of its own to fill it beside the one that serves",
        )
    return ()
