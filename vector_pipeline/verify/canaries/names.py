"""Which documents canaries name: ids, or patterns, whether a version has any such document, and which others are spelled like them.

``names`` is the meaning; the database finds the same (a property test holds it to that).
"""

import re
from collections.abc import Collection
from itertools import accumulate

import pyarrow as pa

from vector_pipeline.corpus.patterns import expression, names
from vector_pipeline.lake.connection import Lake

__all__ = ["absent", "expression", "names", "near"]

_WILD = re.compile(r"[*?\[]")
_AT_ONCE = 50
"""Patterns that one pass over the ids looks for."""
_LIKE = 3
"""Documents of like names that are told."""
_ASKED = 100
"""Most names that others are looked for."""
_PAIRS = 1_000_000
"""Most pairs of names whose letters are compared: seconds."""


def absent(lake: Lake, documents: str, patterns: Collection[str]) -> set[str]:
    """Those of ``patterns`` that no document has. ``documents``: a relation for FROM with ``document_id``."""
    wanted = sorted(set(patterns))
    if not wanted:
        return set()
    with lake.registered("canary_names", pa.table({"document_id": wanted})):
        rows = lake.rows(f"SELECT document_id FROM canary_names SEMI JOIN {documents} AS held USING (document_id)")
    left = set(wanted) - {row[0] for row in rows}
    wild = sorted(one for one in left if _WILD.search(one))
    for start in range(0, len(wild), _AT_ONCE):
        some = wild[start : start + _AT_ONCE]
        tests = ", ".join(
            f"coalesce(bool_or(regexp_full_match(document_id, ${n + 1}, 's')), false)" for n in range(len(some))
        )
        seen = lake.row(
            f"SELECT {tests} FROM (SELECT DISTINCT document_id FROM {documents})", [expression(one) for one in some]
        )
        left -= {one for one, found in zip(some, seen, strict=True) if found}
    return left


def near(lake: Lake, documents: str, wanted: Collection[str]) -> dict[str, list[str]]:
    """For a name that is no document's: those that are spelled like it. Few letters differ, and the first half or the end is the
    same: comparing letters takes microseconds, which is minutes for millions of pairs. What too many could be meant by has none.
    """
    if not wanted:
        return {}
    pairs = f"""FROM (SELECT DISTINCT document_id, lower(document_id) AS held FROM {documents}),
                     (SELECT n, lower(n) AS name, length(n) AS long, greatest(2, length(n) // 4) AS most
                      FROM unnest($1::VARCHAR[]) AS names(n))
                WHERE abs(length(held) - long) <= most
                  AND (starts_with(held, left(name, long // 2)) OR ends_with(held, right(name, long // 3)))"""
    counts = lake.rows(f"SELECT n, count(*) {pairs} GROUP BY n ORDER BY 2, 1", [sorted(wanted)[:_ASKED]])
    sums = accumulate(int(count) for _, count in counts)
    few = [name for (name, _), pairs_so_far in zip(counts, sums, strict=True) if pairs_so_far <= _PAIRS]
    # A condition on the distance of a pair would be computed of all pairs, before the cheap ones: one on the least cannot be.
    rows = lake.rows(
        f"""SELECT n, arg_min(likest, distance) FROM (
                SELECT n, most, levenshtein(name, held) AS distance, min(document_id, {_LIKE}) AS likest {pairs}
                GROUP BY n, most, distance)
            GROUP BY n, most HAVING min(distance) <= most""",
        [few],
    )
    return dict(rows)
