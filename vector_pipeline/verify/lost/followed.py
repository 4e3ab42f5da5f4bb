"""Where documents went that are gone and not lost: by which name both versions know one text. Reads what ``moved`` found.

Laws
----
1. A gone document is at *home* in the document of the candidate that has its text: all of it, or else most of what is found of its
   passages. Of several that were merged the home is the same.
2. A document that came, is nobody's home, and has a good part of its own text of a gone one, is a *part* of it: it was split.
3. A passage that several have says nothing of where one went.
4. Names are production's: a home that production knows has its own, another one the first of those that are at home there.
"""

from vector_pipeline.lake.connection import Lake

FOLLOWED = "followed_documents"
"""Temporary table: is_old, document_id, name. Documents of either version that go by another name than their id."""
PAIRS = "followed_pairs"
"""Temporary table: document_id of a gone document, now: one of the candidate to which passages of it came, chars: their letters."""
_OWN = 0.4
"""Share of the letters of a part that its passages show to be of the document that was split."""


def follow(lake: Lake, old: str, new: str, kept: float) -> None:
    """Fill ``FOLLOWED`` from ``gone_documents``, ``kept_documents`` and ``PAIRS``, which ``moved`` makes.

    ``kept``: share of its passages with which a document is not lost.
    """
    _homes(lake, old, new, kept)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE followed_homes_named AS
            SELECT home, CASE WHEN home IN (SELECT document_id FROM {old}) THEN home ELSE min(document_id) END AS name
            FROM followed_homes GROUP BY home"""
    )
    # A part is nobody's home, and came; of several documents it is the one's that it has most of.
    parts = f"""
        SELECT p.now AS document_id, first(h.home ORDER BY p.chars DESC, h.document_id) AS home, max(p.chars) AS chars
        FROM {PAIRS} p JOIN followed_homes h USING (document_id)
        WHERE p.now NOT IN (SELECT home FROM followed_homes) AND p.now NOT IN (SELECT document_id FROM {old})
        GROUP BY p.now"""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE {FOLLOWED} AS
            WITH parts AS ({parts}),
                 whose AS (
                    SELECT true AS is_old, document_id, home FROM followed_homes UNION ALL
                    SELECT false, home, home FROM (SELECT DISTINCT home FROM followed_homes) UNION ALL
                    SELECT false, p.document_id, p.home FROM parts p JOIN {new} n USING (document_id)
                    WHERE p.chars >= {_OWN} * length(n.text))
            SELECT is_old, document_id, name FROM whose JOIN followed_homes_named USING (home) WHERE name <> document_id"""
    )


def _homes(lake: Lake, old: str, new: str, kept: float) -> None:
    """``followed_homes``: document_id, home (law 1). Equal texts go one by one to as many as came."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE followed_homes AS
            WITH gone AS (
                SELECT document_id, content_hash, row_number() OVER (PARTITION BY content_hash ORDER BY document_id) - 1 AS place
                FROM gone_documents WHERE moved),
            there AS (
                SELECT content_hash, list(document_id ORDER BY document_id) AS every,
                       list(document_id ORDER BY document_id) FILTER (document_id NOT IN (SELECT document_id FROM {old})) AS came
                FROM {new} SEMI JOIN gone USING (content_hash) GROUP BY content_hash)
            SELECT document_id, home[1 + place % len(home)] AS home
            FROM (SELECT *, coalesce(came, every) AS home FROM gone JOIN there USING (content_hash)) UNION ALL
            SELECT document_id, first(now ORDER BY chars DESC, now)
            FROM {PAIRS} SEMI JOIN (SELECT document_id FROM kept_documents WHERE kept >= {kept}) USING (document_id)
            GROUP BY document_id"""
    )
