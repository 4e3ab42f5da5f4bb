"""``docs/performance.md`` from the results: a table for each work, and a chart of every ratio against its goal.

Run in the peers' environment, which has matplotlib: ``build/peers/bin/python -m benchmarks.page``.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.works import WORKS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "images" / "performance"
PROFILES = ROOT / "benchmarks" / "results" / "profiles.json"
BEGIN, END = "<!-- rows:begin -->", "<!-- rows:end -->"
PROFILED = "<!-- profiles:begin -->", "<!-- profiles:end -->"
_MARK = {True: "reached", False: "**missed**", None: ""}


def write() -> None:
    """Put the rows between the page's markers, and draw their charts."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    by_work = {work: [row for row in rows if row["work"] == work] for work in WORKS}
    sections = "\n\n".join([_summary(rows), *(_section(work, found) for work, found in by_work.items() if found)])
    text = between(PAGE.read_text(encoding="utf-8"), BEGIN, END, sections)
    if PROFILES.exists():
        found = json.loads(PROFILES.read_text(encoding="utf-8"))
        lines = ["| work | whose samples | in these of ours, with what they call |", "|---|---|---|"]
        lines += [_profile(work, one) for work, one in found.items()]
        text = between(text, *PROFILED, "\n".join(lines))
    PAGE.write_text(text, encoding="utf-8")


def between(text: str, begin: str, end: str, section: str) -> str:
    """The text with a section between two markers, instead of what was there."""
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"no {begin} … {end}"
    return f"{before}{begin}\n{section}\n{end}{after}"


def _profile(work: str, found: dict[str, Any]) -> str:
    """A row: whose work the samples are, and which of our functions hold them."""
    owners = ", ".join(f"{name} {share:.0%}" for name, share in found["owners"].items() if share >= 0.02)
    functions = "<br>".join(f"{share:.0%} `{name}`" for name, share in found["functions"].items())
    return f"| {work} | {owners} | {functions} |"


def _summary(rows: list[dict[str, Any]]) -> str:
    """How many goals are reached, and which are not."""
    goals = [row for row in rows if row["reached"] is not None]
    missed = [row for row in goals if not row["reached"]]
    lines = [f"{len(goals) - len(missed)} of {len(goals)} goals are reached{'; missed are' if missed else ''}"]
    lines += [f"- {row['work']}: {row['name']}, {row['figure']:g} {row['unit']}" for row in missed]
    return f"{lines[0]}{':' if missed else '.'}\n" + ("\n" + "\n".join(lines[1:]) if missed else "")


def _section(work: str, rows: list[dict[str, Any]]) -> str:
    lines = [f"### {work}", ""]
    ratios = [row for row in rows if row["unit"] == "×" and row["kind"] == "at least" and row["figure"] > 0]
    if ratios:
        lines += [f"![{work}: how many times as fast]({_chart(work, ratios)})", ""]
    lines += ["| measured | figure | spread | goal | |", "|---|---:|---:|---:|---|"]
    for row in rows:
        spread = "" if row["spread"] is None else " to ".join(f"{one:g}" for one in row["spread"])
        goal = "" if row["goal"] is None else f"{row['kind']} {row['goal']:g} {row['unit']}"
        lines.append(
            f"| {row['name']} | {row['figure']:g} {row['unit']} | {spread} | {goal} | {_MARK[row['reached']]} |"
        )
    notes: dict[str, list[str]] = {}
    for row in rows:
        for told in (row["note"], row["limit"] if row["reached"] is False else ""):
            if told:
                notes.setdefault(told, []).append(row["name"])
    if notes:
        lines += ["", *(f"- *{_named(names)}*: {told}" for told, names in notes.items())]
    made = sorted({(row["at"], row["machine"], row["quick"]) for row in rows})[-1]
    lines += ["", f"Measured {made[0]} on {made[1]}{', small sizes' if made[2] else ''}."]
    return "\n".join(lines)


def _named(names: list[str]) -> str:
    """Of one note."""
    return (
        names[0] if len(names) == 1 else f"{names[0]}* and *{names[1] if len(names) == 2 else f'{len(names) - 1} more'}"
    )


def _chart(work: str, rows: list[dict[str, Any]]) -> str:
    """An SVG of the ratios on a logarithmic axis, with their spread and goals; its path from the page."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": work, "font.size": 9, "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.38 * len(rows)))
    for place, row in enumerate(reversed(rows)):
        reached = row["reached"] is not False
        axes.barh(place, row["figure"], color="#2f6f9f" if reached else "#c58b2a", height=0.6)
        if row["spread"] is not None:
            axes.plot(row["spread"], [place, place], color="black", linewidth=1)
        if row["goal"] is not None:
            axes.plot([row["goal"]] * 2, [place - 0.4, place + 0.4], color="black", linestyle=":", linewidth=1.5)
        axes.annotate(f" {row['figure']:g} ×", (row["figure"], place), va="center")
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row["name"] for row in reversed(rows)])
    axes.set_xlabel("times as fast as the peer; dotted: goal; line: spread of rounds")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    CHARTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(CHARTS / f"{work}.svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return f"images/performance/{work}.svg"


if __name__ == "__main__":
    write()
