"""Releases of a large index: a first load, then 1% changed twice; each built, planned, pushed, verified, cut over to, rolled back.
After those, a thousand records changed, however many there are: what a release costs where only what exists grows.

    python -m benchmarks.release [--documents 1000000] [--dimension 384] [--keep FOLDER]

Real lake, real registry, real DuckDB target; random vectors, because nothing here depends on what they mean. One JSON line a
step, and a last one with the goals. Seconds are of this machine; shares and counts are not. Each step is a process of its own, as a
command is: its memory is its own, and its seconds hold what it opens: lake, registry, target. What this module loads is there
before. Cut over and roll back take turns in one process, which has all open; those called *again* are alone in theirs. A folder
that is kept has its figures beside it; run there again, one more release is measured.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.measuring import peak_mb, said
from benchmarks.ours.lake import copy_files, write_files
from benchmarks.synthetic import DATASET, fill, open_synthetic
from vector_pipeline.project import Project
from vector_pipeline.release.promote import PRODUCTION

SHARE = 0.01
RELEASES = 2
"""With 1% changed: what only the first load has is collected after two."""
TURNS = 3
"""How often each is cut over to and back; and how often ``CHANGED`` records change."""
CHANGED = 1_000
"""Records that change at every size: only what exists grows. All of them, where there are fewer."""
FILES_MEMORY = "2GB"
"""Of the lake while files are written: what a configuration that says nothing gives."""
FOUND = "steps.json"
"""In the folder: the figures so far."""
PARTS = {"lake": ".vector_pipeline/lake", "index": ".vector_pipeline/index", "import files": "import"}
"""Folders of a project, by what they hold."""
Work = Callable[[Project], dict[str, Any]]
"""Something to do; it returns what it has to say."""


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
    with _folder(arguments.keep) as folder:
        steps = Steps(partial(open_synthetic, folder, arguments.dimension, memory=arguments.memory), folder / FOUND)
        goals = measure(arguments.documents, steps)
        if arguments.files:
            steps("import files", lambda project: {"bytes": write_files(project, folder)}, memory=FILES_MEMORY)
            steps("copy of import files", lambda _: {"bytes": copy_files(folder)})
        kept = {part: asdict(Kept.below(folder / place)) for part, place in PARTS.items()}
    said(
        seconds=time.perf_counter() - started, documents=arguments.documents, dimension=arguments.dimension, goals=goals,
        kept=kept, steps=steps.found,
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
    """What each step took: seconds, and the most memory that its process held.

    A step that runs again has the median of its seconds, the most of its memory, and what it said last.
    """

    def __init__(self, opened: Callable[..., Project], place: Path) -> None:
        self._opened, self._place = opened, place
        self.found: dict[str, dict[str, Any]] = json.loads(place.read_text()) if place.exists() else {}

    def __call__(self, name: str, work: Work, *, memory: str | None = None) -> None:
        """Run a step and print its line. ``work`` returns what it has to say. ``memory``: other than the run's."""
        self.several([(name, work)], memory=memory)

    def several(self, works: Sequence[tuple[str, Work]], *, watched: bool = False, memory: str | None = None) -> None:
        """Several steps, one after the other in one process. ``watched``: each says how many namespaces it wrote to."""
        ours, theirs = _FORK.Pipe(duplex=False)
        opened = self._opened if memory is None else partial(self._opened, memory=memory)
        child = _FORK.Process(target=_run, args=(opened, works, theirs, watched))
        child.start()
        theirs.close()
        with suppress(EOFError):
            while True:
                name, took, said = ours.recv()
                before = self.found.get(name, {"every": [], "peak_mb": 0})
                every = [*before["every"], round(took, 4)]
                said["peak_mb"] = max(before["peak_mb"], said["peak_mb"])
                self.found[name] = {"seconds": round(statistics.median(every), 4), "every": every, **said}
                self._place.write_text(json.dumps(self.found, indent=1), encoding="utf-8")
                print(json.dumps({"step": name, **self.found[name]}), flush=True)
        child.join()
        if child.exitcode:
            raise SystemExit(f"{' and '.join(sorted({name for name, _ in works}))}: exit {child.exitcode}")


def _run(opened: Callable[[], Project], works: Sequence[tuple[str, Work]], pipe: Connection, watched: bool) -> None:
    """In the child: every step, and what it took, into the pipe."""
    with opened() as project:
        for name, work in works:
            before = _marks(project) if watched else {}
            started = time.perf_counter()
            said = work(project)
            took = time.perf_counter() - started
            after = _marks(project) if watched else {}
            if watched:
                said["written"] = sum(before.get(key) != after.get(key) for key in {*before, *after})
            pipe.send((name, took, said | {"peak_mb": peak_mb()}))


