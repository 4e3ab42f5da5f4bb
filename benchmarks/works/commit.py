"""A version with 1% of its records changed: our commit against Lance's ``merge_insert`` and against writing everything again."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import Side, side_by_side
from benchmarks.rows import Row, faster
from benchmarks.works import Sizes

MOST = 1.5
"""Times Lance's time and bytes."""
_WHY = (
    "Ours is three tables (documents, chunks, vectors) in a commit each, of 16 shards, each with its file of rows and its file of "
    "deletions; what changed is read back, checked against what is there, digested and numbered. Lance's is one table, one commit."
)
MOST_OF_COPY = 2.0
"""Percent of the bytes of a full copy."""


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows for time and bytes."""
    records = 20_000 if sizes.quick else 1_000_000
    label = f"1% of {records:,} × 384"
    with tempfile.TemporaryDirectory(prefix="commit-") as name:
        ours, theirs = Path(name) / "ours", Path(name) / "lance"
        common = ("--records", str(records))
        Side("fill", "benchmarks.ours.lake", ("fill", str(ours), *common)).run()
        Side("fill", "benchmarks.peers.lance_table", ("fill", str(theirs), *common), peers=True).run()
        pair = side_by_side(
            Side("a numbered version", "benchmarks.ours.lake", ("commit", str(ours), *common)),
            Side("merge_insert", "benchmarks.peers.lance_table", ("merge", str(theirs), *common), peers=True),
            sizes.rounds,
        )
        copy = Side("copy", "benchmarks.peers.lance_table", ("copy", str(theirs)), peers=True).run()
    yield faster(
        "commit", f"{label} to a numbered version, against Lance's merge_insert", pair, round(1 / MOST, 2),
        limit=_WHY,
    )  # fmt: skip
    rows = pair.ours.median("rows_s")
    yield replace(
        faster("commit", f"{label}, the rows alone, against Lance's merge_insert", pair, round(1 / MOST, 2), limit=_WHY),
        figure=round(pair.theirs.seconds / rows, 2), spread=None,
    )  # fmt: skip
    yield Row(
        "commit", f"{label}, bytes against Lance's", round(pair.ours.median("bytes") / pair.theirs.median("bytes"), 2), "×",
        MOST, "at most", ours={"bytes": pair.ours.median("bytes")}, theirs={"bytes": pair.theirs.median("bytes")},
        note="Texts stand in documents and in chunks.",
    )  # fmt: skip
    yield Row(
        "commit", f"{label}, bytes against a full Parquet copy",
        round(100 * pair.ours.median("bytes") / copy.counted["bytes"], 2), "%", MOST_OF_COPY, "at most",
        ours={"bytes": pair.ours.median("bytes")}, theirs=dict(copy.counted) | {"seconds": copy.seconds},
    )  # fmt: skip
    yield Row(
        "commit", f"{label} to a numbered version, against the time of a full copy",
        round(copy.seconds / pair.ours.seconds, 1), "×", None, theirs={"seconds": copy.seconds},
    )  # fmt: skip
