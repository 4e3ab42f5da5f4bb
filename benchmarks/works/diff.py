"""Which records two versions differ in: ours against Lance versions joined and a pandas merge."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Side, side_by_side
from benchmarks.rows import Row, faster
from benchmarks.works import Sizes

TIMES = 2.0
MOST_GB = 2.0
_FIXED = (
    "What was deleted is read from the files that held it, whole columns of them: of two tables, where Lance's is one."
)
_PLAIN = "The same without the change feed, by reading both versions: what remains where the feed cannot tell."


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows for time, and for our memory."""
    for records in (20_000,) if sizes.quick else (1_000_000, 10_000_000):
        yield from _at(records, sizes)


def _at(records: int, sizes: Sizes) -> Iterator[Row]:
    # What a diff reads has no vectors: two dimensions are enough, and ten million records fit the disk.
    common = ("--records", str(records), "--dimension", "2")
    label = f"{records:,} records, 1% changed"
    with tempfile.TemporaryDirectory(prefix="diff-") as name:
        ours, lance, frames = (Path(name) / one for one in ("ours", "lance", "frames"))
        Side("fill", "benchmarks.ours.lake", ("fill", str(ours), *common)).run()
        Side("commit", "benchmarks.ours.lake", ("commit", str(ours), *common)).run()
        Side("fill", "benchmarks.peers.lance_table", ("fill", str(lance), *common), peers=True).run()
        Side("merge", "benchmarks.peers.lance_table", ("merge", str(lance), *common), peers=True).run()
        Side("fill", "benchmarks.peers.pandas_diff", ("fill", str(frames), *common[:2]), peers=True).run()
        mine = Side("diff", "benchmarks.ours.lake", ("diff", str(ours), *common, "--memory", "1500MB"))
        plain = Side(
            "diff without the feed", "benchmarks.ours.lake", ("join", str(ours), *common, "--memory", "1500MB")
        )
        of_lance = Side("two versions joined", "benchmarks.peers.lance_table", ("diff", str(lance)), peers=True)
        of_pandas = Side("merge", "benchmarks.peers.pandas_diff", ("diff", str(frames)), peers=True)
        # What lasts a fraction of a second is looked at more often.
        rounds = sizes.rounds if records > 1_000_000 else 3 * sizes.rounds
        pair = side_by_side(mine, of_lance, rounds)
        yield faster("diff", f"{label}, against Lance versions joined", pair, TIMES, _FIXED)
        yield faster("diff", f"{label}, against a pandas merge", side_by_side(mine, of_pandas, rounds), TIMES)
        yield Row(
            "diff", f"{label}, our most memory", round(pair.ours.peak_mb / 1024, 2), "GB", MOST_GB, "at most",
            theirs={"lance_gb": round(pair.theirs.peak_mb / 1024, 2)},
        )  # fmt: skip
        without = side_by_side(plain, of_pandas, sizes.rounds)
        yield faster("diff", f"{label}, both versions read, against a pandas merge", without, None, _PLAIN)
        yield Row(
            "diff", f"{label}, both versions read, our most memory", round(without.ours.peak_mb / 1024, 2), "GB", MOST_GB,
            "at most",
        )  # fmt: skip
