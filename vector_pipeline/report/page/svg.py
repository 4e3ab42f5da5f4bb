"""Charts as SVG, by hand: colours are the page's variables, so that light and dark need one drawing; every mark says its value when
a mouse rests on it, without a script. A library (Vega through vl-convert) drew the same without these words and at one width, for
84 MB.

Sizes are in a box of 360 units: a phone's width. A wide screen puts several beside each other.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from markupsafe import Markup

from vector_pipeline.report.page.charts import Bars, Chart, Histogram, Intervals, Rows, Scatter
from vector_pipeline.report.page.scales import Scale, figure, middle, percent, shortened, ticks, width_of
from vector_pipeline.report.words import escaped

WIDTH = 360
_LEFT, _RIGHT, _PLOT = 40, 8, 150
_LEGEND, _LINE = 18, 14
Drawn = tuple[float, str]
"""Height of a drawing, and what it shows in words. Its parts were added to the list."""
KNOWN = {
    "production": "production", "candidate": "candidate", "added": "added", "new": "added", "removed": "removed",
    "lost": "removed", "changed": "changed", "moved": "changed", "unchanged": "unchanged", "same": "unchanged",
}  # fmt: skip
"""Names of series and groups that have a colour of their own."""
_OTHERS = ("candidate", "changed", "added", "other", "removed", "production")
_BENEATH = ("unchanged", "production")
"""Groups that are drawn first: the rest lies over them."""


def draw(chart: Chart, *, alone: bool = False) -> Markup:
    """A chart as one ``<svg>``; a table is none. ``alone``: with its title and legend, for where no page is around it."""
    if isinstance(chart, Rows):
        return Markup("")
    names = list(legend_of(chart))
    parts, top = _head(chart.title, names) if alone else ([], 4.0)
    height, alt = _DRAWN[type(chart)](chart, top, parts)
    head = f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escaped(alt)}"'
    return Markup(f'{head} xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>')


def legend_of(chart: Chart) -> dict[str, str]:
    """Series or groups, each with its colour's class, in the order in which they are drawn; none where there is but one."""
    if isinstance(chart, Histogram | Bars):
        names = list(chart.series)
    elif isinstance(chart, Scatter):
        names = sorted(counted(chart), key=lambda name: (KNOWN.get(name.lower()) not in _BENEATH, name))
    else:
        return {}
    return {} if len(names) == 1 and names[0].lower() not in KNOWN else colour_of(names)


def counted(chart: Scatter) -> Counter[str]:
    """Points of each group."""
    return Counter(group for *_, group in chart.points)


def colour_of(names: Sequence[str]) -> dict[str, str]:
    """A colour's class for each name."""
    left = iter([*(one for one in _OTHERS if one not in {KNOWN.get(name.lower()) for name in names}), *_OTHERS] * 9)
    return {name: KNOWN.get(name.lower()) or next(left) for name in names}


def _text(x: float, y: float, text: str, *, anchor: str = "start", cls: str = "") -> str:
    named = f' class="{cls}"' if cls else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escaped(text)}</text>'


def _head(title: str, names: Sequence[str]) -> tuple[list[str], float]:
    """Title and legend, and how high they are."""
    parts = [_text(2, 12, shortened(title, WIDTH - 20), cls="title")]
    if not names:
        return parts, 24.0
    x, y = 2.0, 32.0
    for name, colour in colour_of(names).items():
        shown = shortened(name, 150)
        if x + width_of(shown) + 16 > WIDTH and x > 2:
            x, y = 2.0, y + _LEGEND
        parts.append(f'<rect class="f-{colour}" x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2"/>')
        parts.append(_text(x + 14, y, shown))
        x += width_of(shown) + 28
    return parts, y + 10


