"""Which records two versions differ in: ours against Lance versions joined, a pandas merge and Lance's own ``delta``.

Ours has two ways: the change feed, and reading both versions, which remains where the feed cannot tell. Every side has its
libraries imported and its table or lake open when its clock starts, reads everything within, and counts the same added, removed and
updated records, or the work fails.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.agreeing import agreed
from benchmarks.measuring import Pair, Side, side_by_side
from benchmarks.rows import Row, faster, slower
from benchmarks.works import Sizes

TIMES = 2.0
MOST_GB = 2.0
_FED = (
    "Ours reads what was committed between the two versions; the other side reads both. Eight of ten changed "
    "records were updated, one was removed, one added."
)
_PLAIN = "The same without the change feed, by reading both versions: what remains where the feed cannot tell."
_DELTA = (
    "What either wrote down at its commits. Lance's tells inserted and updated rows whole and deleted ones by row id alone, in a "
    "table with stable row ids; ours tells ids of records and of documents, and which documents moved, from two tables."
)
_FIXED = (
    "What was deleted is read from the files that held it, whole columns of them: of two tables, where the other side's is "
    "one."
)
_COUNTED = ("added", "removed", "updated")


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows for time, and for our memory."""
    for records in (20_000,) if sizes.quick else (1_000_000, 10_000_000):
        yield from _at(records, sizes)


def _at(records: int, sizes: Sizes) -> Iterator[Row]:
    # What a diff reads has no vectors: two dimensions are enough, and ten million records fit the disk.
    common = ("--records", str(records), "--dimension", "2")
    label = f"{records:,} records, 1% changed"
    ours_in, lance_in, pandas_in = (
        "benchmarks.ours.lake",
        "benchmarks.peers.lance_table",
        "benchmarks.peers.pandas_diff",
    )
    with tempfile.TemporaryDirectory(prefix="diff-") as name:
        ours, lance, stable, frames = (str(Path(name) / one) for one in ("ours", "lance", "stable", "frames"))
        Side("fill", ours_in, ("fill", ours, *common)).run()
        Side("revise", ours_in, ("revise", ours, *common)).run()
        for folder, more in ((lance, ()), (stable, ("--stable",))):
            Side("fill", lance_in, ("fill", folder, *common, *more), peers=True).run()
            Side("revise", lance_in, ("revise", folder, *common), peers=True).run()
        Side("fill", pandas_in, ("fill", frames, *common[:2]), peers=True).run()
        feed = Side("change feed", ours_in, ("diff", ours, *common, "--memory", "1500MB"))
        plain = Side("both versions read", ours_in, ("join", ours, *common, "--memory", "1500MB"))
        joined = Side("two versions joined", lance_in, ("diff", lance), peers=True)
        delta = Side("Lance's delta", lance_in, ("delta", stable), peers=True)
        merged = Side("merge", pandas_in, ("diff", frames), peers=True)
        # What lasts a fraction of a second is looked at more often.
        rounds = sizes.rounds if records > 1_000_000 else 3 * sizes.rounds

        pair = agreed(side_by_side(feed, joined, rounds), *_COUNTED)
        yield faster("diff", f"{label}, change feed against Lance versions joined", pair, TIMES, _FED, _FIXED)
        of_pandas = agreed(side_by_side(feed, merged, rounds), *_COUNTED)
        yield faster("diff", f"{label}, change feed against a pandas merge", of_pandas, TIMES, _FED, _FIXED)
        yield _memory(f"{label}, change feed, our most memory", pair, "lance_gb")
        of_delta = agreed(side_by_side(feed, delta, rounds), *_COUNTED)
        yield slower("diff", f"{label}, change feed, times the time of Lance's delta", of_delta, None, _DELTA)

        both = agreed(side_by_side(plain, joined, sizes.rounds), *_COUNTED)
        yield faster("diff", f"{label}, both versions read against Lance versions joined", both, None, _PLAIN)
        of_pandas = agreed(side_by_side(plain, merged, sizes.rounds), *_COUNTED)
        yield faster("diff", f"{label}, both versions read against a pandas merge", of_pandas, None, _PLAIN)
        yield _memory(f"{label}, both versions read, our most memory", of_pandas, "pandas_gb")


def _memory(name: str, pair: Pair, theirs: str) -> Row:
    ours, other = (round(samples.peak_mb / 1024, 2) for samples in (pair.ours, pair.theirs))
    return Row("diff", name, ours, "GB", MOST_GB, "at most", theirs={theirs: other})
