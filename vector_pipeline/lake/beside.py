"""Files beside the lake's tables, on whatever storage its data are: caches, of which no table and no snapshot knows.

Laws
----
1. A file is written whole or not at all; labels in it say what it holds.
2. Its name does not end in ``.parquet``: DuckLake's search for orphans takes only those, and leaves it alone.
3. Deleting goes to the file system for a folder, and through DuckLake's own clean-up elsewhere: it knows every storage. A lake that
   was opened for reading cannot do that: there the file is emptied.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from vector_pipeline.errors import UnavailableError
from vector_pipeline.lake.connection import CATALOG, Lake
from vector_pipeline.lake.remains import AT_ONCE, BEFORE, SCHEDULED, UNNAMED


def write_beside(lake: Lake, path: str, query: str, labels: Mapping[str, str]) -> None:
    """The result of a query as one Parquet file, in place of what was there. ``path``: below the lake's data."""
    whole = lake.data + path
    local = "://" not in whole
    if local:
        try:
            Path(whole).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"{whole} cannot be made: {error.strerror}", fix="Check the folder") from None
    temporary = ", USE_TMP_FILE true" if local else ""
    told = ", ".join(f"{name}: {_quoted(value)}" for name, value in labels.items())
    lake.run(
        f"COPY ({query}) TO {_quoted(whole)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{told}}}{temporary})"
    )


def reading(lake: Lake, path: str) -> str:
    """The relation of a file."""
    return f"read_parquet({_quoted(lake.data + path)})"


def list_beside(lake: Lake, pattern: str) -> list[str]:
    """Files below the lake's data by a pattern."""
    found = lake.rows("SELECT file FROM glob(?) ORDER BY 1", [lake.data + pattern])
    return [str(row[0]).removeprefix(lake.data) for row in found]


def labels_beside(lake: Lake, pattern: str) -> dict[str, dict[str, str]]:
    """The labels of files by a pattern."""
    found: dict[str, dict[str, str]] = {path: {} for path in list_beside(lake, pattern)}
    for path, labels in found.items():
        rows = lake.rows("SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [lake.data + path])
        labels.update((str(key), str(value)) for key, value in rows)
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


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
