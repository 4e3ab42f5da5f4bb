"""Attestation: is every stored vector what the space's model makes of its text today? The model itself is the evidence.

Laws
----
1. A stored vector is right or wrong: one wrong one in the sample is enough. Rounding is not wrong (``build.comparing``).
2. The sample is drawn by hash, from each shard by its size, half of it from what production has not; with every version others are
   drawn. What a clean one proves is said of new and old vectors together, by what was drawn of each.
3. A model of another fingerprint that the same configuration gives is a model that changed under its name: that fails. One that a
   changed configuration gives was declared. Where nobody knows what was configured, production's golden texts tell whether it is
   another model at all; if so it is unknown whether somebody meant it.
4. Where this machine cannot embed the space nothing is proven: unknown, with what to do.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vector_pipeline.build.attesting import compare_golden, declared, same_declaration, told
from vector_pipeline.build.comparing import Looked, look_again
from vector_pipeline.lake.golden import Golden, GoldenTables, read_golden
from vector_pipeline.lake.stored import Stored, draw_stored
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status

NAME = "attestation"
_EDGES = (0.0, 1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0)
"""Of the histogram of distances."""


def judge(context: GateContext) -> CheckResult:
    """Fingerprints, golden texts, and a sample of the version's own texts."""
    side = context.candidate
    here = context.space(side)
    golden = read_golden(context.lake, GoldenTables.of(side.tables))
    detail: dict[str, Any] = {"max_distance": context.gates.attestation.max_distance}
    if here.embedder_fingerprint != side.version.embedder_fingerprint:
        return _elsewhere(context, golden, detail, here.model)
    changed = _changed_under_its_name(context, golden, detail)
    if changed is not None:
        return changed
    moved = _golden(context, golden, detail)
    if moved:
        return CheckResult(NAME, Status.FAILED, moved, detail)
    return _sampled(context, golden, detail)


def _elsewhere(context: GateContext, golden: Golden | None, detail: dict[str, Any], model: str) -> CheckResult:
    """Law 4. Says whether a person declared it."""
    version = context.version
    same = same_declaration(None if golden is None else golden.declared, _declared(context, context.candidate))
    why = (
        "the configuration is the same: the model changed under its name"
        if same
        else "it is configured, or installed, otherwise"
    )
    return CheckResult(
        NAME,
        Status.UNKNOWN,
        f"space {version.space} of version {version.number} cannot be embedded here: it was made with {version.model or 'a model'} "
        f"({version.embedder_fingerprint}), here is {model}, and {why}. Install the model that it was built with, or build a "
        f"version with this one: vector-pipeline build {version.dataset}",
        {**detail, "declared": _other(same)},
    )


def _changed_under_its_name(context: GateContext, golden: Golden | None, detail: dict[str, Any]) -> CheckResult | None:
    """Law 3: what is to be said where the candidate's model is not the declared successor of production's."""
    other = context.production
    version = context.version
    if other is None or not _same_name(other.version, version):
        return None
    if other.version.embedder_fingerprint == version.embedder_fingerprint:
        return None
    before = read_golden(context.lake, GoldenTables.of(other.tables))
    here = golden.declared if golden is not None else _declared(context, context.candidate)
    same = same_declaration(None if before is None else before.declared, here)
    detail["declared"] = _other(same)
    both = f"production's version {other.version.number} was made with {_model(other.version)}, this one with {_model(version)}"
    if same:
        return CheckResult(
            NAME, Status.FAILED,
            f"the model of space {version.space} changed under its name: {both}, and nobody configured another one. Put the old "
            "model back and build; or declare the new one (embedder.model, or revision) and build",
            detail,
        )  # fmt: skip
    if same is None and before is not None:
        return _undeclared(context, before, detail, both)
    return None


def _undeclared(context: GateContext, before: Golden, detail: dict[str, Any], both: str) -> CheckResult | None:
    """Law 3, where this release cannot read what was configured."""
    found = compare_golden(context.embedder(context.candidate), before, context.gates.attestation.max_distance)
    detail["golden_of_production_moved"] = int(found.differs.sum())
    if not found.differs.any():
        return None
    return CheckResult(
        NAME, Status.UNKNOWN,
        f"nobody knows whether another model was configured: {both}; this release cannot read the configuration of then, and "
        f"{told(before, found)}. If the model is meant to be another one: vector-pipeline promote {context.version.dataset} "
        f"--override {NAME} --reason WHY; if not, put the old one back and build",
        detail,
    )  # fmt: skip


