"""Cut-over and rollback at two sizes: what they take and write, against writing the version before again. ``scale`` has more."""

from collections.abc import Iterator

from benchmarks.measuring import Measured, Side
from benchmarks.rows import Row
from benchmarks.works import Sizes

MOST_S = 1.0


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows of each size."""
    for records in (2_000, 10_000) if sizes.quick else (10_000, 1_000_000):
        run = Side("release", "benchmarks.release", ("--report", "--documents", str(records))).run()
        yield from rows("cutover", records, run)


def rows(work: str, records: int, run: Measured) -> Iterator[Row]:
    """Of one run of ``benchmarks.release``."""
    steps, goals = run.counted["steps"], {one["name"]: one["figure"] for one in run.counted["goals"]}
    repush = steps["push, first load"]["seconds"]
    for name, step in (("cut over", "promote, cut over"), ("roll back", "roll back")):
        seconds = steps[step]["seconds"]
        yield Row(work, f"{name}, {records:,} records", seconds, "s", MOST_S, "at most")
        yield Row(work, f"{name}, {records:,} records", goals[f"{name}, writes to the target"], "writes", 0, "at most")
        yield Row(
            work, f"{name}, {records:,} records, against a re-push of the version", round(repush / seconds, 1), "×", None,
            theirs={"seconds": repush},
        )  # fmt: skip
