"""From facts to a page. Templates escape everything that is not marked as a drawing of ours."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vector_pipeline.release.costs import duration, figures
from vector_pipeline.report.changes import cost_line, retried_line, stage_name
from vector_pipeline.report.history import what_changed
from vector_pipeline.report.page.answers import answers_of
from vector_pipeline.report.page.canaries import blocks_of, worst_of
from vector_pipeline.report.page.charts import Chart, Undrawable, chart_of, charts_of
from vector_pipeline.report.page.facts import Facts, GateSaid, Missing
from vector_pipeline.report.page.scales import figure, percent
from vector_pipeline.report.page.style import stylesheet
from vector_pipeline.report.page.svg import counted, draw, legend_of
from vector_pipeline.report.units import human_bytes, moment, plural
from vector_pipeline.report.words import legible
from vector_pipeline.verify.canaries.gate import NAME as CANARIES
from vector_pipeline.verify.context import AGAINST

_PACKAGE = "vector_pipeline.report.page"
_SHOWN_ELSEWHERE = frozenset({"charts", "answers", "canaries", "tags", AGAINST, "judged"})
"""Keys of a gate's detail that have a place of their own."""
_MOST_JSON = 20_000


def render(facts: Facts) -> str:
    """The whole page."""
    style = stylesheet("page")
    policy = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    canaries = blocks_of(facts.gates)
    view = {
        "facts": facts,
        "style": Markup(style),
        "style_hash": Markup(policy),
        "canaries": canaries,
        "canary": worst_of(canaries),
        "answers": [
            (gate, [one for one in answers if not one.same])
            for gate in facts.gates
            if (answers := answers_of(gate.detail))
        ],
        "charts": [(gate, charts_of(gate.detail)) for gate in _measured(facts.gates)],
        "map": None if isinstance(facts.map, Missing) else chart_of(facts.map),
    }
    return _environment().get_template("report.html").render(view)


def _measured(gates: Iterable[GateSaid]) -> list[GateSaid]:
    """Gates whose charts stand together, those that failed first. Canaries have a part of their own."""
    left = [gate for gate in gates if gate.name != CANARIES and charts_of(gate.detail)]
    return sorted(left, key=lambda gate: not gate.blocks)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=legible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "bytes": human_bytes, "duration": duration, "figure": figure, "moment": moment, "percent": percent,
        "draw": _draw, "cell": _cell, "pretty": _pretty, "slug": _slug,
    }  # fmt: skip
    made.globals |= {
        "against_of": _against, "columns_of": _columns, "cost_line": cost_line, "counted": counted, "figures": figures,
        "is_missing": lambda value: isinstance(value, Missing), "legend_of": legend_of, "numbers_of": _numbers,
        "numeric": _numeric, "plural": plural, "reasons_of": _reasons, "rest_of": _rest, "retried_line": retried_line,
        "stage_name": stage_name, "verdict_of": verdict_of, "what_changed": what_changed,
    }  # fmt: skip
    return made


def _draw(chart: Chart | Undrawable) -> Markup:
    return Markup("") if isinstance(chart, Undrawable) else draw(chart)


def verdict_of(facts: Facts) -> tuple[str, str]:
    """The headline's words: what would happen, and why."""
    blocking = [gate.name for gate in facts.blocking]
    said_so = {
        "serving": ("In production", "Readers get this version now."),
        "ready": ("Would be promoted", "Every gate lets it through."),
        "warned": ("Would be promoted", "Nothing stops it; read the warnings first."),
        "blocked": ("Would not be promoted", f"{plural(len(blocking), 'gate')} stop{'s' if len(blocking) == 1 else ''} it."),
        "unproven": (
            "Not proven",
            f"{plural(len(blocking), 'gate')} did not run, could not, or looked at something else than what is there now."
            if blocking
            else "No gate has run.",
        ),
        "not pushed": ("Not pushed", "It is on no target yet: nothing was checked."),
    }  # fmt: skip
    return said_so[facts.outlook.value]


def _reasons(facts: Facts) -> list[tuple[list[GateSaid], str]]:
    """What stops it, then what warns: gates that say the same are told together."""
    found: dict[tuple[bool, str], list[GateSaid]] = {}
    for gate in (*facts.blocking, *facts.warning):
        found.setdefault((gate.blocks, gate.outdated or gate.summary), []).append(gate)
    return [(gates, why) for (_, why), gates in found.items()]


def _numbers(gate: GateSaid) -> list[tuple[str, str]]:
    """Top-level numbers of a gate's detail."""
    return [
        (name.replace("_", " "), figure(value))
        for name, value in gate.detail.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _against(gate: GateSaid) -> str:
    """What the candidate was compared with, as a gate says it."""
    seen = gate.detail.get(AGAINST)
    return f"v{seen['version']}" if isinstance(seen, Mapping) and seen.get("version") else ""


def _rest(gate: GateSaid) -> Mapping[str, Any]:
    """What of a detail is shown nowhere else."""
    return {
        name: value
        for name, value in gate.detail.items()
        if name not in _SHOWN_ELSEWHERE and (isinstance(value, bool) or not isinstance(value, int | float))
        and value not in (None, "", [], {})
    }  # fmt: skip


def _pretty(value: Any) -> str:
    text = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_JSON else f"{text[:_MOST_JSON]}\n… {len(text) - _MOST_JSON:,} more characters"


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of all rows, in the order in which they appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _numeric(rows: Sequence[Sequence[Any]]) -> list[bool]:
    """Whether each column holds numbers alone."""
    numbers = [
        [isinstance(one, int | float) and not isinstance(one, bool) for one in row if one is not None]
        for row in zip(*rows, strict=True)
    ]
    return [bool(one) and all(one) for one in numbers]


def _cell(value: Any) -> str:
    """One value of a table for people."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return figure(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(one) for one in value) or "–"
    return str(value)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
