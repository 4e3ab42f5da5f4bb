"""Cut-over and rollback at two sizes: what they take and write, against loading the version. ``scale`` has more."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.measuring import Side
from benchmarks.rows import Row
from benchmarks.works import Sizes

MOST_S = 1.0
CONSTANT = 3.0
"""Times as long with a hundred times as many records: both take hundredths of a second, of which the disk's share varies."""
STEPS = {"cut over": "promote, cut over", "roll back": "roll back"}
Steps = Mapping[str, Mapping[str, Any]]
"""What ``benchmarks.release`` says of each."""


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows of each size."""
    found: dict[int, Steps] = {}
    for records in (2_000, 10_000) if sizes.quick else (10_000, 1_000_000):
        run = Side("release", "benchmarks.release", ("--report", "--documents", str(records))).run()
        found[records] = run.counted["steps"]
        yield from rows("cutover", records, found[records])
    yield from constant("cutover", found)


def rows(work: str, records: int, steps: Steps) -> Iterator[Row]:
    """Of one size."""
    load, gates = (steps[one]["seconds"] for one in ("push, first load", "verify, 1% changed"))
    note = f"The alias alone moves. Before it the gates judged the version: {gates:.0f} s of their own."
    for name, step in STEPS.items():
        seconds, every = steps[step]["seconds"], steps[step]["every"]
        yield Row(
            work, f"{name}, {records:,} records", seconds, "s", MOST_S, "at most", (min(every), max(every)), note=note
        )
        yield Row(work, f"{name}, {records:,} records", steps[step]["written"], "writes", 0, "at most")
        yield Row(
            work, f"{name}, {records:,} records, against loading the version", float(f"{load / seconds:.2g}"), "×", None,
            theirs={"seconds": load},
        )  # fmt: skip


def constant(work: str, found: Mapping[int, Steps]) -> Iterator[Row]:
    """That seconds do not grow: of the largest size, against those of the smallest."""
    least, most = min(found), max(found)
    for name, step in STEPS.items():
        seconds = {count: found[count][step]["seconds"] for count in (least, most)}
        yield Row(
            work, f"{name}, seconds of {most:,} records against those of {least:,}",
            round(seconds[most] / seconds[least], 2), "×", CONSTANT, "at most", ours={"seconds": seconds},
            limit="Hundredths of a second either way: what the disk takes to keep a row of the registry",
        )  # fmt: skip
