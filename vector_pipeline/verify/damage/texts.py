"""Texts of both versions and the signs they carry: temporary tables of a sample of both.

Laws
----
1. The sample is drawn by content: a text that both versions have is in both samples or in neither, and carries the same signs.
2. Where both versions are chunked alike, chunks are compared; else whole documents, because other chunks have other shares.
3. A passage is repeated when many documents of its own version have it.
4. Only a document that both versions have can have lost its small words or its blanks: what is new may be in another language.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify.context import Side
from vector_pipeline.verify.damage.signs import signs, small_words, sql_plain_words
from vector_pipeline.verify.lost.moved import passages, plain

SAMPLE = 40_000
"""Texts of each version that are read."""
COMMON = 50
"""Words that count as small ones: production's commonest."""
SIGNS = ("encoding", "markup", "repeated", "small_words", "capitals", "punctuation", "blanks")
IN_BOTH = ("small_words", "blanks")
"""Signs of texts that lost something (law 4)."""
_PASSAGE, _WINDOW = 24, 40
_OFTEN, _OFTEN_SHARE = 5, 0.005
_WORDED = 8_000
"""Texts of production whose words are counted."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One sign: how many texts carry it, of how many."""

    old: int
    of_old: int
    new: int
    of_new: int
    fresh: int
    """Carriers among the candidate's texts that production has not."""
    of_fresh: int
    documents: int
    """Documents of those."""


def units(side: Side, *, chunks: bool) -> str:
    """Relation document_id, content_hash, context (titles and headings before it), text: what is judged (law 2)."""
    if chunks:
        return f"(SELECT document_id, content_hash, context, text FROM {side.chunks})"
    return f"(SELECT document_id, content_hash, title || ' ' AS context, text FROM {side.documents})"


def alike(old: Side, new: Side) -> bool:
    """Whether two versions are chunked alike."""
    a, b = old.version, new.version
    return a.chunk_table == b.chunk_table or (a.chunker is not None and a.chunker == b.chunker)


