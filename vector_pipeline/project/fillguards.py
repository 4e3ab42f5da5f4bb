"""What a fill waits for, and what it is refused by: turns among processes, and the budget."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from vector_pipeline.build.filling import shard_states, total
from vector_pipeline.errors import ConflictError, RefusedError
from vector_pipeline.project.fillstatus import FillTelling
from vector_pipeline.release.holding import hold

_TURN_S = 0.5


class FillGuards(FillTelling):
    """Throttles of fills."""

    @contextmanager
    def turn(self, dataset: str) -> Iterator[None]:
        """One of the processes that may fill at once. A dead one's turn is free."""
        turns = self.dataset(dataset).reembed.parallel
        while True:
            for number in range(turns):
                with ExitStack() as stack:
                    try:
                        stack.enter_context(hold(self.registry(), f"fill/{dataset}/{number}"))
                    except ConflictError as error:
                        busy = error.what
                        continue
                    yield
                    return
            self.progress.update("wait for a turn", 0, turns, unit="free", note=busy)
            time.sleep(_TURN_S)

    def require_affordable(self, dataset: str, space: str, shards: Sequence[int]) -> None:
        """``RefusedError`` when more than the budget's texts or money lie ahead."""
        settings, prices = self.dataset(dataset).reembed, self.dataset(dataset).spaces[space].embedder.prices
        if settings.max_texts is None and (settings.max_cost is None or prices is None):
            return
        texts = total(shard_states(self.lake(), self.tables(dataset, space), shards)).pending
        again = f"Let it: vector-pipeline reembed {dataset} --space {space} --over-budget; or raise"
        if settings.max_texts is not None and texts > settings.max_texts:
            raise RefusedError(
                f"{texts:,} texts of {dataset} would be embedded in space {space}, more than its budget of {settings.max_texts:,}",
                fix=f"{again} reembed.max_texts",
            )
        if settings.max_cost is not None and prices is not None:
            cost = self._tokens_pending(dataset, space, shards, texts) / 1e6 * prices.per_million_tokens
            if cost > settings.max_cost:
                raise RefusedError(
                    f"embedding {texts:,} texts of {dataset} in space {space} would cost {cost:,.2f} {prices.currency}, more than "
                    f"its budget of {settings.max_cost:,.2f}",
                    fix=f"{again} reembed.max_cost",
                )

    def _tokens_pending(self, dataset: str, space: str, shards: Sequence[int], texts: int) -> float:
        """Tokens of texts without a vector, from a sample of them."""
        tables, count = self.tables(dataset, space), self.embedder(dataset, space).tokens.count
        rows = self.lake().rows(
            f"""SELECT context || text FROM {tables.chunks} ANTI JOIN {tables.embeddings} USING (shard, content_hash)
                WHERE shard IN ({", ".join(map(str, shards))}) ORDER BY md5(content_hash) LIMIT 500"""
        )
        return texts * sum(count(text) for (text,) in rows) / max(1, len(rows))
