"""Canary retrieval: does the index still answer the questions that must not break?

Laws
----
1. A canary passes when what it expects is among its first documents (``k`` of them, or as far down as an expectation says with
   ``within``) and nothing it forbids is.
2. The gate fails when fewer pass than must (of all, or of a tag that has a rate of its own), when a critical one fails, or when
   surely more fail newly than pass newly, and more than are tolerated, seen beside what production answers now (``change``).
3. Production's trouble is not the candidate's: where it cannot be asked, the gate says so and judges without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vector_pipeline.targets.base import Filter, Match
from vector_pipeline.verify.canaries.change import Beside, Production, Tolerance, beside, some
from vector_pipeline.verify.canaries.file import Canary, canaries_of, load_canaries
from vector_pipeline.verify.canaries.names import absent
from vector_pipeline.verify.canaries.search import Search
from vector_pipeline.verify.canaries.shown import answers, charts
from vector_pipeline.verify.canaries.verdicts import Verdict, verdicts_of
from vector_pipeline.verify.context import AGAINST, GateContext, Side
from vector_pipeline.verify.intervals import Rate, wilson
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status, guarded

__all__ = ["Canary", "Production", "Search", "Tolerance", "load_canaries", "run_canaries"]

NAME = "canary retrieval"


def judge(context: GateContext) -> CheckResult:
    """The gate: the dataset's canaries, on the candidate's deployment, beside production's."""
    file = canaries_of(context.gates, context.base)
    queries = [one.query for one in file.canaries]
    now, production = context.production, None
    if now is not None and now.deployment is not None:
        production = Production(now.version.number, _search(context, now, queries), Tolerance.of(context.gates))
    result = run_canaries(
        file.canaries, _search(context, context.candidate, queries), context.gates.canary_pass_rate,
        pass_rates=file.pass_rates, version=context.version.number, production=production,
        absent=lambda patterns: absent(context.lake, context.candidate.chunks, patterns),
    )  # fmt: skip
    # Holds while production serves what it was seen beside (``judged``).
    return (
        replace(result, detail={**result.detail, AGAINST: context.against()}) if "p_value" in result.detail else result
    )


def _search(context: GateContext, side: Side, queries: Sequence[str]) -> Search:
    """Search of a side; all queries are embedded at once, and once for sides of one embedder."""
    from vector_pipeline.verify.searching import search_vectors

    def embedded() -> dict[str, Any]:
        distinct = list(dict.fromkeys(queries))
        return dict(zip(distinct, context.embedder(side).embed_queries(distinct), strict=True))

    def search(asked: Sequence[str], top_k: int, filter: Filter | None, /) -> list[list[Match]]:
        import numpy as np

        context.embedder(side)  # Refuses a space that is another one on this machine now.
        vectors = context.once(f"canaries.vectors.{side.version.embedder_fingerprint}", embedded)
        return search_vectors(context, side, np.stack([vectors[one] for one in asked]), top_k, filter)

    return search


def run_canaries(
    canaries: Sequence[Canary],
    search: Search,
    pass_rate: float,
    *,
    pass_rates: Mapping[str, float] | None = None,
    version: int | None = None,
    production: Production | None = None,
    absent: Callable[[Sequence[str]], set[str]] = lambda _: set(),
) -> CheckResult:
    """Search every canary and judge the share that passes against ``pass_rate`` (0 to 1), of a tag against ``pass_rates``.

    ``absent`` says which ids and patterns the version has no document for. ``detail`` holds the rate with its Wilson 95% interval,
    the same for each tag, and every canary with the documents that came; ``examples`` holds canaries that failed. Never raises: a
    search that breaks makes the result ``unknown``.
    """
    if not canaries:
        summary = "no canary queries are configured: retrieval is not checked; set `gates: canaries:` to a file of them"
        return CheckResult(NAME, Status.WARNED, summary, {"total": 0, "canaries": []})

    def gate() -> CheckResult:
        verdicts = verdicts_of(canaries, search)
        missing = [one for verdict in verdicts for one in verdict.missing]
        gone = absent(missing) if missing else set()
        seen = beside(canaries, verdicts, production) if production is not None else None
        return _judged(verdicts, pass_rate, pass_rates or {}, gone, version, seen)

    return guarded(NAME, gate)


def _judged(
    verdicts: Sequence[Verdict],
    pass_rate: float,
    pass_rates: Mapping[str, float],
    gone: set[str],
    version: int | None,
    seen: Beside | None,
) -> CheckResult:
    rate = _rate(verdicts)
    tags = sorted({tag for verdict in verdicts for tag in verdict.canary.tags})
    by_tag = {tag: _rate([verdict for verdict in verdicts if tag in verdict.canary.tags]) for tag in tags}
    critical = [one.canary.id for one in verdicts if one.canary.critical and not one.passed]
    short = {tag: one for tag, one in by_tag.items() if one.share < pass_rates.get(tag, 0)}
    worse = seen is not None and seen.worse
    failed = rate.share < pass_rate or bool(critical) or bool(short) or worse
    trouble = seen.trouble if seen is not None else None
    said = [
        f"{rate.passed}/{rate.total} canary queries passed ({rate.share:.1%}, 95% interval "
        f"{rate.low * 100:.1f} to {rate.high * 100:.1f}), required {pass_rate * 100:.4g}%",
        *([f"critical ones fail: {some(critical)}"] if critical else []),
        *(
            f"{one.passed}/{one.total} of tag {tag}, required {pass_rates[tag] * 100:.4g}%"
            for tag, one in short.items()
        ),
        *(seen.said() if seen is not None else []),
    ]
    shown = [verdict.to_json(gone, version) for verdict in verdicts]
    before = seen.before if seen is not None else ()
    for one, verdict in zip(shown, before, strict=False):
        one["before"] = (Status.PASSED if verdict.passed else Status.FAILED).value
    detail: dict[str, Any] = {
        **rate.to_json(),
        "pass_rate": pass_rate,
        "critical_failing": len(critical),
        **(seen.to_json() if seen is not None else {}),
        "tags": {tag: one.to_json() | _required(pass_rates, tag) for tag, one in by_tag.items()},
        "canaries": shown,
        "answers": answers(shown, before),
        "charts": charts(shown, by_tag, before),
    }
    order = sorted((one for one in shown if one["status"] != Status.PASSED), key=lambda one: not one["critical"])
    status = Status.FAILED if failed else Status.WARNED if trouble else Status.PASSED
    return CheckResult(NAME, status, "; ".join(said), detail, tuple(order[:EXAMPLES]))


def _required(pass_rates: Mapping[str, float], tag: str) -> dict[str, float]:
    return {"required": pass_rates[tag]} if tag in pass_rates else {}


def _rate(verdicts: Sequence[Verdict]) -> Rate:
    return wilson(sum(verdict.passed for verdict in verdicts), len(verdicts))
