"""One release after the other at growing sizes: seconds and memory of each step, and how they grow with what exists.

The largest run writes about 50 GB for ten million vectors of 384 dimensions (lake and index); ``--quick`` stays at 50,000.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.measuring import FailedError, Measured, Side
from benchmarks.rows import Row
from benchmarks.works import Sizes
from benchmarks.works.cutover import rows as cutover_rows
from benchmarks.works.rebuild import LEAST, MOST_GB, WHY

MEMORY = {50_000: "1GB", 10_000_000: "6GB"}
_BYTES_A_VECTOR = 6_000
"""On disk, with room: lake, index and what a push has beside both."""


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows of each step at the largest size, with the exponent of its growth."""
    counts = (2_000, 10_000, 50_000) if sizes.quick else (100_000, 1_000_000, 10_000_000)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if counts[-1] * _BYTES_A_VECTOR > free:
        raise FailedError(
            f"{counts[-1]:,} vectors need {counts[-1] * _BYTES_A_VECTOR / 1e9:.0f} GB of disk, {free / 1e9:.0f} are free"
        )
    runs: dict[int, Measured] = {}
    for count in counts:
        arguments = ("--report", "--files", "--documents", str(count), "--memory", MEMORY.get(count, "4GB"))
        runs[count] = Side("release", "benchmarks.release", arguments).run()
    last = runs[counts[-1]]
    yield from cutover_rows("scale", counts[-1], last)
    for part, kept in last.counted["kept"].items():
        yield Row(
            "scale", f"{counts[-1]:,} vectors, {part}", round(kept["bytes"] / 1e9, 2), "GB", None, ours=kept,
            note=f"{kept['files']:,} files",
        )  # fmt: skip
    yield from _import_files(counts[-1], last.counted["steps"])
    for step in last.counted["steps"]:
        yield _step(step, {count: run.counted["steps"][step] for count, run in runs.items()})


def _import_files(count: int, steps: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    """As ``rebuild`` does at a smaller size."""
    written, copied = (steps[one]["bytes"] / steps[one]["seconds"] for one in ("import files", "copy of import files"))
    label = f"{count:,} × 384 from cached vectors to import files"
    yield Row("scale", f"{label}, rate of a plain copy", round(100 * written / copied, 1), "%", LEAST, limit=WHY)
    peak = round(steps["import files"]["peak_mb"] / 1024, 2)
    yield Row("scale", f"{label}, most memory", peak, "GB", MOST_GB, "at most")


def _step(step: str, found: Mapping[int, Mapping[str, float]]) -> Row:
    """Seconds at the largest size; seconds, memory and growth at all of them."""
    seconds = {count: max(1e-3, one["seconds"]) for count, one in found.items()}
    grows = float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])
    told = ", ".join(f"{one:g} s at {count:,}" for count, one in seconds.items())
    most = found[max(found)]["peak_mb"] / 1024
    return Row(
        "scale", f"{step}, {max(found):,} vectors", seconds[max(found)], "s", None,
        ours={
            "step": step, "seconds": {str(count): one for count, one in seconds.items()},
            "peak_mb": {str(count): one["peak_mb"] for count, one in found.items()}, "exponent": round(grows, 2),
        },
        note=f"{told}: grows as n^{max(0.0, grows):.2f}; {most:.2f} GB at most",
    )  # fmt: skip