def read_texts(lake: Lake, old: str, new: str) -> float:
    """Fill ``damage_units`` (document_id, content_hash, is_old, in_both) and ``damage_texts``; returns the share that was drawn."""
    most = int(lake.row(f"SELECT greatest((SELECT count(*) FROM {old}), (SELECT count(*) FROM {new}))")[0])
    share = min(1.0, SAMPLE / max(1, most))
    drawn = f"substr(content_hash, 1, 8) < '{round(share * (16**8 - 1)):08x}'" if share < 1 else "true"
    one = "any_value(context) AS context, any_value(text) AS text"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE damage_units AS
            SELECT document_id, content_hash, is_old, document_id IN (SELECT document_id FROM {old})
                   AND document_id IN (SELECT document_id FROM {new}) AS in_both
            FROM (SELECT document_id, content_hash, true AS is_old FROM {old} WHERE {drawn} UNION ALL
                  SELECT document_id, content_hash, false FROM {new} WHERE {drawn})"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE damage_texts AS
            WITH here AS (SELECT content_hash, {one} FROM {new} WHERE {drawn} GROUP BY content_hash),
                 gone AS (SELECT content_hash, {one} FROM {old} o ANTI JOIN here USING (content_hash)
                          WHERE {drawn} GROUP BY content_hash)
            SELECT content_hash, context, text, {plain("text")} AS plain,
                   content_hash NOT IN (SELECT content_hash FROM damage_units WHERE is_old) AS fresh
            FROM (FROM here UNION ALL FROM gone)"""
    )
    return share


def mark_texts(lake: Lake) -> None:
    """Fill ``damage_signs``: is_old, in_both, document_id, content_hash, fresh, and a column for each of ``SIGNS``."""
    _mark_repeated(lake)
    common, share = _commonest(lake)
    own = {**signs("(context || text)", "text", "plain"), "small_words": small_words("plain", common, share)}
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE damage_own AS
            SELECT content_hash, fresh, {", ".join(f"{sql} AS {name}" for name, sql in own.items())} FROM damage_texts"""
    )
    judged = ", ".join(f"{sign} AND in_both AS {sign}" for sign in IN_BOTH)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE damage_signs AS
           SELECT u.is_old, u.in_both, u.document_id, o.* REPLACE ({judged}),
                  (u.is_old, u.content_hash) IN (FROM damage_repeating) AS repeated
           FROM damage_units u JOIN damage_own o USING (content_hash)"""
    )


def count_signs(lake: Lake) -> Mapping[str, Counted]:
    """By sign."""
    every = {sign: "in_both" if sign in IN_BOTH else "true" for sign in SIGNS}
    counts = [
        f"""count(*) FILTER (is_old AND {sign}), count(*) FILTER (is_old AND {every[sign]}),
            count(*) FILTER (NOT is_old AND {sign}), count(*) FILTER (NOT is_old AND {every[sign]}),
            count(*) FILTER (NOT is_old AND fresh AND {sign}), count(*) FILTER (NOT is_old AND fresh AND {every[sign]}),
            count(DISTINCT CASE WHEN NOT is_old AND fresh AND {sign} THEN document_id END)"""
        for sign in SIGNS
    ]
    row = [int(value) for value in lake.row(f"SELECT {', '.join(counts)} FROM damage_signs")]
    width = len(row) // len(SIGNS)
    return {sign: Counted(*row[place * width : (place + 1) * width]) for place, sign in enumerate(SIGNS)}


def _mark_repeated(lake: Lake) -> None:
    """``damage_passages``: passages of each text, its beginning and its end. ``damage_often``: those of law 3."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE damage_passages AS
            SELECT DISTINCT content_hash, md5_number_lower(passage) AS passage FROM {_passages("damage_texts")}
            WHERE length(passage) >= {_PASSAGE}"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE damage_often AS
            WITH held AS (SELECT is_old, count(DISTINCT document_id) AS documents FROM damage_units GROUP BY is_old)
            SELECT is_old, passage, count(DISTINCT document_id) AS documents
            FROM damage_units JOIN damage_passages USING (content_hash) GROUP BY is_old, passage
            HAVING count(DISTINCT document_id) >= greatest({_OFTEN}, {_OFTEN_SHARE} *
                   (SELECT documents FROM held h WHERE h.is_old = damage_units.is_old))"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE damage_repeating AS
           SELECT DISTINCT o.is_old, p.content_hash FROM damage_often o JOIN damage_passages p USING (passage)"""
    )


def _passages(texts: str) -> str:
    """Relation content_hash and passage: of each text what stands between marks, its beginning and its end."""
    windows = f"[left(plain, {_WINDOW}), right(plain, {_WINDOW})]"
    return f"""(
        FROM {passages(texts, "content_hash", _PASSAGE)} UNION ALL
        SELECT content_hash, unnest({windows}) FROM {texts} WHERE length(plain) > {2 * _WINDOW})"""


def often(lake: Lake, limit: int) -> list[tuple[list[str], int, int]]:
    """Passages that have become frequent: some documents that share one, how many of production do, how many of the candidate."""
    rows = lake.rows(
        f"""WITH top AS (SELECT n.passage, coalesce(o.documents, 0) AS before, n.documents AS now
                FROM (FROM damage_often WHERE NOT is_old) n LEFT JOIN (FROM damage_often WHERE is_old) o USING (passage)
                WHERE n.documents > coalesce(o.documents, 0) ORDER BY now - before DESC, passage LIMIT {int(limit)}),
            held AS (SELECT DISTINCT passage, document_id FROM top JOIN damage_passages USING (passage)
                JOIN (FROM damage_units WHERE NOT is_old) USING (content_hash)),
            shown AS (SELECT passage, min(document_id, 3) AS documents FROM held GROUP BY passage)
        SELECT DISTINCT documents, before, now FROM top JOIN shown USING (passage) ORDER BY now - before DESC, documents"""
    )
    return [(list(documents), int(before), int(now)) for documents, before, now in rows]


def _commonest(lake: Lake) -> tuple[list[str], float]:
    """Production's commonest words, and what share of all its words they are."""
    texts = f"(SELECT plain FROM damage_texts WHERE NOT fresh ORDER BY content_hash LIMIT {_WORDED})"
    rows = lake.rows(
        f"""SELECT word, count(*) FROM (SELECT unnest(string_split(plain, ' ')) AS word FROM {texts})
            WHERE word <> '' GROUP BY word ORDER BY 2 DESC, 1 LIMIT {COMMON}"""
    )
    total = int(lake.row(f"SELECT coalesce(sum({sql_plain_words('plain')}), 0)::BIGINT FROM {texts}")[0])
    return [str(word) for word, _ in rows], sum(int(number) for _, number in rows) / max(1, total)