def _axis_y(scale: Scale, values: Sequence[float], said: Iterable[str]) -> list[str]:
    parts = []
    for value, words in zip(values, said, strict=True):
        y = scale(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(_text(_LEFT - 5, y + 4, words, anchor="end", cls="tick"))
    return parts


def _axis_x(scale: Scale, y: float, low: float, high: float) -> list[str]:
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>']
    marks = ticks(low, high)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    for value in marks:
        x = scale(value)
        parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{y}" y2="{y + 4}"/>')
        parts.append(_text(min(max(x, 12), WIDTH - 14), y + 16, figure(value, step), anchor="middle", cls="tick"))
    return parts


def _histogram(chart: Histogram, top: float, parts: list[str]) -> Drawn:
    """Shares of each series, so that two of different size compare by shape."""
    names = list(chart.series)
    colours = colour_of(names)
    shares = {name: [count / (sum(counts) or 1) for count in counts] for name, counts in chart.series.items()}
    most = max((share for one in shares.values() for share in one), default=0) or 1
    x = Scale(chart.edges[0], chart.edges[-1], _LEFT, WIDTH - _RIGHT)
    y = Scale(0, most * 1.05, top + _PLOT, top)
    marks = ticks(0, most * 1.05, 3)
    parts += _axis_y(y, marks, (percent(mark) for mark in marks))
    for name in names:
        steps = [f"M{x(chart.edges[0])} {y(0)}"]
        for low, high, share in zip(chart.edges, chart.edges[1:], shares[name], strict=False):
            steps.append(f"L{x(low)} {y(share)}L{x(high)} {y(share)}")
        steps.append(f"L{x(chart.edges[-1])} {y(0)}")
        parts.append(f'<path class="area f-{colours[name]} s-{colours[name]}" d="{"".join(steps)}"/>')
    for number, (low, high) in enumerate(zip(chart.edges, chart.edges[1:], strict=False)):
        counted = ", ".join(f"{name} {figure(chart.series[name][number])}" for name in names)
        width, step = max(0.5, x(high) - x(low)), high - low
        parts.append(
            f'<rect class="hit" x="{x(low)}" y="{top}" width="{width:.2f}" height="{_PLOT}">'
            f"<title>{escaped(f'{figure(low, step)} to {figure(high, step)}: {counted}')}</title></rect>"
        )
    parts += _axis_x(x, top + _PLOT, chart.edges[0], chart.edges[-1])
    said = [f"{name}: {figure(sum(chart.series[name]))} values, middle {_middle(chart, name)}" for name in names]
    return top + _PLOT + 22, f"Histogram. {chart.title}. {'; '.join(said)}"


def _middle(chart: Histogram, name: str) -> str:
    return figure(middle(chart.edges, chart.series[name]), chart.edges[1] - chart.edges[0])


def _bars(chart: Bars, top: float, parts: list[str]) -> Drawn:
    """Lying bars, each label above its own: names of documents are long."""
    names = list(chart.series)
    colours, y = colour_of(names), top
    values = [value for one in chart.series.values() for value in one if value is not None]
    low, high = min([0.0, *values]), max([0.0, *values])
    x = Scale(low, high if high > low else low + 1, 2, WIDTH - 62)
    for number, label in enumerate(chart.labels):
        parts.append(_text(2, y + 10, shortened(label, WIDTH - 4)))
        y += _LINE
        for name in names:
            value = chart.series[name][number]
            if value is None:
                parts.append(_text(4, y + 9, "none", cls="tick"))
                y += 12
                continue
            end = x(value)
            left, width = min(x(0), end), max(abs(end - x(0)), 0.5)
            said = f"{label}, {name}: {figure(value)}"
            parts.append(
                f'<rect class="f-{colours[name]}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="10" rx="1.5">'
                f"<title>{escaped(said)}</title></rect>"
            )
            parts.append(_text(left + width + 4, y + 9, figure(value), cls="tick"))
            y += 12
        y += 6
    told = "; ".join(f"{label}: {_told(chart, number)}" for number, label in enumerate(chart.labels[:12]))
    return y, f"Bars. {chart.title}. {told}"


def _told(chart: Bars, number: int) -> str:
    return ", ".join(f"{name} {figure(values[number])}" for name, values in chart.series.items())


def _scatter(chart: Scatter, top: float, parts: list[str]) -> Drawn:
    """Both axes are of one measure where the points are a map: neither is stretched more than the other."""
    many, colours = counted(chart), colour_of(list(legend_of(chart)) or [chart.points[0][3]])
    small, large = (2.2, 3.2) if len(chart.points) <= 300 else (1.6, 2.3)
    side = WIDTH - 4.0
    xs, ys = [one[0] for one in chart.points], [one[1] for one in chart.points]
    span = max(max(xs) - min(xs), max(ys) - min(ys)) or 1.0
    height = max(120.0, side * (max(ys) - min(ys)) / span) if span else side
    x = _centred(min(xs), max(xs), span, 10, WIDTH - 10)
    y = Scale(min(ys), max(ys) if max(ys) > min(ys) else min(ys) + 1, top + height - 8, top + 8)
    parts.append(f'<rect class="frame" x="2" y="{top:.1f}" width="{side}" height="{height:.1f}" rx="6"/>')
    for name, colour in colours.items():
        marks = [
            f'<circle cx="{x(px)}" cy="{y(py)}" r="{small if colour in _BENEATH else large}">'
            f"<title>{escaped(f'{label} ({group})' if group else label)}</title></circle>"
            for px, py, label, group in chart.points
            if group == name
        ]
        parts.append(f'<g class="dots f-{colour}">{"".join(marks)}</g>')
    said = ", ".join(f"{name} {many[name]:,}" for name in colours)
    return top + height + 4, f"Map of points. {chart.title}. {said}"


def _centred(low: float, high: float, span: float, start: float, end: float) -> Scale:
    middle_of = (low + high) / 2
    return Scale(middle_of - span / 2, middle_of + span / 2, start, end)


def _intervals(chart: Intervals, top: float, parts: list[str]) -> Drawn:
    """A dot for what was seen, a line for how far the truth may be, a stroke for what is demanded."""
    x = Scale(0, 1, 6, WIDTH - 6)
    y, demand = top, chart.required
    for label, share, low, high, counted in chart.rows:
        parts.append(_text(2, y + 10, shortened(label, 230)))
        parts.append(_text(WIDTH - 2, y + 10, f"{counted} · {percent(share)}", anchor="end", cls="tick"))
        y += 22
        parts.append(f'<line class="grid" x1="{x(0)}" x2="{x(1)}" y1="{y}" y2="{y}"/>')
        colour = "s-candidate" if demand is None or share >= demand else "s-removed"
        said = f"{label}: {counted} ({percent(share)}), 95% interval {percent(low)} to {percent(high)}"
        parts.append(
            f'<g class="whisker {colour}"><title>{escaped(said)}</title>'
            f'<line x1="{x(low)}" x2="{x(high)}" y1="{y}" y2="{y}"/><circle cx="{x(share)}" cy="{y}" r="4.5"/></g>'
        )
        if demand is not None:
            parts.append(f'<line class="demand" x1="{x(demand)}" x2="{x(demand)}" y1="{y - 6}" y2="{y + 6}"/>')
        y += 16
    if demand is not None:
        parts.append(
            _text(min(x(demand), WIDTH - 42), y + 4, f"required {percent(demand)}", anchor="middle", cls="tick")
        )
        y += 10
    told = "; ".join(f"{label} {percent(share)}" for label, share, *_ in chart.rows[:20])
    return y, f"Shares with 95% intervals. {chart.title}. {told}"


_DRAWN: dict[type, Callable[[Any, float, list[str]], Drawn]] = {
    Histogram: _histogram,
    Bars: _bars,
    Scatter: _scatter,
    Intervals: _intervals,
}
