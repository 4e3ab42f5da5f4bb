"""Since which version does (or does not) a document answer a question? By searching every kept version exactly, in the lake.

Laws
----
1. A document's rank in a version is that of its best record; it is *in* when that rank is at most k: what a reader of that
   version sees. Deployed or not, in whatever target: a version is judged by its content.
2. Versions of one space's name are one line of history, oldest first, whatever fingerprints the space had. Nothing is assumed of
   what lies between: every kept version is searched.
3. A version that cannot be searched here (expired, its model is not installed) is skipped and named: a change is then told
   between its neighbours.
4. A reason says what differs, in this order: the embedder or its metric; the document came or went; its chunks changed (another
   chunker counts here) and with them its score; others came above it or left from there. Scores of two embedders are not compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.errors import InputError, NotFoundError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.trace.scoring import BEFORE, NOW, Ranking, forget, rank_version, score_vectors, standing

OTHERS = 5
"""Most other documents that a change names."""
TOP_K_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Other:
    """A document that passed the one asked for, or made room for it."""

    document: str
    how: str
    """``added``, ``removed``, ``changed`` or ``same`` (it did not change: the one asked for moved past it)."""
    before: int | None
    """Its rank in the version before."""
    after: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the document stands in one version."""

    version: int
    inside: bool
    """Its rank is at most k."""
    rank: int | None
    """Of its best record, from 1; None: the version does not hold the document."""
    score: float | None
    records: int
    """Records that the version holds."""
    record_id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A version in which the document entered or left the top k, or was seen first."""

    version: int
    previous: int | None
    """The version searched before it; None for the first."""
    entered: bool
    reason: str
    """``first``, ``space``, ``added``, ``removed``, ``changed`` or ``others``."""
    detail: str
    """One line for people."""
    others: tuple[Other, ...] = ()


@dataclass(frozen=True, slots=True)
class Blame:
    """Answer to: since when?"""

    dataset: str
    space: str
    question: str
    document: str
    top_k: int
    standings: tuple[Standing, ...]
    """Every version that was searched, oldest first."""
    changes: tuple[Change, ...]
    skipped: Mapping[int, str]
    """Versions that were not searched, and why."""
    top: tuple[tuple[int, str, float], ...]
    """Rank, document and score of the newest searched version's top k."""

    @property
    def latest(self) -> Standing:
        return self.standings[-1]

    def to_json(self) -> dict[str, Any]:
        """The ``--json`` form."""
        top = [{"rank": rank, "document": document, "score": score} for rank, document, score in self.top]
        return {**asdict(self), "skipped": {str(key): why for key, why in self.skipped.items()}, "top": top}


def blame(
    lake: Lake,
    versions: Sequence[Version],
    embedder_of: Callable[[Version], Embedder | str],
    *,
    question: str,
    document: str,
    top_k: int,
) -> Blame:
    """Search ``versions`` (of one space's name, oldest first). ``embedder_of`` gives a version's embedder, or why there is none.

    Raises:
        InputError: an empty question, a ``top_k`` out of bounds.
        NotFoundError: there is no version to search, or none of them holds the document.
    """
    if not question.strip():
        raise InputError("the question is empty", fix="Give it at least one word")
    if not 1 <= top_k <= TOP_K_LIMIT:
        raise InputError(f"top_k is {top_k}", fix=f"Ask for 1 to {TOP_K_LIMIT}")
    search = _Search(lake, embedder_of, question, document, top_k)
    try:
        for version in versions:
            search.look(version)
    finally:
        forget(lake)
    return search.result()


