"""Keep a filled space up to date with its documents: what a release does for it, and the version that comes of it.

Laws
----
1. Who catches up waits for nobody's re-embedding, and takes no turn; shards that are up to date take no lease.
2. What a space may cost is asked here too (``Ahead``): nobody sits by when a release embeds again what was rewritten. What is
   refused stays behind, and ``reembed status`` says why.
"""

from collections.abc import Sequence
from dataclasses import replace

from vector_pipeline.build.filling import shard_states
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.tables import within
from vector_pipeline.project.building import VersionMade
from vector_pipeline.project.filling import PASSES, Filled, Filling


class Catching(Filling):
    """Spaces that do not serve, and were filled."""

    def catch_up(
        self,
        dataset: str,
        space: str,
        shards: Sequence[int] | None,
        *,
        over_budget: bool = False,
        run_id: str | None = None,
    ) -> Filled:
        """Bring filled shards (None: all) of a space up to date with their documents, once.

        ``RefusedError`` (``OVER_BUDGET``) when more would be embedded than the budget says: law 2.
        """
        tables, every = self.tables(dataset, space), range(self.dataset(dataset).shards) if shards is None else shards
        behind = self._lacking(tables, every)
        done = Filled(space, len(behind))
        if behind:
            chunked = self.chunk(dataset, space=space, shards=behind, run_id=run_id).documents_chunked
            if not over_budget:
                with self._taken(dataset, space, behind, run_id):
                    self.require_affordable(dataset, space, behind)
            done = replace(done, chunked=chunked).plus(self.embed(dataset, space=space, shards=behind, run_id=run_id))
        vectors = self.lake().row(f"SELECT count(*) FROM {tables.embeddings} WHERE {within(every)}")[0]
        return replace(done, vectors=int(vectors), left=self.unfilled(dataset, space))

    def snapshot_caught_up(
        self, dataset: str, *, space: str, message: str = "", over_budget: bool = False, run_id: str | None = None
    ) -> VersionMade:
        """The version of a filled space: what documents have changed since its shards were filled is brought up to date first."""
        every = range(self.dataset(dataset).shards)
        for _ in range(PASSES):
            states = shard_states(self.lake(), self.tables(dataset, space), every)
            behind = [one.shard for one in states if not one.whole]
            if behind:
                self.catch_up(dataset, space, behind, over_budget=over_budget, run_id=run_id)
            try:
                return self.snapshot(dataset, space=space, message=message, run_id=run_id)
            except RefusedError:
                if not behind:
                    # It was whole a moment ago: what refuses is something else, or a document changed just now.
                    self._require_whole(dataset)
        return self.snapshot(dataset, space=space, message=message, run_id=run_id)
