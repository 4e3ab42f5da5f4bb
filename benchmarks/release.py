"""A release of a large index: first load, 1% changed, cut over, roll back, drift, collect; what each costs and writes.

    python benchmarks/release.py [--documents 1000000] [--dimension 384] [--keep FOLDER]

Real lake, real registry, real DuckDB target; random vectors, because nothing here depends on what they mean. One JSON line a
step, and a last one with the goals. Seconds are of this machine; shares and counts are not.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.measuring import peak_mb, said
from benchmarks.ours.lake import copy_files, write_files
from benchmarks.synthetic import DATASET, fill, open_synthetic
from vector_pipeline.project import Project

SHARE = 0.01
PARTS = {"lake": ".vector_pipeline/lake", "index": ".vector_pipeline/index", "import files": "import"}
"""Folders of a project, by what they hold."""
T = TypeVar("T")


def main() -> int:
    os.environ["VECTOR_PIPELINE_ALLOW_DETERMINISTIC"] = "1"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--memory", default="4GB", help="of the lake and of the target, each")
    parser.add_argument("--keep", type=Path, default=None, help="work in this folder and leave it there")
    parser.add_argument("--files", action="store_true", help="write files for an import, too, and copy them")
    parser.add_argument("--report", action="store_true", help="exit 0 whether the goals are reached or not")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with (
        _folder(arguments.keep) as folder,
        open_synthetic(folder, arguments.dimension, memory=arguments.memory) as project,
    ):
        steps = Steps()
        goals = measure(project, arguments.documents, steps)
        if arguments.files:
            steps("import files", lambda: write_files(project, folder), lambda written: {"bytes": written})
            steps("copy of import files", lambda: copy_files(folder), lambda copied: {"bytes": copied})
        kept = {part: Kept.below(folder / place) for part, place in PARTS.items()}
    said(
        seconds=time.perf_counter() - started, documents=arguments.documents, dimension=arguments.dimension, goals=goals,
        kept={part: asdict(one) for part, one in kept.items()}, steps=steps.found,
    )  # fmt: skip
    return 0 if arguments.report or all(goal["reached"] for goal in goals) else 1


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        yield Path(name)


@dataclass(frozen=True, slots=True)
class Kept:
    """What lies in a folder."""

    files: int
    bytes: int

    @classmethod
    def below(cls, folder: Path) -> "Kept":
        sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
        return cls(len(sizes), sum(sizes))


class Steps:
    """What each step took: seconds, and the most memory that the process held in it."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    def __call__(self, name: str, work: Callable[[], T], say: Callable[[T], dict[str, Any]]) -> tuple[T, float]:
        """Run a step and print its line; returns its result and seconds."""
        _forget_peak()
        started = time.perf_counter()
        result = work()
        took = time.perf_counter() - started
        self.found[name] = {"seconds": round(took, 3), "peak_mb": peak_mb()}
        told = say(result)
        if "bytes" in told:
            self.found[name]["bytes"] = told["bytes"]
        print(json.dumps({"step": name, **self.found[name], **told}), flush=True)
        return result, took


def _forget_peak() -> None:
    """The kernel counts the most memory anew. Elsewhere than on Linux the most is the process's."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(project: Project, documents: int, step: Steps) -> list[dict[str, Any]]:
    """Every step; returns the goals with their figures."""
    step("build, first", lambda: fill(project, documents, revision=1), lambda made: {"records": made.version.records})
    first, _ = step("push, first load", lambda: project.push(DATASET), _pushed)
    verify(project, step, "verify, first load")
    step("promote, first", lambda: project.promote(DATASET, by="bench"), lambda _: {})
    step(
        "build, 1% changed",
        lambda: fill(project, documents, revision=2, share=SHARE),
        lambda made: {"changed": made.diff.records_added if made.diff else 0},
    )
    step("diff", lambda: project.diff(DATASET, 1, 2), lambda diff: {"changed": diff.records_added})
    step("plan, 1% changed", lambda: project.plan(DATASET), lambda plan: {"writes": plan.writes, "why": plan.why})
    pushed, _ = step("push, 1% changed", lambda: project.push(DATASET), _pushed)
    verify(project, step, "verify, 1% changed")
    _, cutover, cut_writes = untouched(project, step, "promote, cut over", lambda: project.promote(DATASET, by="bench"))
    _, back, back_writes = untouched(project, step, "roll back", lambda: project.rollback(DATASET, by="bench"))
    _, drift = step("drift, ids", lambda: project.drift(DATASET, "production", level="ids"), _drift)
    step("push, nothing changed", lambda: project.push(DATASET), _pushed)
    step("collect, dry run", lambda: project.collect(DATASET, dry_run=True), lambda _: {})
    share = pushed.plan.vectors / max(1, first.plan.vectors)
    return [
        goal("cut over, seconds", cutover, 1.0),
        goal("cut over, writes to the target", cut_writes, 0),
        goal("roll back, seconds", back, 1.0),
        goal("roll back, writes to the target", back_writes, 0),
        goal("push of 1%, share of vectors written", round(share, 4), SHARE * 1.01),
        goal("drift by ids, seconds", drift, 30.0),
    ]


def goal(name: str, figure: float, most: float) -> dict[str, Any]:
    return {"name": name, "figure": round(figure, 4), "goal": f"<= {most:g}", "reached": figure <= most}


def verify(project: Project, step: Steps, name: str) -> None:
    """The gates, on record: promotion refuses without them."""
    step(name, lambda: project.verify(DATASET)[1], lambda found: {one.name: one.status.value for one in found})


def untouched(project: Project, step: Steps, name: str, work: Callable[[], T]) -> tuple[T, float, int]:
    """A step, its seconds, and how many namespaces of the target it wrote to."""
    before = marks(project)
    result, took = step(name, work, lambda _: {})
    after = marks(project)
    return result, took, sum(before.get(key) != after.get(key) for key in {*before, *after})


def marks(project: Project) -> dict[str, str]:
    """Mark of every namespace: it changes with every write."""
    target = project.target(DATASET, read_only=True)
    states = {name: target.describe(name) for name in target.namespaces()}
    return {name: state.mark for name, state in states.items() if state is not None}


def _pushed(pushed: Any) -> dict[str, Any]:
    plan = pushed.plan
    return {
        "strategy": str(plan.strategy),
        "vectors": plan.vectors,
        "writes": plan.writes,
        "stages": {str(one.kind): one.records for one in plan.stages},
    }


def _drift(reports: Any) -> dict[str, Any]:
    return {"reports": [report.summary for report in reports]}


if __name__ == "__main__":
    sys.exit(main())
