"""What a namespace holds, whoever wrote it: counts, duplicates, norms, metadata keys and the shapes of its ids.

The listing is streamed and records are fetched in batches; what stays is the temporary table ``adopt_records`` with one row of
hashes and scalars for each record.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.errors import NotFoundError
from vector_pipeline.hashing import sql_content_hash
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.lines import belongs
from vector_pipeline.targets.base import NamespaceState, Target

TEXT_KEYS = ("text", "page_content", "content", "chunk_text", "chunk", "body", "document")
"""Metadata keys under which records keep their text, where a target has no place for it: the first that is there counts."""
UNIT_TOLERANCE = 1e-3
"""A vector whose length is this near to one counts as normalised."""
_BATCH_BYTES = 32_000_000
_BATCH_ROWS = 4096
_SHOWN_KEYS = 100
_OWN_NAME = re.compile(r"^([a-z][a-z0-9_]*)--[a-z][a-z0-9_]*--[0-9a-f]{8}")
_SHAPES = (
    ("ours", r"[0-9a-f]{24}#[0-9a-f]{24}(\.[0-9]+)?(~[0-9]+)?"),
    ("uuid", r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    ("number", r"[0-9]+"),
    ("hash", r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}"),
    ("name and number", r".*[^0-9A-Za-z][0-9]+"),
)
_TYPES = {
    "VARCHAR": "text", "BOOLEAN": "boolean", "ARRAY": "list", "OBJECT": "object", "NULL": "null", "BIGINT": "number",
    "UBIGINT": "number", "DOUBLE": "number", "HUGEINT": "number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """One namespace of a target."""

    namespace: str
    records: int
    dimension: int
    metric: str
    dataset: str | None
    """The dataset that it is a line of; None for one that was not made by this pipeline."""


@dataclass(frozen=True, slots=True)
class Norms:
    """Lengths of the vectors that are finite and not zero; None where there is none."""

    least: float | None
    median: float | None
    most: float | None
    normalised: int
    """Of length one, within ``UNIT_TOLERANCE``."""
    others: int

    @property
    def mixed(self) -> bool:
        """Some are normalised and some are not: two habits, or two models."""
        return bool(self.normalised and self.others)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a namespace holds."""

    target: str
    namespace: str
    dimension: int
    metric: str
    mark: str
    records: int
    bytes: int
    documents: int
    """Distinct document ids that the records carry."""
    without_text: int
    text_from: dict[str, int]
    """Where the texts stand: the record's own text, or a metadata key."""
    duplicate_texts: int
    """Records whose text another record has already."""
    duplicate_vectors: int
    """Records whose vector, byte for byte, another record has already; zero vectors left out."""
    zero_vectors: int
    not_finite: int
    norms: Norms
    metadata: dict[str, dict[str, int]]
    """Key → type → records; the most frequent keys first."""
    id_shapes: dict[str, int]
    ours: int
    """Records whose ids and hashes are of our making."""
    changed: bool
    """Somebody wrote to the namespace while it was looked at."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "mixed_norms": self.norms.mixed}


def owner_of(namespace: str) -> str | None:
    """The dataset that a namespace is a line of by its name; None for anybody's."""
    found = _OWN_NAME.match(namespace)
    return found[1] if found and belongs(namespace, found[0]) else None


def list_namespaces(target: Target, managed: dict[str, str]) -> list[Listed]:
    """Every namespace of a target, by name. ``managed``: namespace → dataset of what was deployed, whatever its name."""
    found = []
    for name in target.namespaces():
        state = target.describe(name)
        if state is not None:
            spec = state.spec
            found.append(Listed(name, state.records, spec.dimension, spec.metric, managed.get(name) or owner_of(name)))
    return found


def take_inventory(
    lake: Lake,
    target: Target,
    namespace: str,
    *,
    text_keys: Sequence[str] = TEXT_KEYS,
    on_read: Callable[[int, int], None] | None = None,
) -> Inventory:
    """Read a whole namespace into the temporary table ``adopt_records`` and describe it."""
    state = target.describe(namespace)
    if state is None:
        raise NotFoundError(
            f"target {target.name} has no namespace {namespace}",
            fix="Leave --namespace out to list what there is",
        )
    _prepare(lake)
    done = 0
    for records in _records(target, namespace, state):
        _take(lake, records, text_keys)
        done += records.num_rows
        if on_read is not None:
            on_read(done, max(done, state.records))
    after = target.describe(namespace)
    return _described(lake, target.name, state, changed=after is None or after.mark != state.mark)