class _Search:
    """One walk over the versions."""

    def __init__(
        self, lake: Lake, embedder_of: Callable[[Version], Embedder | str], question: str, document: str, top_k: int
    ) -> None:
        self._lake, self._embedder_of = lake, embedder_of
        self._question, self._document, self._top_k = question, document, top_k
        self._scored: tuple[str, str, str] | None = None
        self._vectors: dict[str, Vectors] = {}
        self._last: tuple[Version, Ranking] | None = None
        self._standings: list[Standing] = []
        self._changes: list[Change] = []
        self._skipped: dict[int, str] = {}

    def look(self, version: Version) -> None:
        """Rank one version, and compare it with the one before."""
        if version.expired_at is not None:
            self._skipped[version.number] = "expired"
            return
        embedder = self._embedder_of(version)
        if isinstance(embedder, str):
            self._skipped[version.number] = embedder
            return
        tables = tables_of(version)
        try:
            self._score(version, embedder)
            ranking = rank_version(self._lake, tables, version.lake_snapshot, self._document, self._top_k)
        except NotFoundError:
            self._skipped[version.number] = "the lake no longer holds it"
            return
        best = ranking.best
        here = Standing(
            version.number, _inside(ranking, self._top_k), best.rank if best else None, best.score if best else None,
            ranking.records, best.record_id if best else None,
        )  # fmt: skip
        before = self._standings[-1] if self._standings else None
        if self._last is None or before is None:
            if here.inside:
                self._changes.append(
                    Change(here.version, None, True, "first", "already in the oldest version searched")
                )
        elif before.inside != here.inside:
            self._changes.append(self._change(*self._last, version, ranking, here.inside))
        self._standings.append(here)
        self._last = (version, ranking)

    def _score(self, version: Version, embedder: Embedder) -> None:
        key = (version.embedding_table, version.embedder_fingerprint, version.metric)
        if self._scored == key:
            return
        if version.embedder_fingerprint not in self._vectors:
            self._vectors[version.embedder_fingerprint] = embedder.embed_queries([self._question])[0]
        vector = self._vectors[version.embedder_fingerprint]
        score_vectors(self._lake, tables_of(version), vector, version.dimension, version.metric)
        self._scored = key

    def _change(self, old: Version, was: Ranking, new: Version, now: Ranking, entered: bool) -> Change:
        reason, detail = _reason(old, was, new, now)
        others: tuple[Other, ...] = ()
        if reason in ("others", "changed"):
            others = self._others(was, now, entered)
            if reason == "others":
                detail = _about(others, entered)
        return Change(new.number, old.number, entered, reason, detail, others)

    def _others(self, was: Ranking, now: Ranking, entered: bool) -> tuple[Other, ...]:
        """Who is above the document on one side and was not on the other."""
        above, other_side = (was, now) if entered else (now, was)
        limit = other_side.best.rank if other_side.best else 0
        names = dict.fromkeys(one.document for one in above.top if one.document != self._document)
        before = standing(self._lake, BEFORE, list(names))
        after = standing(self._lake, NOW, list(names))
        found = []
        for name in names:
            there = (after if entered else before).get(name)
            if there is not None and there[0] < limit:
                continue
            left, came = before.get(name), after.get(name)
            how = (
                "added" if left is None else "removed" if came is None else "changed" if left[1] != came[1] else "same"
            )
            found.append(Other(name, how, left[0] if left else None, came[0] if came else None))
        return tuple(found[:OTHERS])

    def result(self) -> Blame:
        """What was found. ``NotFoundError`` when nothing was."""
        if not self._standings or self._last is None:
            why = "; ".join(f"v{number}: {reason}" for number, reason in list(self._skipped.items())[-3:])
            raise NotFoundError(
                f"no version can be searched ({why or 'none was built'})", fix="See: vector-pipeline versions"
            )
        newest = self._last[0]
        if all(one.rank is None for one in self._standings):
            raise NotFoundError(
                f"no kept version of {newest.dataset} in space {newest.space} holds a document {self._document!r}",
                fix=f"List them: vector-pipeline documents {newest.dataset}",
            )
        top = tuple((one.rank, one.document, one.score) for one in self._last[1].top)
        return Blame(
            newest.dataset, newest.space, self._question, self._document, self._top_k, tuple(self._standings),
            tuple(self._changes), self._skipped, top,
        )  # fmt: skip


def _inside(ranking: Ranking, top_k: int) -> bool:
    return ranking.best is not None and ranking.best.rank <= top_k


def _reason(old: Version, was: Ranking, new: Version, now: Ranking) -> tuple[str, str]:
    """Law 4."""
    if (old.embedder_fingerprint, old.metric) != (new.embedder_fingerprint, new.metric):
        return "space", f"another embedding: {_space(old)}, then {_space(new)}"
    if was.best is None:
        return "added", "the document came into the corpus"
    if now.best is None:
        return "removed", "the document left the corpus"
    if was.contents != now.contents and was.best.score != now.best.score:
        why = "" if old.fingerprint == new.fingerprint else " (another chunker)"
        return "changed", f"its text changed{why}: score {was.best.score:.4f}, then {now.best.score:.4f}"
    return "others", ""


def _space(version: Version) -> str:
    return f"embedder {version.embedder_fingerprint[:8]}, {version.dimension} dimensions, {version.metric}"


def _about(others: Sequence[Other], entered: bool) -> str:
    verb = "made room" if entered else "came above it"
    return f"{', '.join(f'{one.document} ({one.how})' for one in others) or 'others'} {verb}"
