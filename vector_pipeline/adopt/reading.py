"""One batch of an index's records into rows of hashes and scalars, by the engine: no text and no vector stays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.corpus.record_sql import quoted
from vector_pipeline.hashing import sql_content_hash
from vector_pipeline.lake.connection import Lake

_SHAPES = (
    ("ours", r"[0-9a-f]{24}#[0-9a-f]{24}(\.[0-9]+)?(~[0-9]+)?"),
    ("uuid", r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    ("number", r"[0-9]+"),
    ("hash", r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}"),
    ("name and number", r".*[^0-9A-Za-z][0-9]+"),
)
_OBJECT = "CASE WHEN json_valid(metadata) AND json_type(metadata) = 'OBJECT' THEN metadata ELSE '{}' END"


def prepare(lake: Lake) -> None:
    """Empty tables ``adopt_records`` and ``adopt_keys``."""
    lake.run(
        """CREATE OR REPLACE TEMP TABLE adopt_records (
               id VARCHAR, document_id VARCHAR, text_from VARCHAR, text_hash VARCHAR, normal_hash VARCHAR,
               vector_hash VARCHAR, norm DOUBLE, ours BOOLEAN, shape VARCHAR, keys_hash VARCHAR)"""
    )
    lake.run("CREATE OR REPLACE TEMP TABLE adopt_keys (key VARCHAR, type VARCHAR, records BIGINT)")


def vector_facts(vectors: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """Of fixed-size lists of float32: their bytes (``binary[n]``), and their lengths (not finite where a component is not)."""
    lists = vectors.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    width = lists.type.list_size
    values = np.ascontiguousarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    rows = values.reshape(-1, width)
    # In double precision no sum of squares of finite float32 overflows.
    with np.errstate(invalid="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    raw = pa.Array.from_buffers(pa.binary(4 * width), len(rows), [None, pa.py_buffer(values)])
    return raw, lengths


def take(lake: Lake, records: pa.Table, text_keys: Sequence[str]) -> None:
    """Add whole records to ``adopt_records`` and ``adopt_keys``."""
    if not records.num_rows:
        return
    raw, lengths = vector_facts(records["vector"])
    taken = records.select(["id", "document_id", "content_hash", "text", "metadata"])
    taken = taken.append_column("raw", raw).append_column("norm", pa.array(lengths))
    with lake.registered("adopt_batch", taken):
        lake.run(f"INSERT INTO adopt_records {_facts(text_keys)}")
        lake.run(
            f"""INSERT INTO adopt_keys SELECT k.key, k.type, count(*)
                FROM (SELECT {_OBJECT} AS object FROM adopt_batch) r, json_each(r.object) k GROUP BY ALL"""
        )


def _facts(text_keys: Sequence[str]) -> str:
    """SELECT of the rows of ``adopt_records`` from ``adopt_batch``."""
    found = "".join(f" WHEN {_key(key)} <> '' THEN {quoted(f'metadata {key}')}" for key in text_keys)
    texts = "".join(f" WHEN {_key(key)} <> '' THEN {_key(key)}" for key in text_keys)
    shapes = "".join(f" WHEN regexp_full_match(id, '{pattern}') THEN '{name}'" for name, pattern in _SHAPES)
    # A key that is in every record says nothing about its text; which keys a record has tells who wrote it.
    return f"""
        WITH read AS (
            SELECT id, document_id, raw, norm, content_hash, {_OBJECT} AS object,
                   CASE WHEN text <> '' THEN 'text'{found} END AS text_from,
                   CASE WHEN text <> '' THEN text{texts} END AS said
            FROM (SELECT * REPLACE (coalesce(text, '') AS text, coalesce(metadata, '') AS metadata) FROM adopt_batch))
        SELECT id, document_id, text_from, {sql_content_hash("said")}, {sql_content_hash(sql_normal("said"))}, md5(raw),
               CASE WHEN isfinite(norm) THEN norm END,
               regexp_full_match(id, '{_SHAPES[0][1]}') AND regexp_full_match(content_hash, '[0-9a-f]{{32}}'),
               CASE{shapes} ELSE 'other' END, md5(array_to_string(list_sort(json_keys(object)), chr(31)))
        FROM read"""


def sql_normal(column: str) -> str:
    """DuckDB expression of a text without what editors and exporters change: runs of blanks, and how accents are composed."""
    return f"trim(regexp_replace(nfc_normalize({column}), '[\\s\\p{{Z}}]+', ' ', 'g'))"


def _key(key: str) -> str:
    # As a path, quoted: a bare key that begins with $ or / would be read as one.
    path = '$."' + key.replace('"', "") + '"'
    return f"coalesce(json_extract_string({_OBJECT}, {quoted(path)}), '')"
