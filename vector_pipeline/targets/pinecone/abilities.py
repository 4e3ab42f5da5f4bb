"""What Pinecone can do, as figures. Source: https://docs.pinecone.io/reference/api/database-limits (November 2026)."""

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.targets.base import Capabilities, Ending
from vector_pipeline.targets.pinecone.encoding import MAX_METADATA, MAX_RECORDS
from vector_pipeline.targets.pinecone.writing import FILTER, REWRITE, UPDATE

_BATCH_BYTES = 900_000
"""In Arrow: as JSON two to three times as much, about one request of 2 MB. What is more is cut (``encoding``)."""
_BESIDE = 350
"""An id of 49 bytes, which stands in the metadata too, hashes and marks, with their names: 337 with a short document id."""
_PARALLEL = 8
_RECORDS_PER_S = 2_000.0
_REQUEST_S = 0.1


def abilities(config: PineconeTargetConfig) -> Capabilities:
    limits = config.limits
    return Capabilities(
        numeric_filters=True,
        scans_marks=False,
        atomic_batches=False,
        fencing=False,
        metrics=frozenset({"cosine", "dotproduct", "euclidean"}),
        max_batch_records=MAX_RECORDS,
        max_batch_bytes=_BATCH_BYTES,
        max_top_k=10_000,
        approximate=True,
        exact=False,
        eventually_consistent=True,
        # ``update`` merges: a key that must go would stay.
        updates_metadata=False,
        derives=False,
        parallel_writes=config.parallel_writes or _PARALLEL,
        records_per_s=_RECORDS_PER_S,
        request_s=_REQUEST_S,
        orders_lists=False,
        max_record_bytes=MAX_METADATA,
        record_overhead=_BESIDE,
        zero_vectors=False,
        endings=(
            Ending(UPDATE, 1, limits.requests, limits.updates),
            Ending(FILTER, 10_000, limits.by_metadata, limits.by_metadata * 10_000),
            Ending(REWRITE, 250, limits.requests, _RECORDS_PER_S, rewrites=True),
        ),
        fixed_dimension=True,
        aliases_namespaces=config.namespace_aliases,
        imports=config.import_uri is not None,
        billing="pinecone",
    )
