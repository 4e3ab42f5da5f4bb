"""The result of a query that may be larger than memory: in a file beside this process, read in groups.

Laws
----
1. What is read is what the query gave when it was spooled, in its order, in groups that end with a value of ``by``: at least
   ``GROUP_ROWS`` rows, or all rows of one value. Memory holds one group.
2. The file is gone when the block ends.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.lake.connection import Lake

GROUP_ROWS = 50_000
_READ_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Spool:
    """May be read more than once, in any thread."""

    path: Path
    by: str

    def __iter__(self) -> Iterator[pa.Table]:
        held: list[pa.Table] = []
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_READ_ROWS):
                held.append(pa.Table.from_batches([batch]))
                if sum(one.num_rows for one in held) <= GROUP_ROWS:
                    continue
                values = np.concatenate([one[self.by].to_numpy() for one in held])
                # Of the last value there may be more.
                whole = int(np.searchsorted(values, values[-1], "left"))
                if whole >= GROUP_ROWS:
                    joined = pa.concat_tables(held)
                    yield joined.slice(0, whole)
                    held = [joined.slice(whole)]
        if held:
            yield pa.concat_tables(held)


@contextmanager
def spooled(lake: Lake, query: str, by: str = "shard") -> Iterator[Spool]:
    """A query of this thread (its temporary tables are seen), ordered by a column ``by`` of numbers, and perhaps more."""
    # Not a ``TemporaryDirectory``: in a generator that nobody ended, that would be taken away before the block is.
    folder = Path(tempfile.mkdtemp(prefix="vector-pipeline-spool-"))
    try:
        path = folder / "rows.parquet"
        lake.run(f"COPY ({query}) TO {quoted(str(path))} (FORMAT parquet)")
        yield Spool(path, by)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
