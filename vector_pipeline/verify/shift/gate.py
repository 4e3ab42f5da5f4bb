"""The gate ``embedding shift``: whether vectors are what production's vectors are, and of one model.

Laws
----
1. What was added is compared with production; unchanged contents have the same vectors on both sides and prove nothing.
2. A new topic is no fault: what fails is what topics do not move (``form``), shards of two kinds (``mixed``), and a centre of the
   whole that has surely moved farther than is tolerated. Added vectors that have no relation to production's (``mixed``), that
   contradict their texts (``texts``), or that are much like each other, are accused: a new kind of text may look so, and the model
   decides (``again``).
3. Groups of fewer than ``LEAST`` vectors are not judged. A share fails when its interval's near end is beyond what is tolerated.
4. Vectors of two embedders are never compared: then each is compared with its own neighbours.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vector_pipeline.verify import sampling
from vector_pipeline.verify.bins import value_edges
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.outcome import CheckResult, Status
from vector_pipeline.verify.sampling import VectorSample
from vector_pipeline.verify.shift import form, texts
from vector_pipeline.verify.shift.again import embed_again
from vector_pipeline.verify.shift.form import Odd, form_of
from vector_pipeline.verify.shift.found import TESTS, Found, listed
from vector_pipeline.verify.shift.mixed import LEAST, directed, relate, shard_blocks, unit
from vector_pipeline.verify.shift.neighbours import preserved
from vector_pipeline.verify.shift.profile import profile

NAME = "embedding shift"
_ALIKE = 0.7
"""Likeness of two sides of shards under which they are of two kinds."""
_COLLAPSED = 0.95
"""Cosine of different texts beyond which a whole version's vectors tell them no more."""


def judge(context: GateContext) -> CheckResult:
    """The gate's verdict."""
    settings = context.gates.embedding_shift
    found = Found(settings.alpha)
    every = sampling.sample_vectors(context, context.candidate, settings.sample)
    candidate = directed(every)
    found.detail |= {"candidate": every.total, "sampled": len(every), "without_direction": len(every) - len(candidate)}
    found.odd(_undirected(every), every, "")
    if len(candidate) >= LEAST:
        _shards(found, candidate, "sampled")
        said = _against_production(context, found, candidate)
    else:
        said = f"{len(candidate)} vectors are too few to judge"
    found.detail["charts"] = found.charts
    if found.faults:
        return CheckResult(NAME, Status.FAILED, "; ".join(found.faults), found.detail, tuple(found.examples))
    return CheckResult(NAME, Status.PASSED, said, found.detail)


def _against_production(context: GateContext, found: Found, candidate: VectorSample) -> str:
    """What can be said with what production serves; the summary of a pass."""
    production, limit = context.production, context.gates.embedding_shift.sample
    _numbers(found, candidate)
    if production is None:
        _alone(context, found, candidate)
        return f"no other version is served: nothing to compare with; {len(candidate):,} vectors are of one kind"
    if not sampling.shares_vectors(context):
        _alone(context, found, candidate)
        return preserved(context, found.detail)
    base = directed(sampling.sample_vectors(context, production, limit))
    added = sampling.added(context, limit)
    found.detail |= {"production": base.total, "added": added.total}
    if len(base) < 5 * LEAST:
        return f"production has {len(base)} vectors: too few to compare with"
    _whole(context, found, candidate, base)
    found.odd(_undirected(added), added, "added")
    added = directed(added)
    if len(added) < LEAST:
        return f"{len(added)} added vectors are too few to judge; the rest is production's"
    _added(context, found, added, base)
    alike = "of another kind than production's, and the same model's" if found.cleared else "as production's"
    return (
        f"{len(added):,} added vectors are {alike}: centre of the whole {found.detail['centroid_distance']:.3f} "
        f"away of {context.gates.embedding_shift.max_shift:g} tolerated"
    )


def _undirected(sample: VectorSample) -> Odd:
    good = np.logical_and(np.isfinite(sample.vectors).all(axis=1), sample.vectors.any(axis=1))
    return Odd("directions", "vectors of zeros or of no numbers", ~np.asarray(good, np.bool_))


def _shards(found: Found, group: VectorSample, name: str) -> None:
    """Shards of two kinds, in the whole or among what was added."""
    blocks = shard_blocks(group)
    if blocks is None:
        return
    worst = min(blocks.apart, default=None)
    found.detail |= {
        f"{name}_shard_likeness": blocks.relation,
        f"{name}_shard_p": blocks.p,
        f"{name}_worst_shard": worst,
    }
    if blocks.p < found.alpha / TESTS and blocks.relation < _ALIKE:
        within = group.take(np.flatnonzero(np.isin(group.shards, blocks.apart)))
        found.all_of(
            "shards", f"shards {listed(list(blocks.apart))} are of another model than the others", within, name
        )


def _numbers(found: Found, candidate: VectorSample) -> None:
    form = form_of(candidate.vectors)
    found.detail |= {
        "mean_norm": form.mean_norm, "spread_of_norms": form.spread_of_norms, "mean_cosine": form.mean_cosine,
        "effective_rank": form.effective_rank, "distinct_values": form.distinct_values,
    }  # fmt: skip


