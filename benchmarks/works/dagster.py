"""The whole chain of 64 shards with nothing changed, in Dagster, against importing Dagster and an empty run."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Side, side_by_side
from benchmarks.rows import Row, rounded
from benchmarks.works import Sizes

MOST = 2.0


def measure(sizes: Sizes) -> Iterator[Row]:
    """One row."""
    shards = 8 if sizes.quick else 64
    with tempfile.TemporaryDirectory(prefix="chain-") as name:
        project, beside = Path(name) / "project", Path(name) / "empty"
        Side("make", "benchmarks.ours.chain", ("make", str(project), "--shards", str(shards))).run()
        beside.mkdir()
        Side("make", "benchmarks.ours.chain", ("empty", str(beside))).run()
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
        why="Dagster keeps an event for every asset and check, of which the chain has several times as many; its SQLite "
        "storage takes most of the difference.",
    )  # fmt: skip
