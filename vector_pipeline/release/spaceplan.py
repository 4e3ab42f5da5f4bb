"""What a change of the space is and takes: the classes of change, and a space's plan. Values and rules; no I/O.

Laws
----
1. A space is compared with what readers are in: the version that production serves; else the newest version of the space that
   staging follows, so that one that was edited under its name is compared with what it was; else that space as it is configured.
2. The class of change is what the fingerprints say, never what settings look like: ``metric`` is the change of a space that would
   be the other one, had it that one's metric.
3. A space's plan is an estimate for people. Nothing is executed from it, and nothing refuses a push because of it.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from vector_pipeline.build.estimates import Estimate
from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.release.plan import Cost, Load
from vector_pipeline.release.registry import Version


class Change(StrEnum):
    """What becomes of the vectors when readers move from one space to the other."""

    NONE = "none"
    """The same space: what a build has to do is what changed in the documents."""
    METADATA = "metadata only"
    """The same space, and of the documents nothing differs but metadata: a normal plan shows it."""
    METRIC = "metric"
    """The same vectors, compared in another way: written into a namespace of their own, embedded never."""
    RE_CHUNK = "re-chunk"
    """Other chunks, the same embedder: only texts that have no vector yet are embedded."""
    RE_EMBED = "re-embed"
    """Another embedder of the same dimension: every text is embedded anew."""
    DIMENSION = "dimension change"
    """Another embedder and another dimension."""


@dataclass(frozen=True, slots=True)
class SpaceFacts:
    """A space as a change is judged by it."""

    name: str
    version: int | None
    """That it was read from; None: as it is configured."""
    fingerprint: str
    embedder_fingerprint: str
    model: str | None
    """For people; None where it was not recorded."""
    dimension: int
    metric: str
    chunker: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast texts are embedded."""

    source: Literal["fills", "measured", "unknown"]
    """``fills``: what earlier fills of this space took; ``measured``: with a few sampled texts, now."""
    texts_per_s: float | None = None
    tokens_per_s: float | None = None
    """Of a measurement: texts differ in length, so time is told by tokens."""
    texts: int = 0
    """That were embedded for it."""
    most_per_s: float | None = None
    """Texts that a process may embed in a second, whatever it can: ``reembed.max_texts_per_s``."""

    @property
    def held(self) -> bool:
        """Whether it is the limit that tells how fast texts are embedded."""
        return self.most_per_s is not None and self.most_per_s < (self.texts_per_s or float("inf"))


@dataclass(frozen=True, slots=True)
class IndexLoad:
    """What the first load of the space into one target takes."""

    target: str
    way: Load | None
    """``upsert`` or ``import``; None: a line of the space stands there, and a normal plan says what would be written."""
    cost: Cost
    """Of the estimated number of records: ``bytes`` is what the index comes to hold."""
    currency: str | None
    other_index: bool
    """The target fixes an index's dimension, and the one that serves has another."""
    refused: str | None
    """What a push would be refused with, for ``budget`` or because the target cannot hold such a space."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpacePlan:
    """What a space takes until it is whole and loaded."""

    dataset: str
    environment: str
    space: SpaceFacts
    since: SpaceFacts
    """What it is compared with."""
    serves: bool
    """Whether it is the space that is served: builds make it whole, and releases wait for that."""
    change: Change
    differs: tuple[str, ...]
    """Settings that differ, one each: ``chunker.max_tokens: 60 → 40``."""
    documents: int
    missing: int
    sampled: int
    chunks: Estimate
    texts: Estimate
    known: float | None
    tokens: Estimate
    pace: Pace
    embed_s: Estimate | None
    """Seconds of embedding, by one process; None where no rate is known. The interval is that of the work, at this very rate."""
    cut_s: float | None
    """Seconds of cutting documents; None where nothing was measured."""
    money: Estimate | None
    """Of embedding; None without prices."""
    currency: str | None
    vector_bytes: Estimate
    """Vectors that the lake comes to hold."""
    text_bytes: Estimate
    """Chunks that it comes to hold, before compression."""
    loads: tuple[IndexLoad, ...]
    """One a place, the first one first."""
    refused: str | None = None
    """What filling it would be refused with, for its budget."""
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether the space is whole: nothing to cut, nothing to embed."""
        return not (self.missing or self.texts.high or self.text_bytes.high)

    def to_json(self) -> dict[str, Any]:
        """Plain values. Estimates are ``value``, ``low`` and ``high``; an upper bound that is not known is null."""
        made: dict[str, Any] = {name: _plain(value) for name, value in asdict(self).items()}
        return {"format": 1, **made}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, StrEnum):
        return value.value
    return None if isinstance(value, float) and value == float("inf") else value


def facts_of(space: EmbeddingSpace) -> SpaceFacts:
    """A space as it is configured here."""
    return SpaceFacts(
        space.name, None, space.fingerprint, space.embedder_fingerprint, space.model, space.dimension, space.metric,
        space.chunker.model_dump(mode="json"),
    )  # fmt: skip


def facts_of_version(version: Version, chunker: dict[str, Any] | None) -> SpaceFacts:
    """The space that a version was made in. ``chunker``: its settings, read."""
    return SpaceFacts(
        version.space, version.number, version.fingerprint, version.embedder_fingerprint, version.model, version.dimension,
        version.metric, chunker,
    )  # fmt: skip


def change_of(since: SpaceFacts, space: SpaceFacts, with_its_metric: str) -> Change:
    """Law 2. ``with_its_metric``: fingerprint that the space would have with the metric of ``since``."""
    if space.fingerprint == since.fingerprint:
        return Change.NONE
    if space.embedder_fingerprint != since.embedder_fingerprint:
        return Change.RE_EMBED if space.dimension == since.dimension else Change.DIMENSION
    return Change.METRIC if with_its_metric == since.fingerprint else Change.RE_CHUNK


def differences(since: SpaceFacts, space: SpaceFacts) -> tuple[str, ...]:
    """What differs, in words: settings that people can see."""
    found = []
    if since.embedder_fingerprint != space.embedder_fingerprint:
        same = since.model == space.model
        found.append(
            f"embedder: {since.model or 'not recorded'} → {space.model}" + (", with other settings" if same else "")
        )
    if since.dimension != space.dimension:
        found.append(f"dimension: {since.dimension} → {space.dimension}")
    if since.metric != space.metric:
        found.append(f"metric: {since.metric} → {space.metric}")
    was, now = since.chunker or {}, space.chunker or {}
    found += [f"chunker.{key}: {was[key]} → {now[key]}" for key in now if key in was and was[key] != now[key]]
    if not found and since.fingerprint != space.fingerprint:
        found.append("chunker: another release of its code or of a library")
    return tuple(found)
