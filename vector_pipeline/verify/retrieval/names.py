"""Under which name a version answers what is judged: judgements know ids, and ids come and go while texts stay.

Laws
----
1. Documents of a version that have the same text are one document. It goes by the first of its judged names.
2. A judged name that the version has not belongs to the text that the other version has under it; or else to where that text went,
   edited, merged or split (``lost.followed``).
3. A document without text is like no other.
"""

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.lost.followed import FOLLOWED
from vector_pipeline.verify.lost.moved import lost_of
from vector_pipeline.verify.retrieval.judgements import Judgements


def one_of_each(
    context: GateContext, side: Side, other: Side | None, judged: Judgements, answered: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Of judged and answered documents the name that each goes by, where it is not its own; and relevant ones not there."""
    relevant = {name for grades in judged.relevance.values() for name, grade in grades.items() if grade > 0}
    every = {name for grades in judged.relevance.values() for name in grades}
    texts = _texts(context, side, every | set(answered))
    away = every - set(texts)
    if other is not None and away:
        known = _texts(context, other, away)
        here = _held(context, side, set(known.values()))
        texts |= {name: text for name, text in known.items() if text in here}
        for name, place in _went(context, side, sorted(set(known) - set(texts))):
            texts[place] = texts.setdefault(name, texts.get(place, place))
    first: dict[str, str] = {}
    for name in sorted(every & set(texts)):
        first.setdefault(texts[name], name)
    names = {name: first[text] for name, text in texts.items() if first.get(text, name) != name}
    return names, sorted(relevant - set(texts))


def by_one_name(judged: Judgements, names: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Judgements by the names of ``one_of_each``: the best grade of each."""
    found: dict[str, dict[str, int]] = {}
    for query, grades in judged.relevance.items():
        found[query] = {}
        for name, grade in grades.items():
            one = names.get(name, name)
            found[query][one] = max(grade, found[query].get(one, grade))
    return found


def _texts(context: GateContext, side: Side, names: Collection[str]) -> dict[str, str]:
    """Of the documents that a side has: what tells their texts apart."""
    with context.lake.registered("judged_documents", pa.table({"document_id": pa.array(sorted(names), pa.string())})):
        rows = context.lake.rows(
            f"""SELECT document_id, CASE WHEN trim(text) = '' THEN document_id ELSE content_hash END
                FROM {side.documents} SEMI JOIN judged_documents USING (document_id)"""
        )
    return {str(name): str(text) for name, text in rows}


def _went(context: GateContext, side: Side, names: Sequence[str]) -> list[tuple[str, str]]:
    """Of documents of the other version that a side has not: where on this side their texts are."""
    if context.production is None or not names:
        return []
    lost_of(context, context.production)
    here, there = (f"(SELECT document_id, name FROM {FOLLOWED} WHERE is_old = {one})" for one in _order(context, side))
    with context.lake.registered("judged_documents", pa.table({"document_id": pa.array(names, pa.string())})):
        rows = context.lake.rows(
            f"""WITH j AS (SELECT document_id, coalesce(name, document_id) AS name
                           FROM judged_documents LEFT JOIN {there} USING (document_id)),
                     n AS (FROM {here} UNION ALL
                           SELECT document_id, document_id FROM {side.documents} ANTI JOIN {here} h USING (document_id)
                           WHERE document_id IN (SELECT name FROM j))
                SELECT j.document_id, n.document_id FROM j JOIN n USING (name) ORDER BY ALL"""
        )
    return [(str(name), str(place)) for name, place in rows]


def _order(context: GateContext, side: Side) -> tuple[bool, bool]:
    """``is_old`` of a side and of the other one."""
    return side is context.production, side is not context.production


def _held(context: GateContext, side: Side, texts: Collection[str]) -> set[str]:
    with context.lake.registered("judged_texts", pa.table({"content_hash": pa.array(sorted(texts), pa.string())})):
        rows = context.lake.rows(
            f"SELECT DISTINCT content_hash FROM {side.documents} SEMI JOIN judged_texts USING (content_hash)"
        )
    return {str(row[0]) for row in rows}
