"""The gate ``text damage``: texts that are worse than those that production serves.

Laws
----
1. What is judged is the difference: a corpus about HTML has tags, and may. Only texts that production has not can be damage.
2. A sign fails a version when the share of texts that carry it has grown by more than is tolerated, beyond what the sample
   explains, and in ``LEAST`` documents or more.
3. A verdict names documents and holds nothing of their texts: it outlives them.
4. Small releases are judged too: where most of the texts that are new look wrongly encoded, and production's do not, it fails.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vector_pipeline.config.gates import TextDamageConfig
from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.damage.documents import Changed, compare_documents, copied, count_copies
from vector_pipeline.verify.damage.texts import SIGNS, Counted, alike, count_signs, mark_texts, often, read_texts, units
from vector_pipeline.verify.intervals import wilson
from vector_pipeline.verify.outcome import CheckResult, Status

NAME = "text damage"
LEAST = 5
"""Documents: fewer are no evidence."""
_SURELY = 3.3
"""Standard errors: a thousandth, one-sided, over a dozen signs."""
_MOST = 0.25
"""So much of what is new looks wrongly encoded, surely: law 4."""
_SAYS = {
    "encoding": "texts look wrongly encoded",
    "markup": "texts hold left-over markup",
    "repeated": "texts share a passage with many documents",
    "small_words": "texts lost their small words",
    "capitals": "texts lost their capitals",
    "punctuation": "texts lost their punctuation",
    "blanks": "texts run together",
    "copies": "texts stand in another document too",
    "shrunk": "documents lost half of their text or more",
    "replaced": "documents hold an altogether other text",
    "exchanged": "documents hold what another one held",
    "unaccented": "documents lost their letters beyond ASCII",
    "shorter": "of its text is gone from the middle one of the changed documents",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sign."""

    name: str
    production: float
    candidate: float
    limit: float
    bad: bool

    @property
    def grown(self) -> float:
        return max(0.0, self.candidate - self.production)

    @property
    def says(self) -> str:
        was = f", {self.production:.1%} of production's" if self.production else ""
        return f"{self.candidate:.1%} {_SAYS[self.name]}{was} (tolerated: {self.limit:.1%} more)"


def judge(context: GateContext) -> CheckResult:
    """Laws 1, 2 and 4."""
    old, new = context.production, context.candidate
    if old is None:
        return CheckResult(NAME, Status.PASSED, "no other version is served: nothing to compare with")
    if old.version.digest == new.version.digest:
        return CheckResult(NAME, Status.PASSED, "the texts are those that production serves")
    lake, limits = context.lake, context.gates.text_damage
    chunks = alike(old, new)
    drawn = read_texts(lake, units(old, chunks=chunks), units(new, chunks=chunks))
    mark_texts(lake)
    counted, changed = count_signs(lake), compare_documents(lake, old, new)
    findings = [
        *(_of_sign(name, counted[name], limits, whole=drawn >= 1) for name in SIGNS),
        _of_copies(lake, old, new, limits),
        *_of_documents(changed, limits),
    ]
    return _verdict(lake, new, findings, counted, changed, "chunks" if chunks else "documents")


def _of_sign(name: str, seen: Counted, limits: TextDamageConfig, *, whole: bool) -> Finding:
    limit = {"encoding": limits.max_encoding, "markup": limits.max_markup, "repeated": limits.max_repeated}.get(
        name, limits.max_stripped
    )
    before, now = seen.old / max(1, seen.of_old), seen.new / max(1, seen.of_new)
    grown = min(now - before, seen.fresh / max(1, seen.of_new))
    # Both samples hold the same of what did not change: the error is that of what did, and this is more.
    error = 0.0 if whole else _SURELY * math.hypot(_error(before, seen.of_old), _error(now, seen.of_new))
    bad = grown - error > limit
    if name == "encoding" and wilson(seen.fresh, seen.of_fresh, _SURELY).low > before + max(_MOST, limit):
        bad = True
    return Finding(name, before, now, limit, bad and seen.documents >= LEAST)


def _error(share: float, count: int) -> float:
    return math.sqrt(share * (1 - share) / max(1, count))


