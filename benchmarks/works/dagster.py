"""The whole chain of 64 shards with nothing changed, in Dagster, against importing Dagster and an empty run.

The other side imports Dagster and nothing of ours. Both have their bytecode, as what pip installs has.
"""

import compileall
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import REPOSITORY, Pair, Side, middle, side_by_side
from benchmarks.ours.chain import OFF
from benchmarks.rows import Row, rounded
from benchmarks.works import Sizes

MOST = 2.0


def measure(sizes: Sizes) -> Iterator[Row]:
    """One row."""
    shards = 8 if sizes.quick else 64
    for package in ("vector_pipeline", "benchmarks"):
        compileall.compile_dir(REPOSITORY / package, quiet=2)
    with tempfile.TemporaryDirectory(prefix="chain-") as name:
        project, beside = Path(name) / "project", Path(name) / "empty"
        Side("make", "benchmarks.ours.chain", ("make", str(project), "--shards", str(shards))).run()
        for step in ("home", "empty"):
            Side("make", "benchmarks.ours.chain", (step, str(beside))).run()
        pair = side_by_side(
            Side("the whole chain", "benchmarks.ours.chain", ("chain", str(project))),
            Side("an empty run", "benchmarks.ours.chain", ("empty", str(beside))),
            sizes.rounds,
        )
    least, most = pair.spread
    ours, theirs = middle(pair.ours.runs), middle(pair.theirs.runs)
    yield Row(
        "dagster", f"release of {shards} shards with nothing changed, against an empty run",
        round(pair.ours.seconds / pair.theirs.seconds, 2), "×", MOST, "at most", spread=rounded(1 / most, 1 / least),
        ours={"seconds": pair.ours.seconds, "counted": dict(ours.counted)},
        theirs={"seconds": pair.theirs.seconds, "counted": dict(theirs.counted)},
        note=f"Both clocks begin before the first import. {ours.counted['checks']} checks are judged, whatever changed; the gates "
        f"{' and '.join(OFF)} are off, which replay questions and compare vectors with production's.",
        limit=_limit(pair),
    )  # fmt: skip


def _limit(pair: Pair) -> str:
    """The parts of our median run, which sum to it, and what remains of them without any work in the steps."""
    ours, theirs = middle(pair.ours.runs), middle(pair.theirs.runs)
    imports, run, judging, others = (
        float(ours.counted[key]) for key in ("imports_s", "run_s", "judging_s", "others_s")
    )
    return (
        f"The goal would be {MOST * theirs.seconds:.2f} s. Of our {ours.seconds:.2f} s: imports before all {imports:.2f} s "
        f"({float(theirs.counted['imports_s']):.2f} s there); opening the project, asking which shards have work and making the "
        f"job {ours.seconds - imports - run:.2f} s; steps that judge and report {judging:.2f} s; other steps {others:.2f} s; "
        f"between steps, with {ours.counted['events']} events in the run ({theirs.counted['events']} there), "
        f"{run - judging - others:.2f} s. Without the steps it would be {(ours.seconds - judging - others) / theirs.seconds:.2f} ×."
    )
