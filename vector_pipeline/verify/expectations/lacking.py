"""Every text of a version has a vector: demanded always, whatever the suite says.

Laws
----
1. Chunks are asked, not vectors: what is missing stands in no table of vectors, and no expectation on rows sees it.
2. Of the lake's present state it is not demanded: a build may be half done, and no version is made before it is whole.
"""

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.expectations.finding import Finding, map_result
from vector_pipeline.verify.expectations.suite import Expectation
from vector_pipeline.verify.outcome import EXAMPLES

EVERY_TEXT = Expectation("every_text_has_a_vector", {}, {"says": "every text has a vector"})


def lacking(lake: Lake, tables: SpaceTables, version: Version) -> Finding | None:
    """Records of a version whose text has no vector in their shard; None where there are none."""
    count, named = lake.row(
        f"""SELECT count(*), min_by({{content_hash: content_hash, shard: shard, document_id: document_id}}, record_id, {EXAMPLES})
            FROM {at(tables.chunks, version.lake_snapshot)} ANTI JOIN {tables.embeddings} USING (shard, content_hash)"""
    )
    if not count:
        return None
    return Finding(EVERY_TEXT, False, map_result(version.records, version.records, int(count)), named)
