"""Import files of every vector, from the lake's cached ones, against a plain copy of the same bytes. ``scale`` does ten million."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Side, side_by_side
from benchmarks.rows import Row, rounded
from benchmarks.works import Sizes

LEAST = 60.0
"""Percent of the copy's rate."""
MOST_GB = 4.0
WHY = (
    "Processor time, not the disk: DuckDB decodes the vectors from Parquet, joins them to their records, and Arrow encodes them"
    " again; lists have a level for each number. All processors are at work: with more of them the rate rises."
)


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rate and memory."""
    records = 20_000 if sizes.quick else 1_000_000
    with tempfile.TemporaryDirectory(prefix="rebuild-") as name:
        folder = Path(name)
        common = (str(folder), "--records", str(records), "--memory", "2GB")
        Side("fill", "benchmarks.ours.lake", ("fill", *common)).run()
        # Files are there for the copy only once they were written: ours comes first, and once more after it.
        Side("import files", "benchmarks.ours.lake", ("files", *common)).run()
        pair = side_by_side(
            Side("import files", "benchmarks.ours.lake", ("files", *common)),
            Side("copy", "benchmarks.ours.lake", ("copy", *common)),
            sizes.rounds,
        )
    shares = [
        100 * (mine.counted["bytes"] / mine.seconds) / (other.counted["bytes"] / other.seconds)
        for mine, other in zip(pair.ours.runs, pair.theirs.runs, strict=True)
    ]
    yield Row(
        "rebuild", f"{records:,} × 384 from cached vectors to import files, rate of a plain copy",
        round(statistics.median(shares), 1), "%", LEAST, spread=rounded(min(shares), max(shares)),
        ours={"seconds": pair.ours.seconds, **pair.ours.runs[-1].counted},
        theirs={"seconds": pair.theirs.seconds, **pair.theirs.runs[-1].counted},
        limit=WHY,
    )  # fmt: skip
    peak = round(pair.ours.peak_mb / 1024, 2)
    yield Row("rebuild", f"{records:,} × 384, our most memory", peak, "GB", MOST_GB, "at most")
