"""Fit a bridge and measure it: what a new model's queries are worth in the space that production is in.

Laws
----
1. Nothing is written: neither to the lake, nor to the registry.
2. Both kinds are fitted and both are measured; which is taken was chosen before, on other questions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_pipeline.bridge.fit import LEAST_PAIRS, Pairs, Trial, fit
from vector_pipeline.bridge.map import BridgeMap
from vector_pipeline.bridge.measure import Measured, Questions, measure
from vector_pipeline.bridge.texts import (
    MEASURED,
    NewSide,
    Texts,
    complete,
    draw,
    pairs_of,
    parted,
    real_questions,
    sentences,
)
from vector_pipeline.config import BridgeConfig
from vector_pipeline.embedding.batches import Progress
from vector_pipeline.errors import RefusedError
from vector_pipeline.verify.context import GateContext, Side


@dataclass(frozen=True, slots=True)
class Work:
    """What a fit costs."""

    texts: int
    """Texts of the sample."""
    known: int
    """Of them, those that the lake has the new model's vectors for."""
    characters: int
    """Of those that are embedded."""
    questions: int
    """Short texts that both models embed, at most."""

    @property
    def embedded(self) -> int:
        return self.texts - self.known


@dataclass(frozen=True, slots=True)
class Outcome:
    """A bridge and what it is worth."""

    bridge: BridgeMap
    measured: Measured
    pairs: int
    """Texts that it was fitted on."""
    detail: dict[str, Any]
    """The same as JSON, with the other kind's figures beside."""


def work_of(context: GateContext, sample: Texts) -> Work:
    """Of a sample that was drawn."""
    parts, asked = parted(sample), real_questions(context)
    questions = len(parts.measure) + len(parts.choose) + len(asked.measure) + len(asked.choose)
    return Work(len(sample), int(sample.known.sum()), sample.characters, questions)


def fit_and_measure(
    context: GateContext,
    side: Side,
    new: NewSide,
    sample: Texts,
    settings: BridgeConfig,
    report: Callable[[Progress], None] | None = None,
) -> Outcome:
    """The better map. ``RefusedError`` where there are too few texts, or the old model is not on this machine."""
    old = context.embedder(side)
    parts = parted(sample)
    if len(parts.fit) < LEAST_PAIRS:
        raise RefusedError(
            f"{len(sample)} texts of version {side.version.number} of {side.version.dataset} are too few to fit a bridge on",
            fix="Re-embed it: so few are done at once",
        )
    whole = complete(sample, new.embedder, report)
    asked = real_questions(context)
    choose = pairs_of(
        tuple(dict.fromkeys((*asked.choose, *sentences(whole, parts.choose, MEASURED)))), new.embedder, old
    )
    trial = Trial(choose, whole.old, min(settings.k, max(1, len(whole) // 5)))
    fitted = fit(Pairs(whole.new[parts.fit], whole.old[parts.fit]), trial, normalise=bool(unit_length(whole.old)))
    texts = sentences(whole, parts.measure, MEASURED)
    first = set(asked.measure)
    named = (*asked.measure, *(one for one in texts if one not in first))
    questions = Questions(named, tuple(one in first for one in named), pairs_of(named, new.embedder, old))
    found = measure(context, side, fitted.maps, questions, settings.k, settings.min_recall)
    kinds = [
        {"kind": one.kind, "chosen_by": recall, **said, **result.to_json()}
        for one, recall, said, result in zip(fitted.maps, fitted.recalls, fitted.settings, found, strict=True)
    ]
    detail = {
        **found[0].to_json(), "pairs": len(parts.fit), "metric": side.version.metric, "version": side.version.number,
        "from_space": new.space.name, "from_model": new.space.model, "to_space": side.version.space,
        "to_model": side.version.model, "shape": list(fitted.maps[0].shape), "kinds": kinds,
    }  # fmt: skip
    return Outcome(fitted.maps[0], found[0], len(parts.fit), detail)


def unit_length(vectors: "np.ndarray[Any, np.dtype[np.float32]]") -> bool:
    """Whether all of them have length one."""
    return bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3))


__all__ = ["Outcome", "Work", "draw", "fit_and_measure", "work_of"]