def _alone(context: GateContext, found: Found, candidate: VectorSample) -> None:
    """What needs no other version."""
    found.odd(form.odd_copies(candidate.vectors, None), candidate, "sampled")
    collapse = _collapse(context, found, candidate, "sampled", _COLLAPSED)
    if collapse:
        found.all_of("collapse", collapse, candidate, "sampled")


def _whole(context: GateContext, found: Found, candidate: VectorSample, base: VectorSample) -> None:
    settings = context.gates.embedding_shift
    seen = profile(unit(candidate.vectors), unit(base.vectors), settings.alpha / TESTS)
    found.detail |= {
        "centroid_distance": seen.centroid_distance, "centroid_low": seen.centroid_low, "centroid_high": seen.centroid_high,
        "max_ks": seen.max_ks, "mean_ks": seen.mean_ks, "ks_p": seen.ks_p, "ks_tests": seen.tested, "energy": seen.energy,
    }  # fmt: skip
    if seen.centroid_low > settings.max_shift:
        found.faults.append(
            f"the centre of all vectors moved by {seen.centroid_distance:.2f} of their spread ({seen.centroid_low:.2f} to "
            f"{seen.centroid_high:.2f}; {settings.max_shift:g} is tolerated)"
        )
    found.charts.append(_histogram("Lengths of vectors", form.norms(base.vectors), form.norms(candidate.vectors)))
    cosines = [form.cosines(one.vectors)[0] for one in (base, candidate)]
    found.charts.append(_histogram("Cosine of two contents", *cosines))


def _added(context: GateContext, found: Found, added: VectorSample, base: VectorSample) -> None:
    """Law 2."""
    _shards(found, added, "added")
    for odd in (form.odd_lengths, form.odd_axes, form.odd_rounding, form.odd_copies):
        found.odd(odd(added.vectors, base.vectors), added, "added")
    usual = float(np.median(form.cosines(base.vectors)[0]))
    accusations = _texts(context, found, added, base)
    collapse = _collapse(context, found, added, "added", 1 - (1 - usual) / 4)
    if collapse:
        accusations["collapse"] = collapse
    relation = relate(added, base)
    if relation is not None:
        found.detail |= {
            "relation": relation.evidence, "relation_own": relation.own, "strangers": relation.strangers,
            "relation_near": relation.near, "relation_along": relation.along, "relation_profile": relation.profile,
        }  # fmt: skip
        if relation.unrelated:
            accusations["unrelated"] = "vectors unrelated to production's, as of another model"
    if accusations:
        _settle(context, found, added, base, accusations)


def _settle(
    context: GateContext, found: Found, added: VectorSample, base: VectorSample, accusations: Mapping[str, str]
) -> None:
    """The model's word on what was added."""
    again = embed_again(context, added, base)
    found.cleared = again.cleared
    found.detail |= {
        "accused_of": list(accusations), "embedded_again": again.accused + again.production,
        "embedded_otherwise": again.accused_wrong + again.production_wrong,
    }  # fmt: skip
    if not again.cleared:
        for key, says in accusations.items():
            found.all_of(key, f"{says} ({again.says()})", added, "added")


def _collapse(context: GateContext, found: Found, group: VectorSample, name: str, limit: float) -> str:
    """What to say of nearly equal vectors of texts that are not; empty where there are none."""
    some = group.first(texts.MOST)
    cosines = float(np.median(form.cosines(some.vectors)[0]))
    found.detail[f"{name}_cosine"] = cosines
    if len(some) < LEAST or cosines <= limit:
        return ""
    words = texts.bags(texts.texts_of(context, context.candidate, some))
    different = float(np.median((words * np.roll(words, -1, axis=0)).sum(axis=1))) < 0.5
    return f"vectors nearly equal (cosine {cosines:.2f}) although their texts differ" if different else ""


def _texts(context: GateContext, found: Found, added: VectorSample, base: VectorSample) -> dict[str, str]:
    """Accusations: added vectors that do not go with their texts, where production's do."""
    size = min(len(added), len(base), texts.MOST)
    assert context.production is not None
    some, known = added.first(size), base.first(texts.MOST)
    words = texts.bags(
        texts.texts_of(context, context.candidate, some) + texts.texts_of(context, context.production, known)
    )
    mine, theirs = words[:size], words[size:]
    goes, usual = (
        texts.agreement(which, sample.vectors) for which, sample in ((mine, some), (theirs[:size], known.first(size)))
    )
    crowding = texts.crowding(mine, some.vectors, theirs, known.vectors)
    found.detail |= {
        "text_agreement": goes, "text_agreement_own": usual, "crowding": crowding.excess, "unlike_texts": crowding.unlike,
    }  # fmt: skip
    said = {}
    if size >= 2 * LEAST and usual >= texts.TELLING and goes < texts.EXCHANGED:
        said["texts"] = "vectors that do not go with their texts, as if exchanged"
    if crowding.strange:
        said["crowding"] = (
            f"vectors nearer to each other than texts explain ({crowding.excess:.1f} standard deviations), as of another model"
        )
    return said


def _histogram(title: str, production: Any, candidate: Any) -> dict[str, Any]:
    low = float(min(production.min(), candidate.min()))
    high = float(max(production.max(), candidate.max()))
    edges = value_edges(low, high, 31)
    series = {"production": production, "candidate": candidate}
    counts = {name: np.histogram(np.asarray(values, np.float64), edges)[0].tolist() for name, values in series.items()}
    return {"kind": "histogram", "title": title, "edges": edges.tolist(), "series": counts}