_FORK = multiprocessing.get_context("fork")


def measure(documents: int, step: Steps) -> list[dict[str, Any]]:
    """Every step; returns the goals with their figures."""
    if "promote, first" not in step.found:
        step("build, first", lambda project: {"records": fill(project, documents, revision=1).version.records})
        step("push, first load", _push)
        step("verify, first load", _verify)
        step("promote, first", _promote)
    for _ in range(max(1, RELEASES - len(step.found.get("build, 1% changed", {}).get("every", [])))):
        step("build, 1% changed", partial(_changed, documents=documents))
        step("diff", _diff)
        step("plan, 1% changed", _plan)
        step("push, 1% changed", _push)
        step("verify, 1% changed", _verify)
        step.several([("promote, cut over", _promote), ("roll back", _roll_back)] * TURNS, watched=True)
        step("drift, ids", _drift)
        step("push, nothing changed", _push)
        step("promote, again", _promote)
        step("roll back, again", _roll_back)
        step("promote, again", _promote)
    for _ in range(TURNS):
        step(f"build, {CHANGED:,} changed", partial(_changed, documents=documents, share=min(1.0, CHANGED / documents)))
        step(f"plan, {CHANGED:,} changed", _plan)
        step(f"push, {CHANGED:,} changed", _push)
    step("collect, dry run", partial(_collect, dry_run=True))
    step("collect", partial(_collect, dry_run=False))
    return _goals(step.found)


def _goals(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    cutover, back = found["promote, cut over"], found["roll back"]
    share = found["push, 1% changed"]["vectors"] / max(1, found["push, first load"]["vectors"])
    return [
        goal("cut over, seconds", cutover["seconds"], 1.0),
        goal("cut over, writes to the target", cutover["written"], 0),
        goal("roll back, seconds", back["seconds"], 1.0),
        goal("roll back, writes to the target", back["written"], 0),
        goal("push of 1%, share of vectors written", round(share, 4), SHARE * 1.01),
        goal("drift by ids, seconds", found["drift, ids"]["seconds"], 30.0),
    ]


def goal(name: str, figure: float, most: float) -> dict[str, Any]:
    return {"name": name, "figure": round(figure, 4), "goal": f"<= {most:g}", "reached": figure <= most}


def _changed(project: Project, *, documents: int, share: float = SHARE) -> dict[str, Any]:
    """A version with a share of its records changed."""
    made = fill(project, documents, revision=len(project.versions(DATASET)) + 1, share=share)
    return {"changed": made.diff.records_added if made.diff else 0}


def _diff(project: Project) -> dict[str, Any]:
    newest = project.version(DATASET).number
    return {"changed": project.diff(DATASET, newest - 1, newest).records_added}


def _plan(project: Project) -> dict[str, Any]:
    plan = project.plan(DATASET)
    return {"writes": plan.writes, "why": plan.why}


def _push(project: Project) -> dict[str, Any]:
    plan = project.push(DATASET).plan
    stages = {str(one.kind): one.records for one in plan.stages}
    return {"strategy": str(plan.strategy), "vectors": plan.vectors, "writes": plan.writes, "stages": stages}


def _verify(project: Project) -> dict[str, Any]:
    """The gates, on record: promotion refuses without them."""
    return {"gates": {one.name: one.status.value for one in project.verify(DATASET)[1]}}


def _promote(project: Project) -> dict[str, Any]:
    return {"version": project.promote(DATASET, by="bench")[0].deployment.version}


def _roll_back(project: Project) -> dict[str, Any]:
    return {"version": project.rollback(DATASET, by="bench")[0].deployment.version}


def _marks(project: Project) -> dict[str, str]:
    """Mark of every namespace: it changes with every write."""
    target = project.target(DATASET, read_only=True)
    states = {name: target.describe(name) for name in target.namespaces()}
    return {name: state.mark for name, state in states.items() if state is not None}


def _drift(project: Project) -> dict[str, Any]:
    return {"reports": [report.summary for report in project.drift(DATASET, PRODUCTION, level="ids")]}


def _collect(project: Project, *, dry_run: bool) -> dict[str, Any]:
    found = project.collect(DATASET, dry_run=dry_run, grace_s=0)
    return {"records": sum(one.records for one in found.collections), "files": len(found.files)}


if __name__ == "__main__":
    sys.exit(main())
