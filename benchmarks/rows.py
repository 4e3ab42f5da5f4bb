"""Rows of the table of results: a figure, what it should reach, and whether it does. Kept as JSON, so that two runs compare.

A file of results has ``rows``, and ``works``: for each work where its rows come from (``provenance``).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.measuring import Pair
from benchmarks.provenance import Provenance, provenance

RESULTS = Path(__file__).parent / "results" / "latest.json"
"""What the page shows."""
QUICK = RESULTS.with_name("quick.json")
"""Of small sizes: for whoever works on the code, on no page and in no commit."""
Kind = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    work: str
    """Key of the work that made it: ``update``, ``commit``, …"""
    name: str
    """What was measured, against what, how large."""
    figure: float
    unit: str
    """``×`` (times as fast, or times as long where the goal is a most), ``%``, ``s``, ``GB``, ``writes``."""
    goal: float | None
    """None: measured for the reader, nothing was promised."""
    kind: Kind = "at least"
    spread: tuple[float, float] | None = None
    """Least and greatest figure of one round."""
    ours: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    """What a reader must know of the comparison."""
    limit: str = ""
    """What stands in the way where the goal is missed, as a profile shows it. Not shown where it is reached."""

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.figure >= self.goal if self.kind == "at least" else self.figure <= self.goal


def faster(work: str, name: str, pair: Pair, goal: float | None, note: str = "", limit: str = "") -> Row:
    """A row of a pair: how many times as fast ours is."""
    return Row(
        work, name, round(pair.times_faster, 2), "×", goal, spread=rounded(*pair.spread), note=note, limit=limit,
        ours=_sample(pair.ours), theirs=_sample(pair.theirs),
    )  # fmt: skip


def slower(work: str, name: str, pair: Pair, goal: float | None, note: str = "", limit: str = "") -> Row:
    """A row of a pair: how many times their seconds ours takes, at most."""
    least, most = pair.spread
    return Row(
        work, name, round(1 / pair.times_faster, 2), "×", goal, "at most", rounded(1 / most, 1 / least), note=note, limit=limit,
        ours=_sample(pair.ours), theirs=_sample(pair.theirs),
    )  # fmt: skip


def rounded(*figures: float) -> tuple[float, float]:
    least, most = figures
    return round(least, 3), round(most, 3)


def _sample(samples: Any) -> dict[str, Any]:
    return {
        "name": samples.name,
        "seconds": [round(run.seconds, 4) for run in samples.runs],
        "peak_mb": round(samples.peak_mb),
        "counted": dict(samples.runs[-1].counted),
    }


def keep(rows: Iterable[Row], *, quick: bool, made: Provenance | None = None, path: Path | None = None) -> None:
    """Put the rows of whole works into the results, instead of those of the same works; those of other works stay.

    ``made``: None is here and now. ``path``: None is ``QUICK`` or ``RESULTS``.
    """
    rows, made, path = list(rows), made or provenance(), path or (QUICK if quick else RESULTS)
    found = load(path)
    works = {row.work for row in rows}
    kept = [row for row in found.get("rows", []) if row["work"] not in works]
    new = [asdict(row) | {"reached": row.reached, "quick": quick} for row in rows]
    results = {"rows": kept + new, "works": found.get("works", {}) | dict.fromkeys(sorted(works), asdict(made))}
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def put(path: Path, text: str) -> None:
    """Write a file beside it, then in its place: where the disk is full, what was there stays."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def load(path: Path = RESULTS) -> dict[str, Any]:
    """``rows`` and ``works``; empty where nothing is kept. What was kept long ago has no ``works``."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
