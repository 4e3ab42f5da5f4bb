"""A version with 1% of its records changed: our commit against Lance's ``merge_insert`` and against writing everything again."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.agreeing import expect
from benchmarks.measuring import Pair, Samples, Side, side_by_side
from benchmarks.rows import Row, rounded, slower
from benchmarks.works import Sizes

MOST = 1.5
"""Times Lance's time and bytes."""
_WAITS = (
    "Ours waits for the disk in its catalog and registry (SQLite), at each commit; Lance's commit does not wait for it, nor do "
    "files of rows on either side."
)
_WHY = (
    "Ours is three tables (documents, chunks, vectors) in a commit each, of 16 shards, each with its file of rows and its file of "
    "deletions; what changed is read back, checked against what is there, digested and numbered. Lance's is one table, one commit."
)
MOST_OF_COPY = 2.0
"""Percent of the bytes of a full copy."""
_PEERS = "benchmarks.peers.lance_table"


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows for time and bytes."""
    records = 20_000 if sizes.quick else 1_000_000
    label = f"1% of {records:,} × 384"
    with tempfile.TemporaryDirectory(prefix="commit-") as name:
        ours, plain, indexed = (str(Path(name) / one) for one in ("ours", "lance", "indexed"))
        common = ("--records", str(records))
        Side("fill", "benchmarks.ours.lake", ("fill", ours, *common)).run()
        for folder in (plain, indexed):
            Side("fill", _PEERS, ("fill", folder, *common), peers=True).run()
        Side("index", _PEERS, ("index", indexed), peers=True).run()
        mine = Side("a numbered version", "benchmarks.ours.lake", ("commit", ours, *common))
        pairs = [
            side_by_side(mine, Side("merge_insert", _PEERS, ("merge", folder, *common), peers=True), sizes.rounds)
            for folder in (plain, indexed)
        ]
        copied = Side("copy", _PEERS, ("copy", plain), peers=True)
        copy = Samples(copied.name, [copied.run() for _ in range(sizes.rounds)])
    for samples, each in (
        (copy, records),
        *((side, records // 100) for pair in pairs for side in (pair.ours, pair.theirs)),
    ):
        for run in samples.runs:
            expect(samples.name, run.counted, records=each)
    # What is promised is promised against the faster of the two.
    fast = min(range(2), key=lambda one: pairs[one].theirs.seconds)
    for number, (pair, which) in enumerate(
        zip(pairs, ("Lance's time", "Lance's time with a BTREE on id"), strict=True)
    ):
        note = f"The {'faster' if number == fast else 'slower'} of Lance's two ways, without and with an index on id. {_WAITS}"
        goal = MOST if number == fast else None
        yield slower("commit", f"{label}, to a numbered version, times {which}", pair, goal, note, _WHY)
    yield _rows(f"{label}, rows with their checks, times Lance's time", pairs[fast])
    pair = pairs[fast]
    ours_bytes, theirs_bytes = pair.ours.median("bytes"), pair.theirs.median("bytes")
    yield Row(
        "commit", f"{label}, times Lance's bytes", round(ours_bytes / theirs_bytes, 2), "×", MOST, "at most",
        ours={"bytes": ours_bytes}, theirs={"bytes": theirs_bytes}, note="Texts stand in documents and in chunks.",
    )  # fmt: skip
    written = {"bytes": copy.median("bytes"), "seconds": copy.seconds}
    yield Row(
        "commit", f"{label}, bytes, of those of a full Parquet copy",
        round(100 * ours_bytes / copy.median("bytes"), 2), "%", MOST_OF_COPY, "at most",
        ours={"bytes": ours_bytes}, theirs=written, note="The goal is of bytes; time is the next row.",
    )  # fmt: skip
    yield Row(
        "commit", f"{label}, to a numbered version, against the time of a full copy",
        round(copy.seconds / pair.ours.seconds, 1), "×", None, theirs=written, note="The copy waits for the disk, once.",
    )  # fmt: skip


def _rows(name: str, pair: Pair) -> Row:
    """Ours until the rows are committed, before the version gets its number."""
    rounds = zip(pair.ours.runs, pair.theirs.runs, strict=True)
    ratios = [float(mine.counted["rows_s"]) / theirs.seconds for mine, theirs in rounds]
    note = "Until the rows are committed: what is stale is found and checked, the version has no number yet."
    row = slower("commit", name, pair, MOST, note, _WHY)
    figure = round(pair.ours.median("rows_s") / pair.theirs.seconds, 2)
    return replace(row, figure=figure, spread=rounded(min(ratios), max(ratios)))
