"""Which documents canaries name: ids, or patterns, whether a version has any such document, and which others are spelled like them.

``names`` is the meaning; the database finds the same (a property test holds it to that).
"""

import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from itertools import accumulate

import pyarrow as pa

from vector_pipeline.lake.connection import Lake

_WILD = re.compile(r"[*?\[]")
_AT_ONCE = 50
"""Patterns that one pass over the ids looks for."""
_LIKE = 3
"""Documents of like names that are told."""
_ASKED = 100
"""Most names that others are looked for."""
_PAIRS = 1_000_000
"""Most pairs of names whose letters are compared: seconds."""


def names(pattern: str, document: str) -> bool:
    """Equality first: an id may itself hold ``[`` or ``*``. A ``*`` matches across ``/``."""
    return pattern == document or fnmatchcase(document, pattern)


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


def expression(pattern: str) -> str:
    """A pattern as a regular expression of RE2, to be matched whole, a dot matching a line's end too."""
    parts, at = [], 0
    while at < len(pattern):
        sign, at = pattern[at], at + 1
        if sign == "*":
            parts.append(".*")
        elif sign == "?":
            parts.append(".")
        elif sign == "[" and (end := _class_end(pattern, at)) is not None:
            parts.append(_class(pattern[at:end]))
            at = end + 1
        else:
            parts.append(re.escape(sign))
    return "".join(parts)


def _class_end(pattern: str, at: int) -> int | None:
    """Where the ``]`` stands that ends a class, as fnmatch has it: never at once. None: the bracket is an ordinary sign."""
    first = at + 1 if pattern[at : at + 1] == "!" else at
    found = pattern.find("]", first + 1 if pattern[first : first + 1] == "]" else first)
    return found if found >= 0 else None


def _class(inside: str) -> str:
    """``a-z`` and ``!a-z`` with everything else taken literally; an empty range matches nothing."""
    negated, inside = inside.startswith("!"), inside.removeprefix("!")
    parts, at = [], 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            low, high = inside[at], inside[at + 2]
            parts += [f"{_literal(low)}-{_literal(high)}"] if low <= high else []
            at += 3
        else:
            parts.append(_literal(inside[at]))
            at += 1
    if not parts:
        return "." if negated else r"[^\x{0}-\x{10FFFF}]"
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _literal(sign: str) -> str:
    return f"\\x{{{ord(sign):X}}}"
