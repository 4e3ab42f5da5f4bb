"""Documents of the work ``update``: one JSONL file for all sides, and revisions of it that change a share each.

A line is ``{"id", "text", "topic"}``; a text has about forty words. Revision 0 is the first load. Edit n (from 1) with step s
changes every document whose number is n modulo s, and no other: edits of one step change other documents each time.
"""

import os
from collections.abc import Sequence
from pathlib import Path

SOURCE = "source.jsonl"
"""In a side's folder: the revision that it reads."""
WORDS = 40
_VOCABULARY = 4999


def write_revision(file: Path, documents: int, steps: Sequence[int]) -> None:
    """The file as it is after edits of these steps. Spelled by DuckDB: a million documents take seconds."""
    import duckdb

    edits = [f"CASE WHEN i % {step} = {number % step} THEN {number} ELSE 0 END" for number, step in enumerate(steps, 1)]
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (
                SELECT format('doc-{{:08d}}', i) AS id,
                       format('document {{}} revision {{}} ', i, revision) || array_to_string(list_transform(range({WORDS}),
                           lambda j: 'word' || ((i * 7919 + j * 104729 + revision * 31) % {_VOCABULARY})), ' ') AS text,
                       'topic ' || i % 20 AS topic
                FROM (SELECT i, greatest(0, {", ".join(edits) or 0}) AS revision FROM range({int(documents)}) r(i)))
                TO '{file}' (FORMAT json)"""
        )


def show(folder: Path, file: Path) -> Path:
    """Put a revision where the side of a folder reads it, with its size and time; returns that place."""
    place, made = folder / SOURCE, folder / "new"
    made.unlink(missing_ok=True)
    os.link(file, made)
    made.replace(place)
    return place
