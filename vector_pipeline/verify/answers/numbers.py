"""Numbers of a replay: how much of the answers stayed, who took the places of the rest, and why. No I/O.

Laws
----
1. Rankings are compared over documents that both versions have: what was added or removed neither counts against a version nor
   hides anything. Who displaces whom is told apart (``crowd``, ``hubs``).
2. What changed is judged by itself: unchanged documents have the same vectors on both sides, and would hide a damage of the rest by
   their number. Of a changed document it is asked whether it still comes where its former text came first. One that was replaced by
   an altogether other text ought not to: ``text damage`` bounds how many are.
3. Each number has its interval over queries or documents, wide enough for all that are tested together. The difference is split
   into data, model and index.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vector_pipeline.verify.answers.changes import ADDED, CHANGED, UNCHANGED
from vector_pipeline.verify.answers.replay import Answer, Replay
from vector_pipeline.verify.intervals import Rate, two_sided, wilson
from vector_pipeline.verify.rankings import ALPHA, Mean, forgiving_overlap, mean_of, overlap, rank_biased_overlap

FIRST = 3
"""Places in production's answer from which a changed document must not vanish."""
_SURE = 4.0
"""Standard errors of a document's gain: the largest of very many is looked at."""
_SAME_SCORE = 0.02
_ALPHA = ALPHA / 6
"""Of six tests each: common, retained, emptied in the lake and on the target, crowd, scores. Hubs have ``_SURE``."""
_Z = two_sided(_ALPHA)


@dataclass(frozen=True, slots=True)
class Hub:
    """A document that comes to more queries than before."""

    document: str
    before: float
    now: float
    """Shares of queries."""
    gained: Rate
    """Queries that it came to anew."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a replay shows."""

    depth: int
    """Documents of each answer that were compared: fewer than configured where there are few."""
    common: Mean
    """Overlap over documents of both versions."""
    rbo: Mean
    total: Mean
    """Overlap over all documents."""
    model: Mean | None
    """Overlap over unchanged documents; None where no answer has any."""
    retained: Mean
    """Of changed documents, how often they still come where their former text was among the first; over documents."""
    emptied: Rate
    live_emptied: Rate
    index_production: Mean | None
    """Overlap of the target's own answers with the exact ones."""
    index_candidate: Mean | None
    moved_scores: Rate
    """Answers of the target that no change explains, and whose best score is another one."""
    hubs: tuple[Hub, ...]
    """The five documents that gained most."""
    crowd: Rate
    """Places of the candidate's answers that added documents take."""
    skewness: tuple[float, float]
    """Of the number of queries that a document comes to: production, candidate."""

    def split(self) -> dict[str, float]:
        """The difference of the answers, by cause: shares of documents."""
        total = 1 - self.total.mean
        model = 1 - self.model.mean if self.model is not None else 0.0
        parts = {"total": total, "model": model, "data": max(0.0, total - model)}
        for name, one in (("index_production", self.index_production), ("index_candidate", self.index_candidate)):
            if one is not None:
                parts[name] = 1 - one.mean
        return parts


