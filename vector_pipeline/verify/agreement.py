"""Do two targets answer alike? The same queries, the same version, the documents that come first.

Laws
----
1. Documents are compared, the first ``TOP`` of each side (of a small version half of all: the first of two say nothing where there
   are two), whatever their order: a reader shows some of them all.
2. A document that only one side brings counts as agreed where its score is that of the other side's last one: such ties are cut as
   each system likes.
3. Both sides search as their readers do: through an approximate index where there is one. How much of it may differ is configured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vector_pipeline.errors import CorruptError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.release.registry import Version
from vector_pipeline.targets.base import Filter, Match, Target, Vector
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status

NAME = "mirrors agree"
TOP = 10
"""Documents of each query that are compared."""
SAMPLE = 50
"""Vectors of the version that are asked with where there are no canaries."""
_CHUNKS = 4 * TOP
"""Chunks that are asked for: several may be of one document."""
_TIE = 1e-4
"""Scores that differ less (of large ones: that share) are equal: each system adds up in its own order."""
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Probes:
    """What both sides are asked."""

    labels: Sequence[str]
    vectors: Vector
    """float32[n, dim]."""
    filters: Sequence[Filter | None]


@dataclass(frozen=True, slots=True)
class Side:
    """One version where it was deployed."""

    target: Target
    namespace: str
    version: int


def sampled(lake: Lake, tables: SpaceTables, version: Version) -> Probes:
    """Vectors of the version itself, always the same ones: those whose texts' hashes come first. Embeds nothing."""
    rows = lake.rows(
        f"""WITH chosen AS (SELECT content_hash, min(document_id) AS document, min(shard) AS shard
                FROM {at(tables.chunks, version.lake_snapshot)} GROUP BY 1 ORDER BY 1 LIMIT {SAMPLE})
            SELECT c.document, e.vector FROM chosen c JOIN {tables.embeddings} e USING (shard, content_hash)
            ORDER BY c.content_hash"""
    )
    vectors = np.array([vector for _, vector in rows], dtype=np.float32).reshape(len(rows), version.dimension)
    return Probes([f"a text of {document}" for document, _ in rows], vectors, [None] * len(rows))


def compare(probes: Probes, first: Side, mirror: Side, *, documents: int, threshold: float) -> CheckResult:
    """Judge the share of documents that both bring, over all queries, against ``threshold`` (0 to 1).

    ``documents``: how many the version has.
    """
    top = max(1, min(TOP, documents // 2))
    asked = _answers(probes, first, top), _answers(probes, mirror, top)
    shares = [_overlap(*both, top) for both in zip(*asked, strict=True)]
    mean = float(np.mean(shares)) if shares else 1.0
    alike = sum(share == 1 for share in shares)
    summary = (
        f"{mirror.target.name} answers {alike:,} of {len(shares):,} queries as {first.target.name} does "
        f"({mean:.1%} of their first {top} documents, required {threshold * 100:.4g}%)"
    )
    worst = sorted((share, number) for number, share in enumerate(shares) if share < 1)[:EXAMPLES]
    examples = tuple(
        {
            "query": probes.labels[number],
            "overlap": share,
            "expect": list(asked[0][number]),
            "got": [{"document_id": one, "score": score} for one, score in asked[1][number].items()],
        }
        for share, number in worst
    )
    detail = {
        "queries": len(shares), "alike": alike, "overlap": mean, "worst": min(shares, default=1.0), "threshold": threshold,
    }  # fmt: skip
    return CheckResult(NAME, Status.PASSED if mean >= threshold else Status.FAILED, summary, detail, examples)


def _answers(probes: Probes, side: Side, top: int) -> list[dict[str, float]]:
    """For each query its first documents, each with its best score."""
    groups: dict[str, list[int]] = {}
    for number, restriction in enumerate(probes.filters):
        groups.setdefault(canonical_json(restriction), []).append(number)
    limits = side.target.capabilities
    found: list[dict[str, float]] = [{} for _ in probes.labels]
    for numbers in groups.values():
        for start in range(0, len(numbers), _BATCH):
            some = numbers[start : start + _BATCH]
            hits = side.target.query(
                side.namespace, np.ascontiguousarray(probes.vectors[some]), top_k=min(_CHUNKS, limits.max_top_k),
                version=side.version, filter=probes.filters[some[0]], exact=not limits.approximate, include_text=False,
            )  # fmt: skip
            if len(hits) != len(some):
                raise CorruptError(f"{side.target.name} answered {len(hits)} of {len(some)} queries")
            for number, matches in zip(some, hits, strict=True):
                found[number] = _documents(matches, top)
    return found


def _documents(matches: Sequence[Match], top: int) -> dict[str, float]:
    best: dict[str, float] = {}
    for match in matches:
        best.setdefault(match.document_id, match.score)
    return dict(list(best.items())[:top])


def _overlap(first: dict[str, float], mirror: dict[str, float], top: int) -> float:
    """0 to 1."""
    most = max(len(first), len(mirror))
    if not most:
        return 1.0
    last = min(first.values()) if len(first) == top else None

    def tied(score: float) -> bool:
        return last is not None and abs(score - last) <= _TIE * max(1.0, abs(last))

    return sum(one in first or tied(score) for one, score in mirror.items()) / most
