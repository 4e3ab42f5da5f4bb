"""How far a space is: its shards, what each lacks, the rate that was seen, and the time that is left. Writes nothing."""

from collections.abc import Sequence

from vector_pipeline.build.costing import embedding_work
from vector_pipeline.build.filling import ShardState, shard_states, total
from vector_pipeline.errors import NotFoundError
from vector_pipeline.project.building import Building
from vector_pipeline.release.holding import living
from vector_pipeline.release.registry import FillStatus
from vector_pipeline.release.registry.fills import failed_now
from vector_pipeline.release.spacefill import Ahead, ShardFill, SpaceFill, remaining, seen_rate, status_of


class FillTelling(Building):
    """What is known of spaces that do not serve."""

    def unfilled(self, dataset: str, space: str) -> int:
        """Shards that are not filled yet, for a space that does not serve."""
        every = range(self.dataset(dataset).shards)
        return len(every) - len(self.shards_to_build(dataset, space, every) or [])

    def to_fill(self, dataset: str, space: str) -> set[int]:
        """Shards of a space that a fill would change, or tell. Writes nothing."""
        status = self.fill_status(dataset, space)
        return {one.state.shard for one in status.shards if one.status != "done" or one.last is None}

    def fill_status(self, dataset: str, space: str) -> SpaceFill:
        """How far a space is. Writes nothing."""
        resolved, registry = self.space(dataset, space), self.registry(read_only=True)
        every = range(self.dataset(dataset).shards)
        try:
            states = shard_states(self.lake(read_only=True), self.tables(dataset, space), every)
        except NotFoundError:
            states = [ShardState(shard) for shard in every]
        attempts = registry.fills(dataset, space, resolved.fingerprint)
        last = {one.shard: one for one in attempts if one.status is not FillStatus.PART}
        failed = failed_now(attempts)
        filled = self.filled(dataset, space)
        busy = self.busy_shards(dataset, space)
        shards = tuple(
            ShardFill(
                one, status_of(one, one.shard in busy, one.shard in failed, one.shard in filled), last.get(one.shard),
                failed[one.shard].error if one.shard in failed and not one.whole else None,
            )
            for one in states
        )  # fmt: skip
        rate = seen_rate(attempts)
        return SpaceFill(
            dataset, space, resolved.fingerprint, resolved.model, self.serves(dataset, space), shards, rate,
            remaining(total(states), rate), registry.latest_version(dataset, space, resolved.fingerprint),
        )  # fmt: skip

    def spent(self, dataset: str, space: str) -> int:
        """Texts that were embedded for a space since its newest version, or since its beginning: its budget is for one version.

        What a process that was killed spent in its last turn (a minute) is not known.
        """
        registry, fingerprint = self.registry(read_only=True), self.space(dataset, space).fingerprint
        newest = registry.latest_version(dataset, space, fingerprint)
        fills = registry.fills(dataset, space, fingerprint)
        return sum(one.embedded for one in fills if newest is None or one.at > newest.created_at)

    def ahead(self, dataset: str, space: str, shards: Sequence[int]) -> Ahead:
        """What embedding chunked shards takes, with what was spent."""
        config = self.dataset(dataset).spaces[space].embedder
        counter, spent = self.embedder(dataset, space).tokens, self.spent(dataset, space)
        texts, tokens = embedding_work(
            self.lake(), self.tables(dataset, space), counter, config.document_prompt, shards
        )
        if config.prices is None or not texts:
            return Ahead(texts, spent)
        each = tokens / texts * config.prices.per_million_tokens / 1e6
        return Ahead(texts, spent, each * (texts + spent))

    def judged_now(self, dataset: str, space: str, *, vectors: bool) -> bool:
        """Whether a space holds all that checks of its data look at: every document cut, and (``vectors``) embedded."""
        every = range(self.dataset(dataset).shards)
        found = total(shard_states(self.lake(read_only=True), self.tables(dataset, space), every))
        return not (found.missing or found.stale or found.gone or (vectors and found.unembedded))

    def busy_shards(self, dataset: str, space: str) -> set[int]:
        """Shards that somebody writes vectors of now."""
        resource = f"lake/{dataset}/{self.tables(dataset, space).embedding_table}"
        return {int(one.resource.rpartition("/")[2]) for one in living(self.registry(read_only=True), resource)}
