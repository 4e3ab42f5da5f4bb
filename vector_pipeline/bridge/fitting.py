"""Fit a bridge and measure it: what a new model's queries are worth in the space that production is in.

Laws
----
1. Nothing is written: neither to the lake, nor to the registry.
2. Both kinds are fitted and both are measured; which is taken was chosen before, on other questions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_pipeline.bridge.fit import LEAST_PAIRS, Pairs, Trial, fit
from vector_pipeline.bridge.map import BridgeMap
from vector_pipeline.bridge.measure import Measured, Questions, measure
from vector_pipeline.bridge.parting import Parts, parted
from vector_pipeline.bridge.texts import NewSide, Texts, complete, draw, real_questions
from vector_pipeline.config import BridgeConfig
from vector_pipeline.embedding.base import Embedder, TokenCounter
from vector_pipeline.embedding.batches import Progress
from vector_pipeline.errors import RefusedError
from vector_pipeline.targets.base import Vector
from vector_pipeline.verify.context import GateContext, Side

Report = Callable[[str, int, int, str], None]
_BLOCK = 256
_COUNTED = 100
"""Texts whose tokens are counted."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a fit costs."""

    texts: int
    """Texts of the sample."""
    known: int
    """Of them, those that the lake has the new model's vectors for."""
    characters: int
    """Of those that are embedded."""
    tokens: int
    """The same, by the ratio in some of them."""
    questions: int
    """Questions and first sentences that both models embed."""

    @property
    def embedded(self) -> int:
        return self.texts - self.known


@dataclass(frozen=True, slots=True)
class Outcome:
    """A bridge and what it is worth."""

    bridge: BridgeMap
    measured: Measured
    pairs: int
    """Texts and first sentences that it was fitted on."""
    detail: dict[str, Any]
    """The same as JSON, with the other kind's figures beside."""


def work_of(context: GateContext, sample: Texts, tokens: TokenCounter) -> Work:
    """Of a sample that was drawn; ``tokens``: as the new model counts them."""
    questions = parted(sample, real_questions(context)).questions
    counted = [sample.texts[row] for row in np.flatnonzero(~sample.known)[:_COUNTED].tolist()]
    read = sum(min(tokens.count(text), tokens.limit or 1_000_000) for text in counted)
    whole = round(read * sample.characters / max(1, sum(map(len, counted))))
    return Work(len(sample), int(sample.known.sum()), sample.characters, whole, questions)


def fit_and_measure(
    context: GateContext,
    side: Side,
    new: NewSide,
    sample: Texts,
    settings: BridgeConfig,
    report: Report = lambda *_: None,
) -> Outcome:
    """The better map. ``report``: receives step, done, total and a note.

    ``RefusedError`` where there are too few texts, or none to measure with, or the old model is not on this machine.
    """
    old = context.embedder(side)
    parts = parted(sample, real_questions(context))
    _enough(sample, parts, side)
    whole = complete(sample, new.embedder, lambda done: report("embed", done.done, done.total, _left(done)))
    both = _embedded((parts.chosen, parts.beside, parts.measured), new.embedder, old, report)
    trial = Trial(both[0], whole.old, min(settings.k, max(1, len(whole) // 5)), side.version.metric)
    pairs = Pairs(whole.new[parts.fit], whole.old[parts.fit]).beside(both[1])
    fitted = fit(pairs, trial, normalise=unit_length(whole.old))
    real = len(parts.real)
    questions = Questions(parts.measured, tuple(place < real for place in range(len(parts.measured))), both[2])
    found = measure(context, side, fitted.maps, questions, settings.k, settings.min_recall)
    kinds = [
        {"kind": one.kind, "chosen_by": recall, **said, **result.to_json()}
        for one, recall, said, result in zip(fitted.maps, fitted.recalls, fitted.settings, found, strict=True)
    ]
    detail = {
        **found[0].to_json(), "pairs": len(pairs), "metric": side.version.metric, "version": side.version.number,
        "from_space": new.space.name, "from_model": new.space.model, "to_space": side.version.space,
        "to_model": side.version.model, "shape": list(fitted.maps[0].shape), "kinds": kinds,
    }  # fmt: skip
    return Outcome(fitted.maps[0], found[0], len(pairs), detail)


def _enough(sample: Texts, parts: Parts, side: Side) -> None:
    """``RefusedError`` where too little is left to fit or to measure with, and why."""
    of = f"of {len(sample):,} texts of version {side.version.number} of {side.version.dataset}"
    if len(parts.fit) < LEAST_PAIRS:
        raise RefusedError(
            f"{len(parts.fit)} {of} are too few to fit a bridge on: {len(parts.measure) + len(parts.choose):,} are in documents "
            "that it is measured on or chosen by",
            fix="Take a larger --sample. Where there are no more, re-embed: so few are done at once",
        )
    if not parts.measured:
        raise RefusedError(
            f"no question is left to measure a bridge with: none {of} has a sentence that other documents have not",
            fix="Name real questions: gates.answers.queries",
        )


def _embedded(groups: Sequence[Sequence[str]], new: Embedder, old: Embedder, report: Report) -> list[Pairs]:
    """Groups of questions as both models embed questions."""
    texts = [one for group in groups for one in group]
    made = [
        np.concatenate([empty(model), *_blocks(model, texts, place * len(texts), report)])
        for place, model in enumerate((new, old))
    ]
    found, begin = [], 0
    for group in groups:
        found.append(Pairs(*(vectors[begin : begin + len(group)] for vectors in made)))
        begin += len(group)
    return found


def _blocks(model: Embedder, texts: Sequence[str], before: int, report: Report) -> Iterator[Vector]:
    for begin in range(0, len(texts), _BLOCK):
        yield model.embed_queries(texts[begin : begin + _BLOCK])
        report("embed questions", before + min(begin + _BLOCK, len(texts)), 2 * len(texts), "")


def empty(model: Embedder) -> Vector:
    """float32[0, dimension]."""
    return np.empty((0, model.dimension), np.float32)


def _left(progress: Progress) -> str:
    if progress.remaining_s is None:
        return ""
    return f"{progress.rate}, {progress.remaining_s:.0f} s left"


def unit_length(vectors: Vector) -> bool:
    """Whether all of them have length one."""
    return bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3))


__all__ = ["Outcome", "Work", "draw", "fit_and_measure", "work_of"]
