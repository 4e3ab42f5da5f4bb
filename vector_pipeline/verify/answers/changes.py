"""What became of the documents that answered: the names that both versions know them by, and how they changed.

Laws
----
1. Documents that were moved, merged or split, edited or not, go by the name that both versions know (``lost.followed``).
2. A document is *unchanged* when both versions have it with the same contents; *changed* when both have it; *replaced* when both
   have its id, for altogether other texts (``text damage`` counts and bounds those); *added* or *removed* when only one has it.
"""

from collections.abc import Iterable

import pyarrow as pa

from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.damage.documents import REPLACED as FEW_WORDS
from vector_pipeline.verify.damage.documents import SHORT, words_left
from vector_pipeline.verify.lost.followed import FOLLOWED
from vector_pipeline.verify.lost.moved import lost_of, plain

UNCHANGED, CHANGED, REPLACED, ADDED, REMOVED = "unchanged", "changed", "replaced", "added", "removed"


def names_of(
    context: GateContext, production: Side, answers: Iterable[Iterable[str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Of the answered documents of production, and of the candidate, those that go by another name than their id (law 1)."""
    lost_of(context, production)
    with context.lake.registered("answered", _ids(name for one in answers for name in one)):
        rows = context.lake.rows(
            f"SELECT is_old, document_id, name FROM {FOLLOWED} SEMI JOIN answered USING (document_id)"
        )
    old, new = ({str(one): str(name) for is_old, one, name in rows if is_old == wanted} for wanted in (True, False))
    return old, new


def changes_of(context: GateContext, production: Side, answers: Iterable[Iterable[str]]) -> dict[str, str]:
    """What became of documents (law 2), by the names of law 1."""
    with context.lake.registered("answered", _ids(name for one in answers for name in one)):
        rows = context.lake.rows(
            f"""WITH a AS ({_contents(production, is_old=True)}), b AS ({_contents(context.candidate, is_old=False)})
                SELECT name, a.contents, b.contents FROM a FULL JOIN b USING (name) ORDER BY name"""
        )
    changes = {str(name): _change(old, new) for name, old, new in rows}
    with context.lake.registered("answered", _ids(name for name, change in changes.items() if change == CHANGED)):
        others = context.lake.rows(
            f"""SELECT document_id FROM (
                    SELECT document_id, {plain("o.text")} AS a, {plain("n.text")} AS b
                    FROM {production.documents} o JOIN {context.candidate.documents} n USING (document_id)
                    SEMI JOIN answered USING (document_id))
                WHERE length(replace(a, ' ', '')) >= {SHORT} AND {words_left("a", "b")} < {FEW_WORDS}"""
        )
    return changes | {str(row[0]): REPLACED for row in others}


def _contents(side: Side, *, is_old: bool) -> str:
    """Of each of the answered names (law 1) what its documents hold."""
    followed = f"(SELECT document_id, name FROM {FOLLOWED} WHERE is_old = {is_old})"
    return f"""SELECT name, md5(string_agg(content_hash, ',' ORDER BY content_hash)) AS contents
               FROM {side.chunks} c JOIN (
                    SELECT document_id, name FROM {followed} WHERE name IN (FROM answered) UNION ALL
                    SELECT document_id, document_id FROM answered ANTI JOIN {followed} USING (document_id))
               USING (document_id) GROUP BY name"""


def _change(old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return ADDED if old is None else REMOVED
    return UNCHANGED if old == new else CHANGED


def stayed_of(context: GateContext, answers: Iterable[Iterable[tuple[str, str]]]) -> frozenset[tuple[str, str]]:
    """Of (document, content) those that the candidate has too."""
    pairs = sorted({pair for one in answers for pair in one})
    table = pa.table(
        {
            "name": pa.array([document for document, _ in pairs], pa.string()),
            "content_hash": pa.array([content for _, content in pairs], pa.string()),
        }
    )
    with context.lake.registered("answered_contents", table):
        rows = context.lake.rows(
            f"""WITH held AS (
                    SELECT coalesce(f.name, c.document_id) AS name, content_hash
                    FROM (FROM {context.candidate.chunks} SEMI JOIN answered_contents USING (content_hash)) c
                    LEFT JOIN (FROM {FOLLOWED} WHERE NOT is_old) f USING (document_id))
                SELECT name, content_hash FROM answered_contents SEMI JOIN held USING (name, content_hash)"""
        )
    return frozenset((str(name), str(content)) for name, content in rows)


def added_share(context: GateContext, production: Side) -> float:
    """Share of the candidate's documents that production has not, under any name."""
    came, every = context.lake.row(
        f"""SELECT count(*) FILTER (document_id NOT IN (SELECT document_id FROM {production.documents})
                                    AND document_id NOT IN (SELECT document_id FROM {FOLLOWED} WHERE NOT is_old)), count(*)
            FROM {context.candidate.documents}"""
    )
    return int(came) / max(1, int(every))


def _ids(names: Iterable[str]) -> pa.Table:
    return pa.table({"document_id": pa.array(sorted(set(names)), pa.string())})
