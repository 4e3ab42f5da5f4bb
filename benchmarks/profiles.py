"""Sampled profiles of the hot paths: who holds the processor while the clocks of ``python -m benchmarks`` run.

    python -m benchmarks.profiles [--quick] [PATH ...]

py-spy (of the peers' environment) looks at the process 200 times a second; only what is below the measured functions counts. A path
runs until there are 1,000 samples of it, at most 20 times. Kept in ``benchmarks/results/profiles.json``, shown in
``docs/performance.md``. Shares are of the processor's time in Python's threads: a thread that waits does not count, nor do DuckDB's
own threads beside the one that asked.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.measuring import PEERS, REPOSITORY, FailedError, Side, completed
from benchmarks.rows import put
from benchmarks.update_source import write_revision

KEPT = Path(__file__).parent / "results" / "profiles.json"
_RATE = 200
_ENOUGH = 1_000
"""Samples, after which a path is not run again."""
_MOST_RUNS = 20
_LEAST = 0.04
"""Share of a path from which on a function is shown."""
_MOST_SHOWN = 9
_PASSED_ON = 0.9
"""A function that hands so much of its share to one other of ours is only on the way."""
_UPDATE = ("Building.sync", "Building.chunk", "Building.embed", "Building.snapshot")
_FRAME = re.compile(r"^(?P<name>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")
_OWNERS = {
    "DuckDB and DuckLake": ("vector_pipeline/lake/connection.py", "duckdb/"),
    "SQLAlchemy and SQLite": ("sqlalchemy/", "sqlite3", "alembic/"),
    "Arrow": ("pyarrow/", "vector_pipeline/arrow.py"),
    "Dagster": ("dagster/", "dagster_shared/"),
    "HTTP": ("httpx/", "urllib3/", "pinecone/", "http/client", "orjson"),
    "NumPy and simsimd": ("numpy/", "simsimd"),
    "imports": ("importlib",),
}
"""Whose work a sample is: the deepest frame that one of these owns; else Python of ours."""


@dataclass(frozen=True, slots=True)
class HotPath:
    """What is profiled: a side, what must be there before it, and the functions below which samples count."""

    side: Side
    """Run as often as it takes, with ``--round`` 0, 1, …"""
    below: Sequence[str]
    before: Sequence[Callable[[], object]] = ()
    before_each: Callable[[int], object] | None = None
    """Given the round."""


def paths(folder: Path, *, quick: bool) -> dict[str, HotPath]:
    """Every hot path, by the name of its work."""
    many = 20_000 if quick else 1_000_000
    lake, searched, chain, source = (str(folder / name) for name in ("lake", "searched", "chain", "update"))
    updating = ("--folder", source, "--sources", str(folder))
    shape = ("--records", str(many))
    vectors = str(folder / "vectors")
    data = ("--data", vectors)
    committing = Side("commit", "benchmarks.ours.lake", ("commit", lake, *shape))
    # What several paths need is made once, whichever of them comes first.
    filled = cache(Side("fill", "benchmarks.ours.lake", ("fill", lake, *shape)).run)
    loaded = cache(Side("load", "benchmarks.ours.local", ("load", lake, *shape)).run)

    def revise(turn: int) -> None:
        write_revision(folder / f"{turn + 1}.jsonl", many, [100] * (turn + 1))

    return {
        "update": HotPath(
            Side("update", "benchmarks.ours.update", (*updating, "--revision", "1")), _UPDATE,
            (
                partial(write_revision, folder / "0.jsonl", many, []),
                Side("load", "benchmarks.ours.update", (*updating, "--revision", "0")).run,
            ),
            revise,
        ),
        "commit": HotPath(committing, ("write_rows", "Building.snapshot"), (filled,)),
        "diff": HotPath(
            Side("diff", "benchmarks.ours.lake", ("diff", lake, *shape)), ("diff_versions",), (filled, committing.run)
        ),
        "plan": HotPath(
            Side("plan", "benchmarks.ours.local", ("plan", lake, *shape)), ("Planning.plan",), (filled, loaded, committing.run)
        ),
        "push": HotPath(
            Side("push", "benchmarks.ours.local", ("push", lake, *shape)), ("Releasing.push",), (filled, loaded)
        ),
        "rebuild": HotPath(Side("files", "benchmarks.ours.lake", ("files", lake, *shape)), ("write_files",), (filled,)),
        "search": HotPath(
            Side("exact", "benchmarks.ours.search", ("exact", searched, *data)), ("search.<locals>.ask",),
            (
                Side("vectors", "benchmarks.vectors", (vectors, *shape)).run,
                Side("fill", "benchmarks.ours.search", ("fill", searched, *data)).run,
            ),
        ),
        "dagster": HotPath(
            Side("chain", "benchmarks.ours.chain", ("chain", chain)), ("chain",),
            (Side("make", "benchmarks.ours.chain", ("make", chain, "--shards", "8" if quick else "64")).run,),
        ),
    }  # fmt: skip


def main(
    chosen: Annotated[list[str] | None, typer.Argument(metavar="PATH", help="some of the paths (all)")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="small sizes, and nothing is kept")] = False,
) -> None:
    """Profile, print, keep."""
    console, kept = Console(), json.loads(KEPT.read_text()) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory(prefix="profiles-") as name:
        folder = Path(name)
        for work, path in paths(folder, quick=quick).items():
            if chosen and work not in chosen:
                continue
            found = profiled(path, partial(sampled, path.side, folder / f"{work}.raw"))
            kept[work] = found | {"at": time.strftime("%Y-%m-%d")}
            console.print(f"[bold]{work}[/bold]: {found['samples']:,} samples of {found['runs']} runs")
            for line in lines(found):
                console.print(f"  {line}", highlight=False)
    if not quick:
        put(KEPT, json.dumps(kept, indent=1) + "\n")
        subprocess.run([PEERS / "bin" / "python", "-m", "benchmarks.page"], cwd=REPOSITORY, check=True)


def profiled(path: HotPath, sample: Callable[[int], Iterable[tuple[list[str], int]]]) -> dict[str, Any]:
    """``shares`` of enough runs, and how many those were. ``sample``: stacks of one run. Raises ``FailedError``."""
    for one in path.before:
        one()
    stacks: list[tuple[list[str], int]] = []
    for turn in range(_MOST_RUNS):
        if path.before_each:
            path.before_each(turn)
        stacks += sample(turn)
        if sum(count for stack, count in stacks if _inner(stack, path.below)) >= _ENOUGH:
            break
    return shares(stacks, path.below) | {"runs": turn + 1}


def sampled(side: Side, file: Path, turn: int) -> Iterator[tuple[list[str], int]]:
    """Stacks (outermost first, ``name (file)``) of one run of a side, each with its samples."""
    spy = [str(PEERS / "bin" / "py-spy"), "record", "--rate", str(_RATE), "--format", "raw", "--function"]
    command = [*spy, "--output", str(file), "--", sys.executable, "-m", side.module, *side.arguments]
    command += ["--round", str(turn)]
    done = completed(side.name, command, side.limit_s, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode or not file.exists():
        raise FailedError(f"{side.name}: exit {done.returncode}: {done.stderr[-2_000:]}")
    for line in file.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        yield stack.split(";"), int(count)


def shares(stacks: Iterable[tuple[list[str], int]], below: Sequence[str]) -> dict[str, Any]:
    """What functions of ours hold, with what they call, and whose work the samples are: shares of those below ``below``."""
    total, owners = 0, Counter[str]()
    held, passed = Counter[str](), Counter[tuple[str, str]]()
    for stack, count in stacks:
        inner = _inner(stack, below)
        if not inner:
            continue
        total += count
        owners[_owner(inner)] += count
        ours = list(dict.fromkeys(_label(frame) for frame in inner if "vector_pipeline/" in frame))
        held.update(dict.fromkeys(ours, count))
        passed.update(dict.fromkeys(pairwise(ours), count))
    if not total:
        raise FailedError(f"no sample is below {', '.join(below)}")
    through = {caller for (caller, _), count in passed.items() if count >= _PASSED_ON * held[caller]}
    shown = [(name, count / total) for name, count in held.most_common() if name not in through]
    return {
        "samples": total,
        "owners": {name: round(count / total, 3) for name, count in owners.most_common()},
        "functions": {name: round(share, 3) for name, share in shown[:_MOST_SHOWN] if share >= _LEAST},
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """For people: whose work, then which functions."""
    owners = ", ".join(f"{name} {share:.0%}" for name, share in found["owners"].items() if share >= 0.01)
    return [owners, *(f"{share:>4.0%}  {name}" for name, share in found["functions"].items())]


def _inner(stack: Sequence[str], below: Sequence[str]) -> Sequence[str]:
    """From the first of these functions on; empty where none is in the stack."""
    return stack[next((place for place, frame in enumerate(stack) if _name(frame) in below), len(stack)) :]


def _owner(stack: Sequence[str]) -> str:
    for frame in reversed(stack):
        for owner, places in _OWNERS.items():
            if any(place in frame for place in places):
                return owner
        if "vector_pipeline/" in frame:
            break
    return "Python"


def _name(frame: str) -> str:
    match = _FRAME.match(frame)
    return match["name"] if match else frame


def _label(frame: str) -> str:
    """``lake/since.py: pending``."""
    match = _FRAME.match(frame)
    return f"{match['file'].rpartition('vector_pipeline/')[2]}: {match['name']}" if match else frame


if __name__ == "__main__":
    typer.run(main)
