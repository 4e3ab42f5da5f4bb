"""The whole chain of 64 shards with nothing changed, in Dagster, against importing Dagster and an empty run.

The other side imports Dagster and nothing of ours. Both have their bytecode, as what pip installs has.
"""

import compileall
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import REPOSITORY, Side, side_by_side
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
    yield Row(
        "dagster", f"release of {shards} shards with nothing changed, against an empty run",
        round(pair.ours.seconds / pair.theirs.seconds, 2), "×", MOST, "at most", spread=rounded(1 / most, 1 / least),
        ours={"seconds": pair.ours.seconds}, theirs={"seconds": pair.theirs.seconds},
        limit="The gates always run, on what the target holds (answers and embedding_shift are off here), and a report is written. "
        "The rest is importing what they need beside Dagster, and several times as many events.",
    )  # fmt: skip
