"""``docs/performance.md`` from the results: a table for each work, and a chart of every ratio against its goal.

Run in the peers' environment, which has matplotlib: ``build/peers/bin/python -m benchmarks.page``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.rows import load, put
from benchmarks.works import WORKS

Row: TypeAlias = Mapping[str, Any]
"""As kept."""

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "images" / "performance"
PROFILES = ROOT / "benchmarks" / "results" / "profiles.json"
BEGIN, END = "<!-- rows:begin -->", "<!-- rows:end -->"
PROFILED = "<!-- profiles:begin -->", "<!-- profiles:end -->"
_MARK = {True: "reached", False: "**missed**", None: ""}


def write() -> None:
    """Put the rows between the page's markers, and draw their charts."""
    found = load()
    text = between(PAGE.read_text(encoding="utf-8"), BEGIN, END, figures(found["rows"], found.get("works", {})))
    if PROFILES.exists():
        text = between(text, *PROFILED, profiles(json.loads(PROFILES.read_text(encoding="utf-8"))))
    put(PAGE, text)


def figures(rows: Sequence[Row], made: Mapping[str, Any]) -> str:
    """Everything between the markers: how many works reach their goals, each work, and versions. Draws the charts."""
    by_work = {work: [row for row in rows if row["work"] == work] for work in WORKS}
    sections = [section(work, found, made.get(work), _chart(work, found)) for work, found in by_work.items() if found]
    return "\n\n".join(part for part in (summary(rows), *sections, libraries(made)) if part)


def between(text: str, begin: str, end: str, section: str) -> str:
    """The text with a section between two markers, instead of what was there."""
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"no {begin} … {end}"
    return f"{before}{begin}\n{section}\n{end}{after}"


def profiles(found: Mapping[str, Any]) -> str:
    """A table: whose work the samples of each path are, and which of our functions hold them."""
    lines = ["| work | samples | whose | in these of ours, with what they call |", "|---|---:|---|---|"]
    for work, one in found.items():
        owners = ", ".join(f"{name} {share:.0%}" for name, share in one["owners"].items() if share >= 0.02)
        functions = "<br>".join(f"{share:.0%} `{name}`" for name, share in one["functions"].items())
        lines.append(f"| {work} | {one['samples']:,} | {owners} | {functions} |")
    return "\n".join([*lines, "", "Samples are of Python's threads; DuckDB's own worker threads are not seen."])


def summary(rows: Sequence[Row]) -> str:
    """How many works reach every goal; each row that does not; which works have no rows."""
    by_work = {work: [row for row in rows if row["work"] == work and row["reached"] is not None] for work in WORKS}
    whole = sum(bool(found) and all(row["reached"] for row in found) for found in by_work.values())
    unknown = [f"*{work}*" for work, found in by_work.items() if not found]
    lines = [f"{whole} of {len(by_work)} works reach every goal."]
    if unknown:
        lines[0] += f" Not measured: {', '.join(unknown)}."
    missed = [row for found in by_work.values() for row in found if not row["reached"]]
    if missed:
        lines += ["", "Missed:", ""]
    lines += [f"- *{row['work']}*: {row['name']}: {_figure(row)}, goal {_goal(row)}" for row in missed]
    return "\n".join(lines)


def section(work: str, rows: Sequence[Row], made: Mapping[str, Any] | None, chart: str | None) -> str:
    """Of one work: its chart, its table, the notes that the table has numbers for, and where the figures are from."""
    lines = [f"### {work}", ""]
    if chart:
        lines += [f"![{work}: how many times as fast]({chart})", ""]
    told = [[one for one in (row["note"], row["limit"] if row["reached"] is False else "") if one] for row in rows]
    numbers = {note: number for number, note in enumerate(dict.fromkeys(note for notes in told for note in notes), 1)}
    lines += ["| measured | figure | spread | goal | | note |", "|---|---:|---:|---:|---|---|"]
    for row, notes in zip(rows, told, strict=True):
        spread = "" if row["spread"] is None else " to ".join(f"{one:g}" for one in row["spread"])
        which = ", ".join(str(numbers[note]) for note in notes)
        lines.append(
            f"| {row['name']} | {_figure(row)} | {spread} | {_goal(row)} | {_MARK[row['reached']]} | {which} |"
        )
    if numbers:
        lines += ["", *(f"{number}. {note}" for note, number in numbers.items())]
    return "\n".join([*lines, "", _measured(made or rows[-1])])


