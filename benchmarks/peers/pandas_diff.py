"""Two versions as Parquet files of id and hash, merged by pandas.

python -m benchmarks.peers.pandas_diff WORK FOLDER --records N

The second version is what ``benchmarks.revised`` says. Libraries are imported when the clock starts, no file is read.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet  # noqa: F401  (what pandas imports when it first reads a file)

from benchmarks.measuring import said
from benchmarks.revised import OFFSET, counted, reach, revised


def fill(folder: Path, count: int) -> None:
    """Ids and hashes of two versions."""
    folder.mkdir(parents=True, exist_ok=True)
    updated, removed, added = revised(count)
    revisions = np.ones(reach(count), np.int64)
    _write(folder / "1.parquet", np.arange(count), revisions)
    revisions[np.concatenate([updated, added])] = OFFSET
    _write(folder / "2.parquet", np.concatenate([np.setdiff1d(np.arange(count), removed), added]), revisions)
    said(seconds=0)


def _write(file: Path, numbers: np.ndarray, revisions: np.ndarray) -> None:
    said_of = pd.Series(revisions[numbers]).astype(str).str.zfill(8)
    digits = pd.Series(numbers).astype(str)
    pd.DataFrame({"id": "doc-" + digits.str.zfill(8), "hash": said_of + digits.str.zfill(24)}).to_parquet(file)


def diff(folder: Path) -> None:
    """Added, removed and updated records."""
    started = time.perf_counter()
    old, new = (pd.read_parquet(folder / f"{revision}.parquet") for revision in (1, 2))
    both = old.merge(new, on="id", how="outer", suffixes=("_old", "_new"), indicator=True)
    counts = both["_merge"].value_counts()
    # Null-safe: two nulls are equal. Where a record is on one side alone, it is added or removed.
    same = (both["hash_old"] == both["hash_new"]).fillna(False) | (both["hash_old"].isna() & both["hash_new"].isna())
    updated = ((both["_merge"] == "both") & ~same).sum()
    told = counted(counts["right_only"], counts["left_only"], updated)
    said(seconds=time.perf_counter() - started, **told)


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
