"""One release after the other at growing sizes: seconds and memory of each step, and how they grow with what exists.

The largest run writes about 50 GB for ten million vectors of 384 dimensions (lake and index); ``--quick`` stays at 50,000.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.measuring import FailedError, Side
from benchmarks.rows import Row
from benchmarks.works import Sizes
from benchmarks.works.cutover import rows as cutover_rows
from benchmarks.works.rebuild import LEAST, MOST_GB

MEMORY = {50_000: "1GB", 10_000_000: "6GB"}
_BYTES_A_VECTOR = 6_000
"""On disk, with room: lake, index and what a push has beside both."""
CONSTANT = {"promote, cut over", "roll back", "collect, dry run"}


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows of each step at the largest size, with the exponent of its growth."""
    counts = (2_000, 10_000, 50_000) if sizes.quick else (100_000, 1_000_000, 10_000_000)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if counts[-1] * _BYTES_A_VECTOR > free:
        raise FailedError(
            f"{counts[-1]:,} vectors need {counts[-1] * _BYTES_A_VECTOR / 1e9:.0f} GB of disk, {free / 1e9:.0f} are free"
        )
    runs: dict[int, Mapping[str, Any]] = {}
    for count in counts:
        memory = MEMORY.get(count, "4GB")
        arguments = ("--report", "--files", "--documents", str(count), "--memory", memory)
        run = Side("release", "benchmarks.release", arguments).run()
        runs[count] = run.counted["steps"]
        if count == counts[-1]:
            yield from cutover_rows("scale", count, run)
            yield Row(
                "scale", f"{count:,} vectors on disk, lake and index", round(run.counted["bytes"] / 1e9, 2), "GB", None
            )
            yield Row("scale", f"{count:,} vectors, files", run.counted["files"], "files", None)
    largest = runs[counts[-1]]
    written, copied = (
        largest[one]["bytes"] / largest[one]["seconds"] for one in ("import files", "copy of import files")
    )
    share = round(100 * written / copied, 1)
    label = f"{counts[-1]:,} × 384 from cached vectors to import files"
    yield Row("scale", f"{label}, rate of a plain copy", share, "%", LEAST)
    yield Row(
        "scale", f"{label}, most memory", round(largest["import files"]["peak_mb"] / 1024, 2), "GB", MOST_GB, "at most"
    )
    for step, last in largest.items():
        seconds = [max(1e-3, runs[count][step]["seconds"]) for count in counts]
        grows = float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])
        spread = f"{', '.join(f'{one:g} s' for one in seconds)} at {', '.join(f'{count:,}' for count in counts)}"
        yield Row(
            "scale", f"{step}, {counts[-1]:,} vectors", last["seconds"], "s", None,
            ours={"seconds": dict(zip(map(str, counts), seconds, strict=True)), "exponent": round(grows, 2)},
            why=f"{spread}: grows as n^{max(0.0, grows):.2f}",
        )  # fmt: skip
    most = max(runs[counts[-1]].items(), key=lambda one: one[1]["peak_mb"])
    yield Row(
        "scale",
        f"most memory of a step, {counts[-1]:,} vectors",
        round(most[1]["peak_mb"] / 1024, 2),
        "GB",
        None,
        why=most[0],
    )
