"""Cut-over and rollback at two sizes: what they take and write, against a push of what differs. ``scale`` has more."""

import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.measuring import Side
from benchmarks.rows import Row
from benchmarks.synthetic import OFF
from benchmarks.works import Sizes

MOST_S = 1.0
CONSTANT = 3.0
"""Times as long with a hundred times as many records: both take hundredths of a second, of which the disk's share varies."""
STEPS = {"cut over": ("promote, cut over", "promote, again"), "roll back": ("roll back", "roll back, again")}
"""Several times in one process, and alone in one."""
WITHOUT = f"without the gates that ask a model or questions ({', '.join(OFF)}), which are off here"
Steps = Mapping[str, Mapping[str, Any]]
"""What ``benchmarks.release`` says of each."""


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows of each size."""
    found: dict[int, Steps] = {}
    for records in (2_000, 10_000) if sizes.quick else (10_000, 1_000_000):
        found[records] = released(records)["steps"]
        yield from rows("cutover", records, found[records])
    yield from constant("cutover", found)


def released(records: int, *more: str) -> Mapping[str, Any]:
    """What ``benchmarks.release`` says of so many records. Its folder is ours: it goes, however that process ends."""
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        arguments = ("--report", "--documents", str(records), "--keep", name, *more)
        return Side("release", "benchmarks.release", arguments).run().counted


def rows(work: str, records: int, steps: Steps) -> Iterator[Row]:
    """Of one size."""
    load, push, gates = (
        steps[one]["seconds"] for one in ("push, first load", "push, 1% changed", "verify, 1% changed")
    )
    against = (
        "What an index without aliases does to go back: a push of what differs, here of 1%. Both sides are processes of their own,"
        f" which open what they need within their clocks. A first load takes {load:.3g} s."
    )
    for name, (step, own) in STEPS.items():
        seconds, every, alone = steps[step]["seconds"], steps[step]["every"], steps[own]["seconds"]
        note = (
            f"The alias alone moves. The median of {len(every)}, in processes that have registry and target open; alone in a"
            f" process, which opens them within its clock: {alone:.2g} s, at most {max(steps[own]['every']):.2g} s."
            f" Before a cut-over the gates judged the version, {WITHOUT}: {gates:.0f} s of their own."
        )
        yield Row(
            work, f"{name}, {records:,} records", seconds, "s", MOST_S, "at most", (min(every), max(every)), note=note
        )
        yield Row(work, f"{name}, {records:,} records", steps[step]["written"], "writes", 0, "at most")
        yield Row(
            work, f"{name}, {records:,} records, against a push of 1%", float(f"{push / alone:.2g}"), "×", None,
            ours={"seconds": alone}, theirs={"seconds": push}, note=against,
        )  # fmt: skip


def constant(work: str, found: Mapping[int, Steps]) -> Iterator[Row]:
    """That seconds do not grow: of the largest size, against those of the smallest."""
    least, most = min(found), max(found)
    for name, (step, _) in STEPS.items():
        seconds = {count: found[count][step]["seconds"] for count in (least, most)}
        yield Row(
            work, f"{name}, seconds of {most:,} records against those of {least:,}",
            round(seconds[most] / seconds[least], 2), "×", CONSTANT, "at most", ours={"seconds": seconds},
            limit="Hundredths of a second either way: what the disk takes to keep a row of the registry",
        )  # fmt: skip
