"""What a report shows of retrieval measures, and whether a version fails by them: levels, differences, and who lost most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_pipeline.verify.bins import share_edges
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status
from vector_pipeline.verify.rankings import ALPHA, Mean, mean_of, sign_test
from vector_pipeline.verify.retrieval.judgements import Judgements

NAME = "retrieval measures"
ENOUGH = 20
"""Judged queries from which on an interval is evidence by itself."""
_DEPTH = 10
"""Documents of each answer that are shown."""
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """One version's answers: query: documents with scores, best first. Judged ones go by one name for each text."""

    answers: Mapping[str, Sequence[tuple[str, float]]]
    relevance: Mapping[str, Mapping[str, int]]
    """What is judged, by those names."""

    def top(self, query: str, count: int) -> list[list[Any]]:
        return [[document, score] for document, score in self.answers[query][:count]]


def result_of(
    context: GateContext, judged: Judgements, runs: tuple[Run, Run | None], values: Mapping[str, Values],
    old: Mapping[str, Values] | None, missing: Sequence[str], notes: Sequence[str],
) -> CheckResult:  # fmt: skip
    gates = context.gates.retrieval
    first = next(iter(values))
    alpha = ALPHA / max(1, (old is not None) + (gates.least is not None))
    level = mean_of(values[first], alpha)
    faults: list[str] = []
    doubts: list[str] = []
    rows, drop = [], None
    for name, found in values.items():
        change = None if old is None else difference(found, old[name], alpha)
        rows.append(_row(name, mean_of(found), None if old is None else mean_of(old[name]), change))
        if name == first:
            drop = change
    if drop is not None and -drop[0].high > gates.max_drop:
        (faults if _enough(level.count, drop[1], alpha) else doubts).append(
            f"{first} fell by {-drop[0].mean:.3f} (at least {-drop[0].high:.3f}, tolerated {gates.max_drop:g})"
        )
    if gates.least is not None and level.high < gates.least:
        sure = _enough(level.count, sign_test(values[first] - gates.least), alpha)
        (faults if sure else doubts).append(f"{first} is below {gates.least:g}")
    said = f"{first} {level.mean:.3f} ({level.low:.3f} to {level.high:.3f}) over {level.count} queries"
    if drop is not None:
        by = drop[0]
        said += f", production {level.mean - by.mean:.3f}: {by.mean:+.3f} ({by.low:+.3f} to {by.high:+.3f})"
    if missing:
        said += f"; {len(missing)} judged documents are not there"
    lost = _lost(judged, runs, values[first], None if old is None else old[first])
    detail: dict[str, Any] = {
        "queries": level.count, "judgements": sum(map(len, judged.relevance.values())), "missing_documents": len(missing),
        **{name: float(found.mean()) for name, found in values.items()},
        "max_drop": gates.max_drop, "least": gates.least, "measures": rows, "notes": list(notes), "answers": lost,
        "charts": [
            {
                "kind": "table", "title": "Retrieval measures", "columns": list(rows[0]),
                "rows": [[_shown(value) for value in row.values()] for row in rows],
            },
            *_chart(first, values[first], None if old is None else old[first]),
        ],
    }  # fmt: skip
    if drop is not None:
        detail |= {
            "difference": drop[0].mean,
            "difference_low": drop[0].low,
            "difference_high": drop[0].high,
            "p": drop[1],
        }
    examples = (
        *({"fault": "judged document is not there", "document_id": one} for one in missing[:EXAMPLES]),
        *(
            {"fault": "lost", "query": one["query"], "why": one["why"]}
            for one in (lost[:EXAMPLES] if faults or doubts else ())
        ),
    )
    if doubts and not faults:
        few = f"{'; '.join(doubts)}, but {level.count} judged queries are too few to be sure ({said})"
        return CheckResult(NAME, Status.WARNED, few, detail, examples)
    status = Status.FAILED if faults else Status.PASSED
    return CheckResult(NAME, status, f"{'; '.join(faults)} ({said})" if faults else said, detail, examples)


def _enough(queries: int, p: float, alpha: float) -> bool:
    """A bootstrap of few values knows no others than those: then the randomisation test has to say so too."""
    return queries >= ENOUGH or p < alpha


def difference(new: Values, old: Values, alpha: float = ALPHA) -> tuple[Mean, float]:
    """Mean of the paired differences with its interval (``rankings.mean_of``), and how often chance alone makes one as large."""
    return mean_of(new - old, alpha), sign_test(new - old)


def _row(name: str, now: Mean, before: Mean | None, change: tuple[Mean, float] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"measure": name, "candidate": now.mean, "low": now.low, "high": now.high}
    if before is not None and change is not None:
        row |= {"production": before.mean, "difference": change[0].mean, "from": change[0].low, "to": change[0].high}
        row["p"] = change[1]
    return row


def _shown(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _chart(name: str, now: Values, before: Values | None) -> list[dict[str, Any]]:
    top = max(1.0, float(now.max()), float(before.max()) if before is not None else 0.0)
    edges = share_edges(10) * top
    series = {"candidate": np.histogram(now, edges)[0].tolist()}
    if before is not None:
        series = {"production": np.histogram(before, edges)[0].tolist(), **series}
    return [{"kind": "histogram", "title": f"{name} of each query", "edges": edges.tolist(), "series": series}]


def _lost(judged: Judgements, runs: tuple[Run, Run | None], now: Values, before: Values | None) -> list[dict[str, Any]]:
    """Queries that lost most against production."""
    run, other = runs
    if before is None or other is None:
        return []
    names, rows = list(judged.queries), []
    for row in np.argsort(now - before, kind="stable")[:20].tolist():
        if now[row] >= before[row]:
            break
        name = names[row]
        relevant = [document for document, grade in other.relevance[name].items() if grade > 0]
        came = {document for document, _ in run.answers[name]}
        gone = [document for document, _ in other.answers[name] if document in relevant and document not in came]
        why = f"{', '.join(gone[:3])} came no more" if gone else "relevant documents came later"
        both = {one for one, _ in other.answers[name][:_DEPTH]}, {one for one, _ in run.answers[name][:_DEPTH]}
        rows.append(
            {
                "query": judged.queries[name], "production": other.top(name, _DEPTH), "candidate": run.top(name, _DEPTH),
                "overlap": len(both[0] & both[1]) / max(1, len(both[0]), len(both[1])),
                "why": f"{before[row]:.2f} before, {now[row]:.2f} now: {why}",
            }
        )  # fmt: skip
    return rows
