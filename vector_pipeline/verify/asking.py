"""Ask one version by words: where it is deployed, as its readers do, or else exactly, in the lake.

Laws
----
1. A deployment is asked as readers ask it: through its approximate index where it has one.
2. What stands nowhere is searched in the lake, every vector of it: the answer is what an index ought to give.
3. Every question is embedded once for each embedder, however often it is asked.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from vector_pipeline.targets.base import LIVE, Filter, Match, Vector
from vector_pipeline.verify.context import GateContext, Side

Texts = dict[str, tuple[str, dict[str, object]]]
"""Text and metadata of records, by record id."""


class Asker:
    """Search of a side (``canary_search.Search``). Refuses a space that is another one on this machine now."""

    def __init__(self, context: GateContext, side: Side) -> None:
        self._embedder = context.embedder(side)
        self._find = _live(context, side) if side.deployment is not None else _exact(context, side)
        self._known: dict[str, Vector] = {}

    def vectors(self, queries: Sequence[str]) -> Vector:
        """float32[n, dim] of some queries."""
        new = [query for query in dict.fromkeys(queries) if query not in self._known]
        if new:
            self._known.update(zip(new, self._embedder.embed_queries(new), strict=True))
        return np.ascontiguousarray(np.stack([self._known[query] for query in queries]))

    def __call__(self, queries: Sequence[str], top_k: int, filter: Filter | None, /) -> list[list[Match]]:
        return self._find(self.vectors(queries), top_k, filter)


Find = Callable[[Vector, int, Filter | None], list[list[Match]]]


def _live(context: GateContext, side: Side) -> Find:
    target, deployment = context.target(side), side.deployment
    assert deployment is not None
    limits = target.capabilities

    def find(vectors: Vector, top_k: int, filter: Filter | None) -> list[list[Match]]:
        return target.query(
            deployment.namespace, vectors, top_k=min(top_k, limits.max_top_k), version=side.version.number, filter=filter,
            exact=not limits.approximate, include_text=True,
        )  # fmt: skip

    return find


def _exact(context: GateContext, side: Side) -> Find:
    from vector_pipeline.verify.exact import exact_top

    def find(vectors: Vector, top_k: int, filter: Filter | None) -> list[list[Match]]:
        number = side.version.number
        answers = exact_top(context, side, vectors, top_k, [filter] * len(vectors))
        return [
            [Match(hit.record_id, hit.score, hit.document_id, hit.content_hash, number, LIVE) for hit in hits]
            for hits in answers
        ]

    return find


def with_texts(context: GateContext, side: Side, answers: Sequence[Sequence[Match]]) -> list[tuple[Match, ...]]:
    """The same with text and metadata, from the lake for those that came without."""
    bare = {match.id for matches in answers for match in matches if match.text is None}
    if not bare:
        return [tuple(matches) for matches in answers]
    with context.lake.registered("shown_records", pa.table({"record_id": sorted(bare)})):
        rows = context.lake.rows(
            f"SELECT record_id, text, metadata FROM {side.chunks} c SEMI JOIN shown_records USING (record_id)"
        )
    texts: Texts = {record: (text, json.loads(metadata or "{}")) for record, text, metadata in rows}
    return [
        tuple(
            replace(match, text=texts[match.id][0], metadata=texts[match.id][1]) if match.id in texts else match
            for match in matches
        )
        for matches in answers
    ]
