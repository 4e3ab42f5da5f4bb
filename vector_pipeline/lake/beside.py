"""Files beside the lake's tables, on whatever storage its data are: caches, of which no table and no snapshot knows.

Laws
----
1. A file is written whole or not at all, also by several writers at once: in a folder, under a name of its own that begins with
   ``tmp_``, and then moved. What killed writers left is swept. Labels in a file say what it holds.
2. Its name does not end in ``.parquet``: DuckLake's search for orphans takes only those, and leaves it alone.
3. Deleting goes to the file system for a folder, and through DuckLake's own clean-up elsewhere: it knows every storage. A lake that
   was opened for reading cannot do that: there the file is emptied.
4. A file that cannot be read is as good as none: no reader fails because of it.
5. The lake's folder may be called anything: only what is asked for below it is a pattern.
"""

import random
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vector_pipeline.corpus.record_sql import file_name, files_below, quoted
from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.lake.connection import CATALOG, Lake
from vector_pipeline.lake.remains import AT_ONCE, BEFORE, SCHEDULED, UNNAMED

_TEMPORARY = "tmp_"
_ABANDONED_S = 600.0
"""A temporary file that nobody has written to for so long belongs to nobody any more."""


def write_beside(lake: Lake, path: str, query: str, labels: Mapping[str, str]) -> None:
    """The result of a query as one Parquet file, in place of what was there. ``path``: below the lake's data."""
    told = ", ".join(f"{name}: {quoted(value)}" for name, value in labels.items())
    form = f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{told}}}, USE_TMP_FILE false)"
    whole = lake.data + path
    if "://" in whole:
        # A store of objects shows an upload when it has ended.
        lake.run(f"COPY ({query}) TO {quoted(whole)} {form}")
        return
    file = Path(whole)
    temporary = file.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}_{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lake.run(f"COPY ({query}) TO {quoted(str(temporary))} {form}")
        temporary.replace(file)
    except OSError as error:
        raise UnavailableError(f"{whole} cannot be made: {error.strerror}", fix="Check the folder") from None
    finally:
        temporary.unlink(missing_ok=True)


def sweep_beside(lake: Lake, folder: str) -> None:
    """Delete what killed writers left in a folder (law 1). ``folder``: below the lake's data."""
    if "://" in lake.data:
        return
    now = time.time()
    try:
        for file in Path(lake.data, folder).glob(f"{_TEMPORARY}*"):
            if now - file.stat().st_mtime > _ABANDONED_S:
                file.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnavailableError(f"{lake.data}{folder} cannot be swept: {error.strerror}", fix="Check it") from None


def reading(lake: Lake, path: str) -> str:
    """The relation of a file."""
    return f"read_parquet({file_name(lake.data + path)})"


def readable(lake: Lake, path: str, columns: Sequence[str]) -> bool:
    """Whether a file can be read to its end, and has these columns: all of it is read."""
    try:
        lake.row(f"SELECT bit_xor(hash({', '.join(columns)})) FROM {reading(lake, path)}")
    except VectorPipelineError:
        return False
    return True


def list_beside(lake: Lake, pattern: str) -> list[str]:
    """Files below the lake's data by a pattern."""
    # No parameter, here and below: with its first one DuckDB imports pandas.
    found = lake.rows(f"SELECT file FROM glob({files_below(lake.data, pattern)}) ORDER BY 1")
    return [str(row[0]).removeprefix(lake.data) for row in found]


def labels_beside(lake: Lake, paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """The labels of those files that are there and can be read (law 4)."""
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        try:
            rows = lake.rows(
                f"SELECT decode(key), decode(value) FROM parquet_kv_metadata({file_name(lake.data + path)})"
            )
        except VectorPipelineError:
            continue
        found[path] = {str(key): str(value) for key, value in rows}
    return found


def delete_beside(lake: Lake, paths: Sequence[str]) -> None:
    """Delete files; such as are gone already are no error."""
    files = [lake.data + path for path in paths]
    if not files:
        return
    if "://" not in lake.data:
        for file in files:
            try:
                Path(file).unlink(missing_ok=True)
            except OSError as error:
                raise UnavailableError(f"{file} cannot be deleted: {error.strerror}", fix="Delete it by hand") from None
        return
    if lake.read_only:
        for path in paths:
            write_beside(lake, path, "SELECT 0 AS emptied WHERE false", {})
        return

    def schedule() -> None:
        for file in files:
            # A number of its own: clean-up forgets what it deleted by number.
            number = random.randrange(UNNAMED, 2 * UNNAMED - 1)
            lake.run(f"INSERT INTO {SCHEDULED} VALUES (?, ?, 0, {AT_ONCE})", [number, file])

    lake.transaction(schedule, None)
    lake.rows(f"CALL ducklake_cleanup_old_files('{CATALOG}', older_than => {BEFORE})")