def _other(same: bool | None) -> bool | None:
    """Whether another model was declared; None where nobody knows."""
    return None if same is None else not same


def _same_name(a: Version, b: Version) -> bool:
    return (a.dataset, a.space) == (b.dataset, b.space)


def _model(version: Version) -> str:
    return f"{version.model or 'a model'} ({version.embedder_fingerprint})"


def _declared(context: GateContext, side: Side) -> str | None:
    space = context.settings.spaces.get(side.version.space)
    return None if space is None else declared(space.embedder)


def _golden(context: GateContext, golden: Golden | None, detail: dict[str, Any]) -> str:
    if golden is None:
        detail["golden"] = 0
        return ""
    found = compare_golden(context.embedder(context.candidate), golden, context.gates.attestation.max_distance)
    detail |= {
        "golden": len(golden),
        "golden_moved": int(found.differs.sum()),
        "golden_worst": float(found.distance.max()),
    }
    if not found.differs.any():
        return ""
    dataset = context.version.dataset
    return (
        f"{context.version.model or 'the model'} is not the model that made the vectors of {dataset}: {told(golden, found)}. "
        f"Put it back as it was, and look at what it wrote: vector-pipeline attest {dataset} --space {context.version.space}"
    )


def draw(context: GateContext, side: Side, other: Side | None) -> Stored:
    """Law 2."""
    same = other is not None and other.tables.embedding_table == side.tables.embedding_table
    return draw_stored(
        context.lake, side.tables, side.chunks, context.gates.attestation.sample, salt=side.version.digest,
        without=other.chunks if other is not None and same else None,
    )  # fmt: skip


def _sampled(context: GateContext, golden: Golden | None, detail: dict[str, Any]) -> CheckResult:
    side = context.candidate
    stored = draw(context, side, context.production)
    looked = look_again(context.embedder(side), stored, context.gates.attestation.max_distance)
    detail |= {
        "vectors": looked.total, "sampled": looked.compared, "sampled_new": stored.new_drawn, "wrong": len(looked.wrong),
        "missing": looked.missing, "worst": looked.worst, "at_most_wrong": looked.at_most_wrong,
        "charts": [histogram(looked.distances)],
    }  # fmt: skip
    examples = tuple(
        {"document": one.document, "shard": one.shard, "content": one.content_hash, "distance": one.distance}
        for one in looked.wrong[:EXAMPLES]
    )
    if looked.missing:
        return CheckResult(
            NAME, Status.FAILED,
            f"{looked.missing:,} of {len(stored):,} texts that were looked at have no vector: they are in quarantine, or were "
            f"lost. Make them anew: vector-pipeline build {side.version.dataset}",
            detail, examples,
        )  # fmt: skip
    if looked.wrong:
        shards = sorted({one.shard for one in looked.wrong})
        return CheckResult(
            NAME, Status.FAILED,
            f"{len(looked.wrong):,} of {looked.compared:,} vectors are not what {side.version.model or 'the model'} makes of their "
            f"texts, such as one of {looked.wrong[0].document}; shards {_few(shards)}. Move what was written with them out of the "
            f"way: vector-pipeline attest {side.version.dataset} --space {side.version.space} --quarantine",
            {**detail, "shards": shards}, examples,
        )  # fmt: skip
    tail = "" if golden is not None else "; no golden texts yet: the next build stores them"
    if detail.get("declared", False) is None:
        tail += "; what was configured for the model of production is not known"
    return CheckResult(NAME, Status.PASSED, f"{said(looked)}{tail}", detail)


def said(looked: Looked) -> str:
    """What a clean sample proves."""
    if looked.at_most_wrong == 0:
        return f"all {looked.compared:,} vectors are what the model makes of their texts"
    return (
        f"{looked.compared:,} vectors of {looked.total:,} are what the model makes of their texts: at most "
        f"{looked.at_most_wrong:.1%} of all are wrong (95% certain)"
    )


def histogram(distances: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Chart of cosine distances: powers of ten, since what is right lies within rounding."""
    counts, _ = np.histogram(distances, bins=np.asarray(_EDGES))
    return {
        "kind": "bars",
        "title": "Cosine distance between stored vectors and the same texts embedded again",
        "labels": [f"to {edge:g}" for edge in _EDGES[1:]],
        "series": {"vectors": counts.tolist()},
    }


def _few(shards: list[int]) -> str:
    return ", ".join(map(str, shards[:5])) + (f" and {len(shards) - 5} more" if len(shards) > 5 else "")
