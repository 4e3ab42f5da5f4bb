"""The SELECTs that make facts: per row what expectations need to know, and never a text or a vector.

They run where the data is (DuckDB), so that a gate over a million vectors moves a few numbers a row, not gigabytes.
``relation`` is whatever may stand after FROM: a quoted name, a name ``AT (VERSION => 3)``, a subquery in parentheses.
"""

DOCUMENT_FACTS = ("document_id", "shard", "chars", "content_hash", "title")
CHUNK_FACTS = ("record_id", "document_id", "ordinal", "chars", "bad_chars", "duplicate")
EMBEDDING_FACTS = ("content_hash", "shard", "dimension", "finite", "norm", "spread")

_REPLACEMENT = "chr(65533)"


def documents_facts(relation: str) -> str:
    """Facts of documents(shard, document_id, text, title, content_hash); ``chars``: the text's length in characters."""
    return f"""
        SELECT document_id, shard, coalesce(length(text), 0) AS chars, content_hash, title
        FROM {relation}
    """


def chunks_facts(relation: str) -> str:
    """Facts of chunks(document_id, ordinal, text, content_hash, record_id).

    ``bad_chars`` counts U+FFFD, which a decoder writes where it lost a character. ``duplicate`` (0 or 1) says that the
    same text stands in another document too.
    """
    return f"""
        SELECT record_id, document_id, ordinal, coalesce(length(text), 0) AS chars,
            coalesce(length(text) - length(replace(text, {_REPLACEMENT}, '')), 0) AS bad_chars,
            (content_hash IN (
                SELECT content_hash FROM {relation}
                GROUP BY content_hash HAVING min(document_id) <> max(document_id)
            ))::TINYINT AS duplicate
        FROM {relation}
    """


def embeddings_facts(relation: str, dimension: int | None = None) -> str:
    """Facts of embeddings(shard, content_hash, vector FLOAT[]).

    ``norm`` is the Euclidean length, ``spread`` the largest component minus the smallest; both are null where
    ``finite`` is false (a null, NaN or infinite component, or none at all). With ``dimension`` given, they are null for
    vectors of another length too, which are not worth the arithmetic.
    """
    measured = "finite" if dimension is None else f"finite AND dimension = {int(dimension)}"
    # Not list_inner_product: it refuses a column that holds a null component anywhere, even where CASE looks away.
    return f"""
        SELECT content_hash, shard, dimension, finite,
            CASE WHEN {measured} THEN sqrt(list_sum(list_transform(vector, lambda x: x::DOUBLE * x))) END AS norm,
            CASE WHEN {measured} THEN list_max(vector) - list_min(vector) END AS spread
        FROM (
            SELECT content_hash, shard, vector, coalesce(len(vector), 0) AS dimension,
                coalesce(list_count(vector) = len(vector) AND isfinite(list_sum(vector)), false) AS finite
            FROM {relation}
        )
    """