def _prepare(lake: Lake) -> None:
    lake.run(
        """CREATE OR REPLACE TEMP TABLE adopt_records (
               id VARCHAR, document_id VARCHAR, text_from VARCHAR, text_hash VARCHAR, normal_hash VARCHAR,
               vector_hash VARCHAR, norm DOUBLE, ours BOOLEAN, shape VARCHAR, keys_hash VARCHAR)"""
    )
    lake.run("CREATE OR REPLACE TEMP TABLE adopt_keys (key VARCHAR, type VARCHAR, records BIGINT)")


def _records(target: Target, namespace: str, state: NamespaceState) -> Iterator[pa.Table]:
    rows = max(64, min(_BATCH_ROWS, _BATCH_BYTES // (4 * state.spec.dimension + 4_000)))
    for batch in target.scan(namespace):
        for begin in range(0, batch.num_rows, rows):
            yield target.fetch(namespace, batch.column("id").slice(begin, rows).to_pylist())


def vector_facts(vectors: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """Of fixed-size lists of float32: their bytes (``binary[n]``), and their lengths (not finite where a component is not)."""
    lists = vectors.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    width = lists.type.list_size
    values = np.ascontiguousarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    rows = values.reshape(-1, width)
    # In double precision no sum of squares of finite float32 overflows.
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    raw = pa.Array.from_buffers(pa.binary(4 * width), len(rows), [None, pa.py_buffer(values)])
    return raw, lengths


def _take(lake: Lake, records: pa.Table, text_keys: Sequence[str]) -> None:
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


_OBJECT = "CASE WHEN json_valid(metadata) AND json_type(metadata) = 'OBJECT' THEN metadata ELSE '{}' END"


def _facts(text_keys: Sequence[str]) -> str:
    """SELECT of the rows of ``adopt_records`` from ``adopt_batch``."""
    found = "".join(f" WHEN {_key(key)} <> '' THEN {_quoted(f'metadata {key}')}" for key in text_keys)
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
    return f"coalesce(json_extract_string({_OBJECT}, {_quoted(path)}), '')"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _described(lake: Lake, target: str, state: NamespaceState, *, changed: bool) -> Inventory:
    row = lake.row(
        f"""SELECT count(*), count(DISTINCT nullif(document_id, '')), count(*) FILTER (text_hash IS NULL),
                   count(text_hash) - count(DISTINCT text_hash),
                   count(*) FILTER (norm > 0) - count(DISTINCT vector_hash) FILTER (norm > 0),
                   count(*) FILTER (norm = 0), count(*) FILTER (norm IS NULL),
                   min(norm) FILTER (norm > 0), median(norm) FILTER (norm > 0), max(norm) FILTER (norm > 0),
                   count(*) FILTER (abs(norm - 1) <= {UNIT_TOLERANCE}),
                   count(*) FILTER (norm > 0 AND abs(norm - 1) > {UNIT_TOLERANCE}), count(*) FILTER (ours)
            FROM adopt_records"""
    )
    return Inventory(
        target=target,
        namespace=state.spec.name,
        dimension=state.spec.dimension,
        metric=state.spec.metric,
        mark=state.mark,
        records=row[0],
        bytes=state.bytes,
        documents=row[1],
        without_text=row[2],
        text_from=_counts(lake, "text_from", "text_from IS NOT NULL"),
        duplicate_texts=row[3],
        duplicate_vectors=row[4],
        zero_vectors=row[5],
        not_finite=row[6],
        norms=Norms(*row[7:12]),
        metadata=_keys(lake),
        id_shapes=_counts(lake, "shape"),
        ours=row[12],
        changed=changed,
    )


def _counts(lake: Lake, column: str, where: str = "true") -> dict[str, int]:
    rows = lake.rows(f"SELECT {column}, count(*) FROM adopt_records WHERE {where} GROUP BY 1 ORDER BY 2 DESC, 1")
    return {str(name): int(count) for name, count in rows}


def _keys(lake: Lake) -> dict[str, dict[str, int]]:
    rows = lake.rows(
        f"""WITH shown AS (SELECT key, sum(records) AS total FROM adopt_keys GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_SHOWN_KEYS})
            SELECT key, type, sum(records) FROM adopt_keys JOIN shown USING (key)
            GROUP BY key, type, total ORDER BY total DESC, key, 3 DESC"""
    )
    found: dict[str, dict[str, int]] = {}
    for key, kind, count in rows:
        types = found.setdefault(str(key), {})
        word = _TYPES.get(str(kind), str(kind).lower())
        types[word] = types.get(word, 0) + int(count)
    return found