def _of_copies(lake: Lake, old: Side, new: Side, limits: TextDamageConfig) -> Finding:
    (was, of_was), (now, of_now) = count_copies(lake, old), count_copies(lake, new)
    before, share = was / max(1, of_was), now / max(1, of_now)
    bad = share - before > limits.max_duplicates and now - was >= LEAST
    return Finding("copies", before, share, limits.max_duplicates, bad)


def _of_documents(changed: Changed, limits: TextDamageConfig) -> list[Finding]:
    allowed = {
        "shrunk": limits.max_shrunk, "replaced": limits.max_replaced, "exchanged": limits.max_shrunk,
        "unaccented": limits.max_encoding,
    }  # fmt: skip
    found = []
    for name, limit in allowed.items():
        count = int(getattr(changed, name))
        share = low = count / max(1, changed.both)
        if changed.read < changed.changed:
            rate, of_both = wilson(count, changed.read, _SURELY), changed.changed / max(1, changed.both)
            share, low = rate.share * of_both, rate.low * of_both
        found.append(Finding(name, 0.0, share, limit, low > limit and count >= LEAST))
    many = changed.changed >= max(6 * LEAST, 0.1 * changed.both)
    bad = many and changed.shorter > limits.max_shorter
    return [*found, Finding("shorter", 0.0, changed.shorter if many else 0.0, limits.max_shorter, bad)]


def _texts(count: int) -> str:
    return f"{count:,} new text{'' if count == 1 else 's'}"


def _verdict(
    lake: Lake, new: Side, findings: list[Finding], counted: Mapping[str, Counted], changed: Changed, unit: str
) -> CheckResult:
    bad = [one for one in findings if one.bad]
    fresh = counted["encoding"].of_fresh
    if bad:
        summary = "; ".join(one.says for one in bad)
    else:
        summary = f"{len(findings)} signs of damage are no more frequent than in production ({_texts(fresh)} looked at)"
    repeated = often(lake, 20) if any(one.name == "repeated" and one.grown for one in findings) else []
    detail: dict[str, Any] = {
        "unit": unit, "texts": counted["encoding"].of_new, "new_texts": fresh, "changed_documents": changed.changed,
        **{one.name: round(one.candidate, 6) for one in findings},
        "signs": [
            {"sign": one.name, "production": one.production, "candidate": one.candidate, "tolerated": one.limit, "bad": one.bad}
            for one in findings
        ],
        "charts": _charts(findings, repeated),
    }  # fmt: skip
    examples = [example for one in bad for example in _examples(lake, new, one.name, changed, repeated)]
    return CheckResult(NAME, Status.FAILED if bad else Status.PASSED, summary, detail, tuple(examples))


def _charts(findings: list[Finding], repeated: list[tuple[list[str], int, int]]) -> list[Mapping[str, Any]]:
    shown = [one for one in findings if one.production or one.candidate]
    series = {"production": [one.production for one in shown], "candidate": [one.candidate for one in shown]}
    charts: list[Mapping[str, Any]] = []
    if shown:
        labels = [one.name.replace("_", " ") for one in shown]
        charts.append(
            {"kind": "bars", "title": "Share of texts with signs of damage", "labels": labels, "series": series}
        )
    if repeated:
        table = {"kind": "table", "title": "Passages that have become frequent"}
        rows = [[*documents[:2], before, now] for documents, before, now in repeated]
        columns = ["what this document", "and this one share", "documents before", "documents now"]
        charts.append({**table, "columns": columns, "rows": rows})
    return charts


def _examples(
    lake: Lake, new: Side, name: str, changed: Changed, repeated: list[tuple[list[str], int, int]]
) -> list[Mapping[str, Any]]:
    """Up to five of a sign."""
    if name in changed.examples:
        return [
            {"fault": name, "document": document, "letters_before": before, "letters_now": now}
            for document, before, now in changed.examples[name]
        ]
    if name == "repeated":
        return [{"fault": name, "examples": documents, "documents": now} for documents, _, now in repeated[:LEAST]]
    if name == "copies":
        return [
            {"fault": name, "document": document, "documents": count} for document, count in copied(lake, new, LEAST)
        ]
    if name not in SIGNS:
        return []
    rows = lake.rows(
        f"""SELECT DISTINCT document_id FROM damage_signs WHERE NOT is_old AND fresh AND {name}
            ORDER BY document_id LIMIT {LEAST}"""
    )
    return [{"fault": name, "document": document} for (document,) in rows]
