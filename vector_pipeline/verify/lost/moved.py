"""Which documents are gone, content and all: not those that were moved, renamed, split or merged.

Laws
----
1. A document is gone when no document of the candidate has its id. It is *lost* when its text does not live on either: as a whole
   under another id, or at least half of it in passages of documents that are new or changed.
2. A passage is what stands between two marks of punctuation or in a paragraph, without blanks, case and marks: wrapping and
   markup do not tell two apart, and one edited word changes one passage.
3. A passage that many gone documents share (a footer) says little of any of them: it counts by its share, and only as often as
   it is found again.
4. Only what came with a new or changed document can be a gone one's: what that document had before, or what all of another
   document's text was that moved there, was not.
"""

from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.lost.followed import PAIRS, follow

LOST = "lost_documents"
"""Temporary table: shard, document_id, content_hash, title, metadata, kept (0 to 1: how much of it lives on)."""
_KEPT = 0.5
_FEW = 4
"""So many documents may have a passage that says where one went."""
_SHORTEST = 12
"""Characters of a passage that tells one document from another."""
_MARK = "\x1f"
_ENDS = r"[.!?;,:()。！？；，、：]+(?:\s+|$)|\n\s*\n|\n\s*[-*+#>|]"


def plain(text: str) -> str:
    """SQL: a text as its letters and digits, one blank between words."""
    return rf"trim(regexp_replace(lower(nfc_normalize({text})), '[^\p{{L}}\p{{N}}]+', ' ', 'g'))"


def passages(relation: str, keys: str, shortest: int = _SHORTEST) -> str:
    """Relation of ``keys`` and passage: the passages (law 2) of the column ``text``; the whole text where none is long enough."""
    # Marked, stripped and split as a whole: one expression for each part takes five times as long.
    marked = rf"regexp_replace(lower(nfc_normalize(text)), '{_ENDS}', '{_MARK}', 'g')"
    stripped = rf"regexp_replace({marked}, '[^\p{{L}}\p{{N}}{_MARK}]+', ' ', 'g')"
    parts = f"list_transform(string_split({stripped}, '{_MARK}'), lambda part: trim(part))"
    return f"""(
        SELECT {keys}, unnest(CASE WHEN len(long) > 0 THEN long ELSE [{plain("text")}] END) AS passage
        FROM (SELECT {keys}, text, list_filter({parts}, lambda part: length(part) >= {int(shortest)}) AS long FROM {relation}))"""


def lost_of(context: GateContext, production: Side) -> int:
    """``find_lost``, once for all gates of a verification."""
    return context.once(
        "lost documents", lambda: find_lost(context.lake, production.documents, context.candidate.documents)
    )


def find_lost(lake: Lake, old: str, new: str) -> int:
    """Fill ``LOST`` and ``FOLLOWED`` from two relations of documents; returns how many documents are gone, lost or moved."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE gone_documents AS
            SELECT o.shard, o.document_id, o.content_hash, o.title, o.metadata,
                   trim(o.text) <> '' AND o.content_hash IN (SELECT content_hash FROM {new}) AS moved
            FROM {old} o ANTI JOIN {new} n USING (document_id)"""
    )
    gone, unknown = lake.row("SELECT count(*), count(*) FILTER (NOT moved) FROM gone_documents")
    lake.run(
        """CREATE OR REPLACE TEMP TABLE kept_documents AS
           SELECT document_id, 1.0::DOUBLE AS kept FROM gone_documents WHERE false"""
    )
    lake.run(f"CREATE OR REPLACE TEMP TABLE {PAIRS} (document_id VARCHAR, now VARCHAR, chars BIGINT)")
    if unknown:
        gone_texts = f"{old} o SEMI JOIN (SELECT document_id FROM gone_documents WHERE NOT moved) g USING (document_id)"
        found_again(lake, "kept_documents", gone_texts, old, new)
        _pair(lake)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE {LOST} AS
            SELECT g.shard, g.document_id, g.content_hash, g.title, g.metadata, coalesce(k.kept, 0) AS kept
            FROM gone_documents g LEFT JOIN kept_documents k USING (document_id)
            WHERE NOT g.moved AND coalesce(k.kept, 0) < {_KEPT}"""
    )
    follow(lake, old, new, _KEPT)
    return int(gone)


def found_again(lake: Lake, name: str, missing: str, old: str, new: str) -> None:
    """Temporary table ``name``: document_id, kept: the share of its passages that came to documents new or changed in ``new``.

    ``missing``: relation (with the alias ``o``) of the documents of ``old`` that are looked for.
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE missing_passages AS
            SELECT DISTINCT document_id, md5_number_lower(passage) AS passage, length(passage) AS chars
            FROM {passages(f"(SELECT o.document_id, o.text FROM {missing})", "document_id")}
            WHERE passage <> ''"""
    )
    gone = f"(SELECT content_hash FROM {old} ANTI JOIN {new} n USING (document_id))"
    whole = f"(SELECT document_id FROM {new} ANTI JOIN {old} o USING (document_id) WHERE content_hash IN {gone})"
    same = f"(SELECT document_id, content_hash FROM {old}) same"
    fresh = f"""(SELECT document_id, text FROM {new} n ANTI JOIN {same} USING (document_id, content_hash)
                 WHERE document_id NOT IN {whole})"""
    _hold(lake, "passages_now", fresh)
    # Their former texts. What is looked for is no former text of anything, though a document of its id may have stayed.
    _hold(
        lake,
        "passages_before",
        f"""(SELECT document_id, text FROM {old} o SEMI JOIN (SELECT DISTINCT document_id FROM passages_now) USING (document_id)
             WHERE document_id NOT IN (SELECT document_id FROM missing_passages))""",
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE found_passages AS
           WITH before AS (SELECT passage, count(*) AS documents FROM passages_before GROUP BY passage)
           SELECT passage, greatest(0, count(*) - coalesce(any_value(b.documents), 0)) AS found
           FROM passages_now LEFT JOIN before b USING (passage) GROUP BY passage"""
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE {name} AS
            WITH shared AS (SELECT passage, count(*) AS documents FROM missing_passages GROUP BY passage)
            SELECT m.document_id,
                   sum(m.chars / s.documents * least(1, coalesce(f.found, 0) / s.documents))
                   / sum(m.chars / s.documents) AS kept
            FROM missing_passages m JOIN shared s USING (passage) LEFT JOIN found_passages f USING (passage)
            GROUP BY m.document_id"""
    )


def _hold(lake: Lake, name: str, documents: str) -> None:
    """Temporary table ``name``: which of some documents hold which of the passages that are looked for."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE {name} AS
            SELECT DISTINCT document_id, passage
            FROM (SELECT document_id, md5_number_lower(passage) AS passage FROM {passages(documents, "document_id")})
            SEMI JOIN missing_passages USING (passage)"""
    )


def _pair(lake: Lake) -> None:
    """Fill ``PAIRS`` after ``found_again``."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE {PAIRS} AS
            WITH came AS (FROM passages_now ANTI JOIN passages_before USING (document_id, passage)),
                 rare AS (SELECT passage FROM missing_passages GROUP BY passage HAVING count(*) <= {_FEW} INTERSECT
                          SELECT passage FROM came GROUP BY passage HAVING count(*) <= {_FEW})
            SELECT m.document_id, c.document_id AS now, sum(m.chars)::BIGINT AS chars
            FROM missing_passages m JOIN came c USING (passage) SEMI JOIN rare USING (passage) GROUP BY ALL"""
    )