def libraries(made: Mapping[str, Any]) -> str:
    """A table of versions in both environments; of several, each with the works that saw it. Empty where none are known."""
    seen: dict[str, dict[str, dict[str, list[str]]]] = {}
    for work, one in made.items():
        for side in ("ours", "peers"):
            for name, version in one[side].items():
                seen.setdefault(name, {}).setdefault(side, {}).setdefault(version, []).append(work)
    if not seen:
        return ""
    lines = ["### Versions", "", "| library | ours | peers |", "|---|---|---|"]
    for name, sides in sorted(seen.items()):
        lines.append(f"| {name} | {' | '.join(_versions(sides.get(side, {})) for side in ('ours', 'peers'))} |")
    return "\n".join(lines)


def _versions(found: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(one if len(found) == 1 else f"{one} ({', '.join(works)})" for one, works in found.items())


def _figure(row: Row) -> str:
    return f"{row['figure']:g} {row['unit']}"


def _goal(row: Row) -> str:
    return "" if row["goal"] is None else f"{row['kind']} {row['goal']:g} {row['unit']}"


def _measured(made: Mapping[str, Any]) -> str:
    """When, at which commit and where. Rows that were kept before commits were say when and where themselves."""
    commit = f" at `{made['commit']}`" if made.get("commit") else ""
    dirty = ", with changes that were not committed," if made.get("dirty") else ""
    load = f", load {made['load'][0]:g} when it began" if "load" in made else ""
    return f"Measured {made['at']}{commit}{dirty} on {made['machine']}{load}."


@dataclass(frozen=True, slots=True)
class Bar:
    """Of a chart: how many times as fast ours is, 1 is as fast; ``goal`` and ``spread`` as large."""

    name: str
    figure: float
    goal: float | None
    spread: Sequence[float] | None
    missed: bool


def bars(rows: Sequence[Row]) -> list[Bar]:
    """Every ratio to another side. One that is to be small, as times its seconds or bytes, is turned round."""
    found = []
    for row in rows:
        if row["unit"] == "×" and row["theirs"] and row["figure"] > 0:
            turned = row["kind"] == "at most"
            goal, spread = row["goal"], row["spread"] if row["spread"] and all(row["spread"]) else None
            if turned:
                goal, spread = goal and 1 / goal, spread and [1 / one for one in spread]
            figure = float(f"{1 / row['figure']:.3g}") if turned else row["figure"]
            found.append(Bar(row["name"], figure, goal, spread, row["reached"] is False))
    return found


def _chart(work: str, measured: Sequence[Row]) -> str | None:
    """An SVG of the ratios on a logarithmic axis, with their spread and goals; its path from the page. None: no ratios."""
    drawn = bars(measured)
    if not drawn:
        return None
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": work, "font.size": 9, "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.38 * len(drawn)))
    for place, bar in enumerate(reversed(drawn)):
        axes.barh(place, bar.figure - 1, left=1, color="#c58b2a" if bar.missed else "#2f6f9f", height=0.6)
        ends = [1.0, bar.figure]
        if bar.spread is not None:
            axes.plot(bar.spread, [place, place], color="black", linewidth=1)
            ends += bar.spread
        if bar.goal is not None:
            axes.plot([bar.goal] * 2, [place - 0.4, place + 0.4], color="black", linestyle=":", linewidth=1.5)
        axes.annotate(f" {bar.figure:g} ×", (max(ends), place), va="center")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(drawn)), [bar.name for bar in reversed(drawn)])
    axes.set_xlabel(
        "times as fast (or as few bytes) as what a row compares with; left of 1 ours takes more; dotted: goal; line: spread"
    )
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    CHARTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(CHARTS / f"{work}.svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return f"images/performance/{work}.svg"


if __name__ == "__main__":
    write()
