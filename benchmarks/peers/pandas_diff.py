"""Two versions as Parquet files of id and hash, merged by pandas.

python -m benchmarks.peers.pandas_diff WORK FOLDER --records N
"""

import argparse
import time
from pathlib import Path

import pandas as pd

from benchmarks.measuring import said

STEP = 100


def fill(folder: Path, count: int) -> None:
    """Ids and hashes of two versions; in the second one 1% have another hash and with it another id, as our records do."""
    folder.mkdir(parents=True, exist_ok=True)
    for revision in (1, 2):
        numbers = pd.Series(range(count))
        changed = (numbers % STEP == 0) & (revision == 2)
        content = numbers.astype(str).str.zfill(24) + changed.astype(int).astype(str).str.zfill(8)
        frame = pd.DataFrame(
            {"id": "doc-" + numbers.astype(str).str.zfill(12) + "#" + content.str[8:], "hash": content}
        )
        frame.to_parquet(folder / f"{revision}.parquet")
    said(seconds=0)


def diff(folder: Path) -> None:
    """Added and removed ids."""
    started = time.perf_counter()
    old, new = (pd.read_parquet(folder / f"{revision}.parquet") for revision in (1, 2))
    both = old.merge(new, on="id", how="outer", suffixes=("_old", "_new"), indicator=True)
    counts = both["_merge"].value_counts()
    said(seconds=time.perf_counter() - started, changed=int(counts["left_only"] + counts["right_only"]))


def main() -> None:
    """One work, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["fill", "diff"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    if given.work == "fill":
        fill(given.folder, given.records)
    else:
        diff(given.folder)


if __name__ == "__main__":
    main()
