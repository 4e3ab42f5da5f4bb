"""One canary's verdict: what came, what should have, and one line that says what is wrong."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from vector_pipeline.verify.canaries.entry import Canary
from vector_pipeline.verify.canaries.names import names
from vector_pipeline.verify.canaries.search import Question, Search, first_documents
from vector_pipeline.verify.outcome import Status

_SHOWN = 3
"""Documents that a line names."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A canary and the documents that came."""

    canary: Canary
    got: tuple[tuple[str, float], ...]
    """Documents with their scores, best first: ``canary.depth`` of them, or all that there are."""
    ranks: tuple[int | None, ...]
    """For each expectation, the rank at which it came (from 1); None where it is not in ``got``."""
    missing: tuple[str, ...]
    """Expectations that are not met; none where ``match: any`` has one that is."""
    forbidden: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.missing and not self.forbidden

    def why(self, absent: Collection[str] = (), version: int | None = None) -> str:
        """What is wrong; empty for one that passed. ``absent``: expectations that the version has no document for."""
        if self.passed:
            return ""
        found = f"; found {', '.join(document for document, _ in self.got[:_SHOWN]) or 'nothing'}"
        gone = [one for one in self.missing if one in absent]
        wanted = self.missing
        if gone and (self.canary.match == "all" or len(gone) == len(self.missing)):
            held = "the version does" if version is None else f"version {version} does"
            return f"expects {', '.join(gone)}, which {held} not have{found}"
        if wanted:
            several = f"{'one of ' if self.canary.match == 'any' else ''}" if len(wanted) > 1 else ""
            return f"must find {several}{', '.join(map(self._place, wanted))}{found}"
        return f"must not find {', '.join(self.forbidden)}{found}"

    def _place(self, pattern: str) -> str:
        """An expectation, with where it came and how far down it may."""
        number = self.canary.expect.index(pattern)
        rank, bound = self.ranks[number], self.canary.bound(number)
        if rank is not None:
            return (
                f"{pattern} among the first {bound} (it came as number {rank})"
                if bound > 1
                else f"{pattern} first (it came as number {rank})"
            )
        return f"{pattern} first" if bound == 1 and self.canary.within else pattern

    def to_json(self, absent: Collection[str] = (), version: int | None = None) -> dict[str, Any]:
        canary = self.canary
        gone = [one for one in self.missing if one in absent]
        return {
            "id": canary.id,
            "query": canary.query,
            "status": (Status.PASSED if self.passed else Status.FAILED).value,
            "match": canary.match,
            "k": canary.k,
            "filter": canary.filter,
            "expect": list(canary.expect),
            "within": [canary.bound(number) for number in range(len(canary.expect))],
            "ranks": list(self.ranks),
            "missing": list(self.missing),
            "absent": gone,
            "forbidden": list(self.forbidden),
            "got": [{"document_id": document, "score": score} for document, score in self.got],
            "tags": list(canary.tags),
            "critical": canary.critical,
            **({"notes": canary.notes} if canary.notes else {}),
            **({} if self.passed else {"why": self.why(absent, version)}),
        }


def verdicts_of(canaries: Sequence[Canary], search: Search) -> list[Verdict]:
    """Search every canary; verdicts in the canaries' order."""
    questions = [Question(one.query, one.depth, one.filter) for one in canaries]
    answers = first_documents(questions, search)
    return [
        verdict_of(canary, tuple((match.document_id, match.score) for match in matches))
        for canary, matches in zip(canaries, answers, strict=True)
    ]


def verdict_of(canary: Canary, got: tuple[tuple[str, float], ...]) -> Verdict:
    """Judge the documents that came."""
    documents = [document for document, _ in got]
    ranks = tuple(
        next((rank for rank, one in enumerate(documents, start=1) if names(pattern, one)), None)
        for pattern in canary.expect
    )
    met = [rank is not None and rank <= canary.bound(number) for number, rank in enumerate(ranks)]
    missing = tuple(pattern for pattern, good in zip(canary.expect, met, strict=True) if not good)
    if canary.match == "any" and any(met):
        missing = ()
    first = documents[: canary.k]
    forbidden = tuple(one for one in first if any(names(pattern, one) for pattern in canary.forbid))
    return Verdict(canary, got, ranks, missing, forbidden)
