"""The result of a query that may be larger than memory: in a file beside this process, read in groups.

Laws
----
1. What is read is what the query gave when it was spooled, in its order, in groups that end with a value of ``by``: at least
   ``GROUP_ROWS`` rows, or all rows of one value. Memory holds one group.
2. The file is gone when the block ends. What a killed process of this machine left is taken away by the next one that spools.
3. What goes wrong with the file (no folder, no room, somebody cleaned it away) is an ``UnavailableError`` that names its folder,
   and no fault of the lake, nor of what the groups are written to.
"""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.errors import UnavailableError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.processes import is_gone, machine

GROUP_ROWS = 50_000
_READ_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Spool:
    """May be read more than once, in any thread."""

    path: Path
    by: str

    def __iter__(self) -> Iterator[pa.Table]:
        held: list[pa.Table] = []
        with closing(self._batches()) as batches:
            for batch in batches:
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

    def _batches(self) -> Generator[pa.RecordBatch, None, None]:
        # Law 3: what is thrown into a generator while it waits at a ``yield`` is not of the file.
        with _speaking(self.path.parent):
            file = pq.ParquetFile(self.path)
        with file:
            batches = file.iter_batches(_READ_ROWS)
            while True:
                with _speaking(self.path.parent):
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch


@contextmanager
def spooled(lake: Lake, query: str, by: str = "shard") -> Iterator[Spool]:
    """A query of this thread (its temporary tables are seen), ordered by a column ``by`` of numbers, and perhaps more."""
    # Not a ``TemporaryDirectory``: in a generator that nobody ended, that would be taken away before the block is.
    with _speaking(Path(tempfile.gettempdir())):
        own = f"vector-pipeline-spool-{machine()}-"
        _sweep(own)
        folder = Path(tempfile.mkdtemp(prefix=f"{own}{os.getpid()}-"))
    try:
        path = folder / "rows.parquet"
        try:
            lake.run(f"COPY ({query}) TO {quoted(str(path))} (FORMAT parquet)")
        except UnavailableError as error:
            # DuckDB names the file that it could not write; all else is about what it reads.
            if str(folder) not in error.what:
                raise
            raise _failed(folder, error.what.removeprefix(f"{lake.where}: ")) from None
        yield Spool(path, by)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(own: str) -> None:
    """Law 2. ``own``: what names of this machine's folders begin with, before the process."""
    for folder in Path(tempfile.gettempdir()).iterdir():
        if folder.name.startswith(own) and is_gone(folder.name.removeprefix(own).partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _speaking(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise _failed(folder, str(error)) from None


def _failed(folder: Path, said: str) -> UnavailableError:
    return UnavailableError(
        f"a file of rows that wait cannot be kept in {folder}: {said[:200]}",
        fix="Is there room in it? TMPDIR names another folder",
    )
