"""What a namespace holds, whoever wrote it: counts, duplicates, norms, metadata keys and the shapes of its ids.

The listing is streamed and records are fetched in batches; what stays is the temporary table ``adopt_records`` with one row of
hashes and scalars for each record.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from vector_pipeline.adopt.reading import prepare, take
from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.targets.base import NamespaceState, Target

TEXT_KEYS = ("text", "page_content", "content", "chunk_text", "chunk", "body", "document")
"""Metadata keys under which records keep their text, where a target has no place for it: the first that is there counts."""
UNIT_TOLERANCE = 1e-3
"""A vector whose length is this near to one counts as normalised."""
_BATCH_BYTES = 32_000_000
_BATCH_ROWS = 4096
_SHOWN_KEYS = 100
_TYPES = {
    "VARCHAR": "text", "BOOLEAN": "boolean", "ARRAY": "list", "OBJECT": "object", "NULL": "null", "BIGINT": "number",
    "UBIGINT": "number", "DOUBLE": "number", "HUGEINT": "number",
}  # fmt: skip


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
    prepare(lake)
    done = 0
    for records in _records(target, namespace, state):
        take(lake, records, text_keys)
        done += records.num_rows
        if on_read is not None:
            on_read(done, max(done, state.records))
    after = target.describe(namespace)
    return _described(lake, target.name, state, changed=after is None or after.mark != state.mark)


def _records(target: Target, namespace: str, state: NamespaceState) -> Iterator[pa.Table]:
    rows = max(64, min(_BATCH_ROWS, _BATCH_BYTES // (4 * state.spec.dimension + 4_000)))
    for batch in target.scan(namespace):
        for begin in range(0, batch.num_rows, rows):
            yield target.fetch(namespace, batch.column("id").slice(begin, rows).to_pylist())


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
