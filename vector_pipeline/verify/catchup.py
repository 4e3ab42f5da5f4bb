"""The gate ``catch up``: a candidate in another space than production's holds every document that is served, as it is there.

Laws
----
1. Counted over all rows, in the lake: no sample, no tolerance.
2. A document of production's is *missing* where the candidate has none of that id, *behind* where it has another revision. Neither
   counts where the candidate describes a later state of the documents: then it was deleted or edited since, and the candidate is
   right. A candidate that describes an earlier state would take readers back in time: both count, but for documents whose records
   would be the same of either revision.
3. What the candidate holds is whole: each of its documents has its chunks, of that revision; each chunk its vector, of the
   version's dimension; no chunk is of a document that is gone, and none stands twice.
4. Between versions of one space this holds already (law 1 of ``lake.snapshots``; ``lost content`` tells what is gone), and passes.
"""

from collections.abc import Mapping
from typing import Any

from vector_pipeline.verify.context import GateContext, Side
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status

NAME = "catch up"
NOTHING_SERVED = "no other version is served: nothing to catch up with"


def judge(context: GateContext) -> CheckResult:
    """Laws 1 to 4. Reads ids, digests and lengths; no text, no vector."""
    production, candidate = context.production, context.candidate
    if production is None:
        return CheckResult(NAME, Status.PASSED, NOTHING_SERVED)
    old, new = production.version, candidate.version
    if (old.space, old.fingerprint) == (new.space, new.fingerprint):
        return CheckResult(NAME, Status.PASSED, f"version {old.number}, which is served, is of the same space")
    later = new.lake_snapshot >= old.lake_snapshot
    counted = {**_against(context, production, candidate), **_within(context, candidate)}
    faults = [
        f"{count:,} {words}"
        for name, words in _WORDS.items()
        if (count := counted[name]) and not (later and name in ("missing", "behind"))
    ]
    told = (
        f"{counted['served']:,} documents of version {old.number} ({old.space}) against {counted['documents']:,} of version "
        f"{new.number} ({new.space})"
    )
    since = counted["missing"] + counted["behind"] if later else 0
    detail: dict[str, Any] = {
        **counted, "production_space": old.space, "candidate_space": new.space, "candidate_is_later": later,
        "changed_since": since,
    }  # fmt: skip
    if faults:
        return CheckResult(NAME, Status.FAILED, f"{'; '.join(faults)} ({told})", detail, _examples(context, production))
    also = f"; {since:,} were edited or deleted since, and are so there" if since else ""
    return CheckResult(
        NAME, Status.PASSED, f"{told}: none missing, none behind, every chunk with its vector{also}", detail
    )


_WORDS: Mapping[str, str] = {
    "missing": "documents that production serves are missing",
    "behind": "documents are older than production's (bring them over: vector-pipeline reembed)",
    "unchunked": "documents lack their chunks",
    "pending": "chunks lack their vector",
    "misshapen": "vectors have another dimension",
    "gone": "chunks are of documents that are gone",
    "doubled": "records stand twice",
}


_RECORDS = "string_agg(c.record_id || c.metadata_hash, '\n' ORDER BY c.record_id)"


def _against(context: GateContext, production: Side, candidate: Side) -> dict[str, int]:
    # A revision that gave the same records (a blank line more) made no version: what the space holds of it now shows it.
    served, missing, behind = context.lake.row(
        f"""WITH o AS (SELECT document_id, digest FROM {production.documents}),
            n AS (SELECT document_id, digest FROM {candidate.documents}),
            other AS (SELECT o.document_id, o.digest FROM o JOIN n USING (document_id) WHERE n.digest <> o.digest),
            now AS (SELECT c.document_id, {_RECORDS} AS records FROM {candidate.tables.chunks} c
                    JOIN other ON other.document_id = c.document_id AND other.digest = c.document_digest GROUP BY ALL),
            held AS (SELECT c.document_id, {_RECORDS} AS records FROM {candidate.chunks} c SEMI JOIN other USING (document_id)
                     GROUP BY ALL)
            SELECT (SELECT count(*) FROM o), (SELECT count(*) FROM o ANTI JOIN n USING (document_id)),
                   (SELECT count(*) FROM other ANTI JOIN (SELECT document_id FROM now JOIN held USING (document_id, records)) s
                       USING (document_id))"""
    )
    return {"served": int(served), "missing": int(missing), "behind": int(behind)}


def _within(context: GateContext, candidate: Side) -> dict[str, int]:
    dimension = int(candidate.version.dimension)
    row = context.lake.row(
        f"""WITH d AS (SELECT document_id, digest FROM {candidate.documents}),
            c AS (SELECT shard, document_id, document_digest, content_hash, record_id FROM {candidate.chunks}),
            n AS (SELECT DISTINCT shard, content_hash FROM c),
            e AS (SELECT shard, content_hash, len(vector) AS length FROM {candidate.tables.embeddings} SEMI JOIN n
                  USING (shard, content_hash))
            SELECT (SELECT count(*) FROM d),
                   (SELECT count(*) FROM d ANTI JOIN (SELECT document_id, document_digest AS digest FROM c) h
                       USING (document_id, digest)),
                   (SELECT count(*) FROM n ANTI JOIN e USING (shard, content_hash)),
                   (SELECT count(*) FROM e WHERE length <> {dimension}),
                   (SELECT count(*) FROM c ANTI JOIN d USING (document_id)),
                   (SELECT count(*) - count(DISTINCT record_id) FROM c)"""
    )
    names = ("documents", "unchunked", "pending", "misshapen", "gone", "doubled")
    return {name: int(value) for name, value in zip(names, row, strict=True)}


def _examples(context: GateContext, production: Side) -> tuple[Mapping[str, Any], ...]:
    rows = context.lake.rows(
        f"""SELECT document_id, CASE WHEN n.document_id IS NULL THEN 'missing' ELSE 'behind' END
            FROM {production.documents} o LEFT JOIN {context.candidate.documents} n USING (document_id)
            WHERE n.digest IS DISTINCT FROM o.digest ORDER BY 2 DESC, 1 LIMIT {EXAMPLES}"""
    )
    return tuple({"fault": fault, "document": document} for document, fault in rows)
