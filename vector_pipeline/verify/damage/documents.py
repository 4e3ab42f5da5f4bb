"""Documents that both versions have under one id, and whose text is another one now; and copies.

Laws
----
1. Letters and digits are compared: wrapping, markup and punctuation change nothing here.
2. What a document lost and another one has now (it was split) is not lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify.context import Side
from vector_pipeline.verify.lost.moved import found_again, plain

READ = 50_000
"""Changed documents whose texts are compared."""
_SHRUNK = 0.52
"""A text that was cut in the middle, at the end of a word."""
_LIVES_ON = 0.65
_LONG = 5
"""Letters of a word that is no small one."""
REPLACED = 0.2
"""A text that keeps a smaller share of its words than this is an altogether other one."""
SHORT = 60
"""Letters below which a text is too short to have lost its greater part."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Documents with another text than production's, by what became of it. Counts are of those ``read``."""

    both: int
    """Documents that both versions have."""
    changed: int
    read: int
    """So many of them, chosen by their contents: all of ``READ`` and fewer."""
    shrunk: int
    replaced: int
    exchanged: int
    """Which now hold what another document held."""
    unaccented: int
    """Which lost most of their letters beyond ASCII."""
    shorter: float
    """How much shorter the middle one of the changed documents is: 0 to 1, of what lives on nowhere else."""
    examples: Mapping[str, list[tuple[str, int, int]]]
    """By name of a count: document, letters before, letters now."""


def compare_documents(lake: Lake, old: Side, new: Side) -> Changed:
    """What became of the texts of documents that both have."""
    both, changed = lake.row(
        f"""SELECT count(*), count(*) FILTER (o.content_hash <> n.content_hash)
            FROM {old.documents} o JOIN {new.documents} n USING (document_id)"""
    )
    share = min(1.0, READ / max(1, int(changed)))
    _read(lake, old, new, share)
    left = f"CASE WHEN kept >= {_LIVES_ON} THEN 1 ELSE least(1, now / greatest(1, before)) END"
    read, shorter = lake.row(f"SELECT count(*), coalesce(1 - median({left}), 0) FROM damage_changed")
    counts, examples = {}, {}
    for name, condition in _CONDITIONS.items():
        rows = lake.rows(f"SELECT document_id, before, now FROM damage_changed WHERE {condition} ORDER BY 1 LIMIT 5")
        examples[name] = [(str(document), int(before), int(now)) for document, before, now in rows]
        counts[name] = int(lake.row(f"SELECT count(*) FROM damage_changed WHERE {condition}")[0])
    return Changed(int(both), int(changed), int(read), **counts, shorter=float(shorter), examples=examples)


_CONDITIONS = {
    "shrunk": f"before >= {SHORT} AND now <= {_SHRUNK} * before AND kept < {_LIVES_ON}",
    "replaced": f"before >= {SHORT} AND words < {REPLACED} AND kept < {_LIVES_ON}",
    "exchanged": "exchanged",
    "unaccented": "accents >= 3 AND accents_now <= 0.3 * accents AND now > 0.7 * before",
}


def _read(lake: Lake, old: Side, new: Side, share: float) -> None:
    """``damage_changed``: letters before and now, the share of its words that it still has, whether another held its text."""
    drawn = f"AND substr(o.content_hash, 1, 8) < '{round(share * (16**8 - 1)):08x}'" if share < 1 else ""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE damage_compared AS
            WITH pairs AS (
                SELECT o.document_id, o.text AS was, n.text AS is_now, n.content_hash AS hash_now,
                       {plain("o.text")} AS a, {plain("n.text")} AS b
                FROM {old.documents} o JOIN {new.documents} n USING (document_id)
                WHERE o.content_hash <> n.content_hash {drawn})
            SELECT document_id, length(replace(a, ' ', '')) AS before, length(replace(b, ' ', '')) AS now,
                   {_accents("was")} AS accents, {_accents("is_now")} AS accents_now, {words_left("a", "b")} AS words,
                   hash_now IN (SELECT content_hash FROM {old.documents}) AS exchanged
            FROM pairs"""
    )
    suspects = "(SELECT document_id FROM damage_compared WHERE now < 0.9 * before OR words < 0.5)"
    if not int(lake.row(f"SELECT count(*) FROM {suspects}")[0]):
        lake.run("CREATE OR REPLACE TEMP TABLE damage_changed AS SELECT *, 1.0::DOUBLE AS kept FROM damage_compared")
        return
    found_again(
        lake,
        "damage_kept",
        f"{old.documents} o SEMI JOIN {suspects} s USING (document_id)",
        old.documents,
        new.documents,
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE damage_changed AS
           SELECT c.*, coalesce(k.kept, 1.0) AS kept
           FROM damage_compared c LEFT JOIN damage_kept k USING (document_id)"""
    )


def _accents(text: str) -> str:
    return rf"length(regexp_replace(nfc_normalize({text}), '[^\p{{L}}]+|[a-zA-Z]+', '', 'g'))"


def words_left(before: str, now: str) -> str:
    """SQL: share of the distinct words of one text that another one has (``plain``). Small words are in every text: of long ones,
    where there are any.
    """
    a, b = (f"list_distinct(string_split({text}, ' '))" for text in (before, now))
    long = f"list_filter({a}, lambda word: length(word) >= {_LONG})"
    counted = f"(CASE WHEN len({long}) > 0 THEN {long} ELSE {a} END)"
    return f"(len(list_intersect({counted}, {b})) / greatest(1, len({counted})))"


def count_copies(lake: Lake, side: Side) -> tuple[int, int]:
    """Chunks whose text stands in another document too, and all chunks. A document's title does not hide it."""
    copies, every = lake.row(
        f"""WITH c AS (SELECT document_id, content_hash FROM {side.chunks}),
                 d AS (SELECT document_id, content_hash FROM {side.documents})
            SELECT count(*) FILTER (
                       content_hash IN (SELECT content_hash FROM c GROUP BY 1 HAVING min(document_id) <> max(document_id))
                       OR document_id IN (SELECT document_id FROM d WHERE content_hash IN (
                           SELECT content_hash FROM d GROUP BY 1 HAVING count(*) > 1))),
                   count(*)
            FROM c"""
    )
    return int(copies), int(every)


def copied(lake: Lake, side: Side, limit: int) -> list[tuple[str, int]]:
    """Texts that stand in several documents of a version: the first of them, and how many."""
    rows = lake.rows(
        f"""SELECT min(document_id), count(DISTINCT document_id) FROM {side.chunks} GROUP BY content_hash
            HAVING count(DISTINCT document_id) > 1 ORDER BY 2 DESC, 1 LIMIT {int(limit)}"""
    )
    return [(str(document), int(count)) for document, count in rows]
