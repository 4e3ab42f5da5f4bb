"""Canary retrieval: does the index still answer the questions that must not break?

Laws
----
1. Hits are chunks, canaries speak of documents: several chunks of one document count once, at the best one's rank, and
   ``k`` counts distinct documents. The search is widened until ``k`` documents are seen or the index has no more.
2. A canary passes when what it expects is among its first ``k`` documents and nothing it forbids is.
3. Canaries of one (k, filter) are searched together, so that they are embedded together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from vector_pipeline.errors import CorruptError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import Filter, Match
from vector_pipeline.verify.canary_file import Canary, load_canaries
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.intervals import Rate, wilson
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status, guarded

__all__ = ["Canary", "Search", "load_canaries", "run_canaries"]

NAME = "canary retrieval"
OVERFETCH = 4
"""Chunks asked for at first, for each document wanted; and the factor of every widening."""
WIDEST = 10_000
"""Most chunks that one query asks for."""
BATCH = 256
"""Queries in one call of the search."""


class Search(Protocol):
    """Embeds queries and searches: for each, at most ``k`` chunks, best first. Fewer mean that there are no more."""

    def __call__(self, queries: Sequence[str], k: int, filter: Filter | None, /) -> list[list[Match]]: ...


@dataclass(frozen=True, slots=True)
class _Verdict:
    canary: Canary
    got: tuple[tuple[str, float], ...]
    missing: tuple[str, ...]
    forbidden: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.missing and not self.forbidden

    def to_json(self) -> dict[str, Any]:
        canary = self.canary
        return {
            "id": canary.id,
            "query": canary.query,
            "status": (Status.PASSED if self.passed else Status.FAILED).value,
            "match": canary.match,
            "k": canary.k,
            "filter": canary.filter,
            "expect": list(canary.expect),
            "missing": list(self.missing),
            "forbidden": list(self.forbidden),
            "got": [{"document_id": document, "score": score} for document, score in self.got],
            "tags": list(canary.tags),
        }


def judge(context: GateContext) -> CheckResult:
    """The gate: the dataset's canaries, on the candidate's deployment."""
    from vector_pipeline.verify.searching import live_search

    path = context.gates.canaries
    canaries = load_canaries(context.base / path) if path is not None else ()
    return run_canaries(canaries, live_search(context, context.candidate), context.gates.canary_pass_rate)


def run_canaries(canaries: Sequence[Canary], search: Search, pass_rate: float) -> CheckResult:
    """Search every canary and judge the share that passes against ``pass_rate`` (0 to 1).

    ``detail`` holds the rate with its Wilson 95% interval, the same for each tag, and every canary with the documents
    that came; ``examples`` holds canaries that failed. Never raises: a search that breaks makes the result ``unknown``.
    """
    if not canaries:
        summary = "no canary queries are configured: retrieval is not checked; set `gates: canaries:` to a file of them"
        return CheckResult(NAME, Status.WARNED, summary, {"total": 0, "canaries": []})
    return guarded(NAME, lambda: _judge(list(_search_all(canaries, search)), pass_rate))


def _search_all(canaries: Sequence[Canary], search: Search) -> Iterator[_Verdict]:
    """Verdicts in the canaries' order."""
    groups: dict[tuple[int, str], list[int]] = {}
    for index, canary in enumerate(canaries):
        groups.setdefault((canary.k, canonical_json(canary.filter)), []).append(index)
    found: dict[int, tuple[tuple[str, float], ...]] = {}
    for indexes in groups.values():
        for start in range(0, len(indexes), BATCH):
            batch = indexes[start : start + BATCH]
            found.update(zip(batch, _documents([canaries[index] for index in batch], search), strict=True))
    for index, canary in enumerate(canaries):
        yield _verdict(canary, found[index])


def _documents(canaries: Sequence[Canary], search: Search) -> list[tuple[tuple[str, float], ...]]:
    """For canaries of one k and filter: their first k distinct documents with scores."""
    k, restriction, width = canaries[0].k, canaries[0].filter, canaries[0].k * OVERFETCH
    results: dict[int, tuple[tuple[str, float], ...]] = {}
    open_ones = list(range(len(canaries)))
    while open_ones:
        hits = search([canaries[index].query for index in open_ones], width, restriction)
        if len(hits) != len(open_ones):
            raise CorruptError(f"the search answered {len(hits)} of {len(open_ones)} queries")
        again = []
        for index, matches in zip(open_ones, hits, strict=True):
            best: dict[str, float] = {}
            for match in matches:
                best.setdefault(match.document_id, match.score)
            results[index] = tuple(best.items())[:k]
            if len(best) < k and len(matches) >= width < WIDEST:
                again.append(index)
        open_ones, width = again, min(width * OVERFETCH, WIDEST)
    return [results[index] for index in range(len(canaries))]


def _verdict(canary: Canary, got: tuple[tuple[str, float], ...]) -> _Verdict:
    documents = [document for document, _ in got]
    missing = tuple(pattern for pattern in canary.expect if not any(_names(pattern, one) for one in documents))
    if canary.match == "any" and len(missing) < len(canary.expect):
        missing = ()
    forbidden = tuple(one for one in documents if any(_names(pattern, one) for pattern in canary.forbid))
    return _Verdict(canary, got, missing, forbidden)


def _names(pattern: str, document: str) -> bool:
    """Equality first: an id may itself hold ``[`` or ``*``. A ``*`` matches across ``/``."""
    return pattern == document or fnmatchcase(document, pattern)


def _judge(verdicts: Sequence[_Verdict], pass_rate: float) -> CheckResult:
    rate = _rate(verdicts)
    tags = sorted({tag for verdict in verdicts for tag in verdict.canary.tags})
    by_tag = {tag: _rate([verdict for verdict in verdicts if tag in verdict.canary.tags]) for tag in tags}
    summary = (
        f"{rate.passed}/{rate.total} canary queries passed ({rate.share:.1%}, 95% interval "
        f"{rate.low * 100:.1f} to {rate.high * 100:.1f}), required {pass_rate * 100:.4g}%"
    )
    detail: Mapping[str, Any] = {
        **rate.to_json(),
        "pass_rate": pass_rate,
        "tags": {tag: one.to_json() for tag, one in by_tag.items()},
        "canaries": [verdict.to_json() for verdict in verdicts],
    }
    failures = tuple(verdict.to_json() for verdict in verdicts if not verdict.passed)
    status = Status.PASSED if rate.share >= pass_rate else Status.FAILED
    return CheckResult(NAME, status, summary, detail, failures[:EXAMPLES])


def _rate(verdicts: Sequence[_Verdict]) -> Rate:
    return wilson(sum(verdict.passed for verdict in verdicts), len(verdicts))
