"""A report in short, as Markdown: the headline, the gates, and charts as pictures in it. For places that show no page of their own.

A picture is an SVG in a ``data:`` address: it needs no file, no network and no library that draws pixels, and runs no script.
"""

import base64
from collections.abc import Mapping
from typing import Any

from vector_pipeline.report.page.canaries import blocks_of, worst_of
from vector_pipeline.report.page.charts import Bars, Chart, Histogram, Intervals, Scatter, charts_of
from vector_pipeline.report.page.facts import Facts
from vector_pipeline.report.page.render import verdict_of
from vector_pipeline.report.page.style import stylesheet
from vector_pipeline.report.page.svg import draw
from vector_pipeline.report.words import legible, markdown
from vector_pipeline.verify.canaries.gate import NAME as CANARIES

_SIGNS = {"passed": "✓", "warned": "!", "failed": "✗", "unknown": "?"}
_MOST_PICTURES = 4
_MOST_POINTS = 400
"""Of a map: a picture is stored with every run."""
_MOST_LABELS = 12
_CELL = 160


def summary(facts: Facts) -> str:
    """The whole report in short."""
    headline, because = verdict_of(facts)
    lines = [
        f"**{headline}.** {because} {facts.policy}", "",
        "| | gate | what it found |", "| --- | --- | --- |",
        *(
            f"| {_SIGNS[gate.status.value]} | {gate.name}{f' ({gate.place})' if gate.place else ''} | "
            f"{_cell(gate.outdated or gate.summary)} |"
            for gate in facts.gates
        ),
    ]  # fmt: skip
    return "\n".join([*lines, "", *_headline_charts(facts)])


def pictures(detail: Mapping[str, Any]) -> str:
    """The charts of one gate's detail; empty where it has none that is a picture."""
    drawn = [one for one in charts_of(detail) if isinstance(one, Histogram | Bars | Scatter | Intervals)]
    return "\n\n".join(picture(one) for one in drawn[:_MOST_PICTURES])


def picture(chart: Chart) -> str:
    """One chart as a Markdown image."""
    svg = str(draw(_smaller(chart), alone=True))
    height = svg.split('viewBox="0 0 360 ', 1)[1].split('"', 1)[0]
    inside = f'<style>{stylesheet("picture")}</style><rect class="paper" x="-12" y="-12" width="384" height="{int(height) + 24}"/>'
    whole = svg.replace(f'viewBox="0 0 360 {height}"', f'viewBox="-12 -12 384 {int(height) + 24}" width="480"', 1)
    whole = whole.replace(">", f">{inside}", 1)
    address = base64.b64encode(whole.encode("utf-8", errors="replace")).decode()
    return f"![{_alt(chart.title)}](data:image/svg+xml;base64,{address})"


def _smaller(chart: Chart) -> Chart:
    if isinstance(chart, Scatter) and len(chart.points) > _MOST_POINTS:
        step = -(-len(chart.points) // _MOST_POINTS)
        return chart.model_copy(update={"points": chart.points[::step]})
    if isinstance(chart, Bars) and len(chart.labels) > _MOST_LABELS:
        series = {name: values[:_MOST_LABELS] for name, values in chart.series.items()}
        return chart.model_copy(update={"labels": chart.labels[:_MOST_LABELS], "series": series})
    if isinstance(chart, Intervals) and len(chart.rows) > _MOST_LABELS:
        return chart.model_copy(update={"rows": chart.rows[:_MOST_LABELS]})
    return chart


def _headline_charts(facts: Facts) -> list[str]:
    """Canaries where they are worst, then charts of gates that stop it, then of others: few enough to be looked at."""
    canary = worst_of(blocks_of(facts.gates))
    found: list[Chart] = []
    if canary is not None and canary.shares is not None:
        place = f" ({canary.gate.place})" if canary.gate.place else ""
        found.append(canary.shares.model_copy(update={"title": f"Canaries{place}: {canary.shares.title}"}))
    for gate in sorted(facts.gates, key=lambda gate: not gate.blocks):
        if gate.name != CANARIES:
            found += [one for one in charts_of(gate.detail) if isinstance(one, Histogram | Bars)][:1]
    return [picture(one) for one in found[:_MOST_PICTURES]]


def _cell(text: str) -> str:
    """Of bounded length."""
    said = " ".join(text.split())
    return markdown(said if len(said) <= _CELL else f"{said[: _CELL - 1]}…")


def _alt(text: str) -> str:
    return "".join(letter for letter in str(legible(text)) if letter not in "[]()\\\n<>`")
