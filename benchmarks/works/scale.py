"""Releases at growing sizes: seconds and memory of each step, each a process of its own, and how they grow with what exists.

The largest run writes about 60 GB for ten million vectors of 384 dimensions (lake, index and import files); ``--quick`` stays at
50,000. What a process may take is the same at all sizes: memory compares.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.billion import LIMIT_GB, Step
from benchmarks.measuring import FailedError
from benchmarks.rows import Row
from benchmarks.works import Sizes
from benchmarks.works.cutover import WITHOUT, Steps, constant, released
from benchmarks.works.cutover import rows as cutover_rows
from benchmarks.works.rebuild import LEAST, MOST_GB, WHY

MEMORY = f"{LIMIT_GB}GB"
"""Of the lake, and of the target."""
COPY = "copy of import files"
"""Of some of them: seconds say nothing without the bytes, so it is told as a rate alone."""
_BYTES_A_VECTOR = 6_000
"""On disk, with room: lake, index, import files, a copy of some of those."""


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows of each step at the largest size, with the exponent of its growth."""
    counts = (2_000, 10_000, 50_000) if sizes.quick else (100_000, 1_000_000, 10_000_000)
    memory = "1GB" if sizes.quick else MEMORY
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if counts[-1] * _BYTES_A_VECTOR > free:
        raise FailedError(
            f"{counts[-1]:,} vectors need {counts[-1] * _BYTES_A_VECTOR / 1e9:.0f} GB of disk, {free / 1e9:.0f} are free"
        )
    runs: dict[int, Mapping[str, Any]] = {}
    for count in counts:
        runs[count] = released(count, "--files", "--memory", memory)
    yield from rows(runs, free)


def rows(runs: Mapping[int, Mapping[str, Any]], free: int) -> Iterator[Row]:
    """Of what ``benchmarks.release`` said at each size. ``free``: bytes of the disk before."""
    yield Row("scale", "disk that was free", round(free / 1e9, 1), "GB", None, ours={"free_bytes": free})
    last, steps = max(runs), {count: run["steps"] for count, run in runs.items()}
    yield from cutover_rows("scale", last, steps[last])
    yield from constant("scale", steps)
    for part, kept in runs[last]["kept"].items():
        yield Row(
            "scale", f"{last:,} vectors, {part}", round(kept["bytes"] / 1e9, 2), "GB", None, ours=kept,
            note=f"{kept['files']:,} files",
        )  # fmt: skip
    yield from _import_files(last, steps[last])
    for name in steps[last]:
        if name != COPY:
            yield _step(name, steps)


def _import_files(count: int, steps: Steps) -> Iterator[Row]:
    """As ``rebuild`` does at a smaller size."""
    written, copied = (steps[one]["bytes"] / steps[one]["seconds"] for one in ("import files", COPY))
    label = f"{count:,} × 384 from cached vectors to import files"
    yield Row("scale", f"{label}, rate of a plain copy", round(100 * written / copied, 1), "%", LEAST, limit=WHY)
    peak = round(steps["import files"]["peak_mb"] / 1024, 2)
    yield Row("scale", f"{label}, most memory", peak, "GB", MOST_GB, "at most")


def _step(name: str, runs: Mapping[int, Steps]) -> Row:
    """Seconds at the largest size; seconds, memory and growth at all of them."""
    steps = {count: run[name] for count, run in runs.items()}
    every = steps[max(steps)]["every"]
    found = Step(
        name, {count: max(1e-3, one["seconds"]) for count, one in steps.items()},
        {count: one["peak_mb"] for count, one in steps.items()},
    )  # fmt: skip
    told = ", ".join(f"{one:g} s at {count:,}" for count, one in found.seconds.items())
    without = f"; {WITHOUT}" if name.startswith("verify") else ""
    return Row(
        "scale", f"{name}, {max(steps):,} vectors", found.seconds[max(steps)], "s", None,
        spread=(min(every), max(every)) if len(every) > 1 else None,
        ours={
            "step": name, "seconds": {str(count): one for count, one in found.seconds.items()},
            "peak_mb": {str(count): one for count, one in found.peak_mb.items()},
        },
        note=f"{told}: grows as n^{found.growth:.2f}; {found.peak_mb[max(steps)] / 1024:.2f} GB at most{without}",
    )  # fmt: skip
