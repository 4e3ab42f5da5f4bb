"""``docs/performance.md`` from the results: a table for each work, and a chart of every ratio against its goal.

Run in the peers' environment, which has matplotlib: ``build/peers/bin/python -m benchmarks.page``.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "images" / "performance"
BEGIN, END = "<!-- rows:begin -->", "<!-- rows:end -->"
_MARK = {True: "reached", False: "**missed**", None: ""}


def write() -> None:
    """Put the rows between the page's markers, and draw their charts."""
    by_work: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]:
        by_work.setdefault(row["work"], []).append(row)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    sections = "\n\n".join(_section(work, rows) for work, rows in by_work.items())
    PAGE.write_text(f"{before}{BEGIN}\n{sections}\n{END}{after}", encoding="utf-8")


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
    notes = [f"- *{row['name']}*: {row['why']}" for row in rows if row["why"]]
    if notes:
        lines += ["", *notes]
    made = sorted({(row["at"], row["machine"], row["quick"]) for row in rows})[-1]
    lines += ["", f"Measured {made[0]} on {made[1]}{', small sizes' if made[2] else ''}."]
    return "\n".join(lines)


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