def numbers_of(replay: Replay, documents: tuple[int, int], k: int) -> Numbers:
    """``documents``: how many each version has (production, candidate)."""
    depth = max(1, min(k, min(documents) // 5))
    old, new = replay.production[: replay.queries], replay.candidate[: replay.queries]
    common, still = replay.of(UNCHANGED, CHANGED), replay.of(UNCHANGED)
    pairs = list(_restricted(old, new, common, depth))
    same = list(_restricted(old, new, still, depth)) if still else []
    return Numbers(
        depth=depth,
        common=mean_of([overlap(*both) for both in pairs], _ALPHA),
        rbo=mean_of([rank_biased_overlap(*both) for both in pairs]),
        total=mean_of([overlap(a.documents[:depth], b.documents[:depth]) for a, b in zip(old, new, strict=True)]),
        model=mean_of([overlap(*both) for both in same]) if same else None,
        retained=mean_of(list(_retained(replay, common, depth).values()), _ALPHA),
        emptied=_emptied(old, new),
        live_emptied=_emptied(replay.live_production, replay.live_candidate),
        index_production=_against_index(replay.production, replay.live_production, depth),
        index_candidate=_against_index(replay.candidate, replay.live_candidate, depth),
        moved_scores=_moved_scores(replay, depth),
        hubs=_hubs(old, new, depth),
        crowd=_crowd(new, replay.of(ADDED), depth),
        skewness=(_skewness(old, documents[0], depth), _skewness(new, documents[1], depth)),
    )


def _restricted(
    old: Sequence[Answer], new: Sequence[Answer], kept: set[str], depth: int
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Both rankings of each query among some documents, as deep as both were seen."""
    for a, b in zip(old, new, strict=True):
        first, second = a.only(kept), b.only(kept)
        seen = min(depth, len(first), len(second))
        if seen:
            yield first[:seen], second[:seen]


def _retained(replay: Replay, common: set[str], depth: int) -> dict[str, float]:
    """Of each changed document that came first by a text that it has no more: how often it comes still."""
    changed = replay.of(CHANGED)
    seen: dict[str, list[bool]] = {}
    for a, b in zip(replay.production, replay.candidate, strict=True):
        ranked = [one for one in zip(a.documents, a.contents, strict=True) if one[0] in common]
        now = set(b.only(common)[:depth])
        for document, content in ranked[: min(FIRST, depth)]:
            if document in changed and (document, content) not in replay.stayed:
                seen.setdefault(document, []).append(document in now)
    return {document: float(np.mean(came)) for document, came in sorted(seen.items())}


def gone(replay: Replay, depth: int) -> list[str]:
    """Changed documents that come no more where their former text came first."""
    kept = _retained(replay, replay.of(UNCHANGED, CHANGED), depth)
    return [document for document, share in kept.items() if share == 0]


def _emptied(old: Sequence[Answer] | None, new: Sequence[Answer] | None) -> Rate:
    if old is None or new is None:
        return wilson(0, 0)
    asked = [len(b) == 0 for a, b in zip(old, new, strict=True) if len(a)]
    return wilson(sum(asked), len(asked), _Z)


def _against_index(exact: Sequence[Answer], live: Sequence[Answer] | None, depth: int) -> Mean | None:
    if live is None:
        return None
    return mean_of([forgiving_overlap(_scored(a), _scored(b), depth) for a, b in zip(exact, live, strict=False)])


def _scored(answer: Answer) -> list[tuple[str, float]]:
    return list(zip(answer.documents, answer.scores, strict=True))


def _moved_scores(replay: Replay, depth: int) -> Rate:
    """Among answers whose documents are all unchanged: those whose best score is another one."""
    if replay.live_production is None or replay.live_candidate is None or not replay.one_space:
        return wilson(0, 0)
    still, moved = replay.of(UNCHANGED), []
    for a, b in zip(replay.live_production, replay.live_candidate, strict=True):
        if len(a) and len(b) and set(a.documents[:depth]) | set(b.documents[:depth]) <= still:
            moved.append(abs(a.scores[0] - b.scores[0]) > _SAME_SCORE * max(abs(a.scores[0]), abs(b.scores[0]), 1e-6))
    return wilson(sum(moved), len(moved), _Z)


def _hubs(old: Sequence[Answer], new: Sequence[Answer], depth: int) -> tuple[Hub, ...]:
    before = Counter(name for one in old for name in one.documents[:depth])
    now = Counter(name for one in new for name in one.documents[:depth])
    gained: Counter[str] = Counter()
    for a, b in zip(old, new, strict=True):
        gained.update(set(b.documents[:depth]) - set(a.documents[:depth]))
    count = max(1, len(new))
    most = sorted(gained.items(), key=lambda one: (-one[1], one[0]))[:5]
    return tuple(
        Hub(name, before[name] / count, now[name] / count, wilson(times, len(new), _SURE)) for name, times in most
    )


def _crowd(new: Sequence[Answer], added: set[str], depth: int) -> Rate:
    """Queries whose answers are mostly added documents: places of one answer are not independent."""
    mostly = [sum(name in added for name in one.documents[:depth]) * 2 > depth for one in new]
    return wilson(sum(mostly), len(mostly), _Z)


def _skewness(answers: Sequence[Answer], documents: int, depth: int) -> float:
    """Source: M. Radovanovic, A. Nanopoulos, M. Ivanovic, "Hubs in space", JMLR 11 (2010): the skewness of N_k."""
    counts = np.zeros(max(1, documents), dtype=np.float64)
    came = Counter(name for one in answers for name in one.documents[:depth])
    counts[: min(len(came), len(counts))] = sorted(came.values(), reverse=True)[: len(counts)]
    spread = float(counts.std())
    return float(((counts - counts.mean()) ** 3).mean() / spread**3) if spread else 0.0


def score_shift(old: Sequence[Answer], new: Sequence[Answer], depth: int) -> dict[str, float]:
    """How far the best and the last score moved: the largest gap of both distributions (Kolmogorov, Smirnov), and of medians."""
    result: dict[str, float] = {}
    for name, place in (("best", 0), ("last", depth - 1)):
        a, b = scores_at(old, place), scores_at(new, place)
        if len(a) and len(b):
            everything = np.sort(np.concatenate([a, b]))
            gap = np.searchsorted(a, everything, "right") / len(a) - np.searchsorted(b, everything, "right") / len(b)
            result[f"{name}_score_gap"] = float(np.abs(gap).max())
            result[f"{name}_score_shift"] = float(np.median(b) - np.median(a))
    return result


def scores_at(answers: Sequence[Answer], place: int) -> npt.NDArray[np.float64]:
    """Sorted scores at a place of the answers that have it."""
    return np.sort(np.array([one.scores[place] for one in answers if len(one) > place], dtype=np.float64))
