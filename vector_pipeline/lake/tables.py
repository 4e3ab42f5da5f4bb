"""The lake's tables: one schema a dataset, documents once, chunks per space, embeddings per embedder.

Laws
----
1. Every table is partitioned by ``shard``, a stable hash of the document's id: two shard writers never touch one file.
2. ``documents`` and ``source_items`` hold the present; older states are read by time travel, never by columns.
3. ``chunks_<space>_<fp>`` is a pure function of ``documents`` and the space with fingerprint ``<fp>…``: a changed chunker or
   model writes other tables, and the versions made from the old ones still read back.
4. ``embeddings_<fp>`` is keyed by content and by the *embedder's* fingerprint: the same text is never embedded twice, in
   whatever version, space or target it occurs. A row stands in each shard that needs it, so that joins stay inside a shard.
5. Which commit wrote a vector, a golden text or an attestation is evidence. DuckLake keeps it while a row stays where it is; a row
   that is written again into another table (``erasing``) takes it along in ``written_in``. ``WRITTEN`` reads either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.lake.connection import CATALOG, Lake

ROW_GROUP = 16_384
"""Rows of a Parquet row group. A thread that reads vectors holds a whole one, packed and unpacked: of 384 dimensions 50 MB, where
DuckDB's own 122,880 rows take 370."""
_DOCUMENTS = """
    shard INTEGER, document_id VARCHAR, digest VARCHAR, content_hash VARCHAR, title VARCHAR, media_type VARCHAR,
    metadata VARCHAR, text VARCHAR, updated_at TIMESTAMP
"""
_ITEMS = """
    shard INTEGER, document_id VARCHAR, revision VARCHAR, bytes_hash VARCHAR, parser VARCHAR, reason VARCHAR,
    detail VARCHAR
"""
_SOURCES = "revision VARCHAR, shards INTEGER"
_CHUNKS = """
    shard INTEGER, document_id VARCHAR, document_digest VARCHAR, ordinal INTEGER, span_start INTEGER, span_end INTEGER,
    context VARCHAR, text VARCHAR, content_hash VARCHAR, metadata VARCHAR, metadata_hash VARCHAR, record_id VARCHAR
"""
_EMBEDDINGS = "shard INTEGER, content_hash VARCHAR, vector FLOAT[], written_in BIGINT"
# Beside an embedding table, by ``lake.golden``.
_GOLDEN = """
    kind VARCHAR, name VARCHAR, origin VARCHAR, text VARCHAR, vector FLOAT[], declared VARCHAR, made_at TIMESTAMP,
    written_in BIGINT
"""
_ATTESTATIONS = """
    attested_at TIMESTAMP, looked_at VARCHAR, probes INTEGER, passed BOOLEAN, worst DOUBLE, at_text VARCHAR,
    written_in BIGINT
"""
_QUARANTINE = "shard INTEGER, content_hash VARCHAR, written_in BIGINT, reason VARCHAR, quarantined_at TIMESTAMP"

WRITTEN = "coalesce(written_in, snapshot_id)"
"""SQL: lake snapshot of the commit that first wrote a row of law 5. Of a table itself: a subquery of it has no ``snapshot_id``."""


@dataclass(frozen=True, slots=True)
class DatasetTables:
    """Names of a dataset's tables, quoted and ready for SQL."""

    dataset: str

    @property
    def schema(self) -> str:
        return f'{CATALOG}."{self.dataset}"'

    @property
    def documents(self) -> str:
        return f'{self.schema}."documents"'

    @property
    def items(self) -> str:
        """One row for each thing that the source lists, quarantined ones too (``reason`` is not null)."""
        return f'{self.schema}."source_items"'

    @property
    def sources(self) -> str:
        """At most one row: what the last sync saw of the whole source (``documents.SourceState``)."""
        return f'{self.schema}."source_state"'

    def named(self, table: str) -> str:
        return f'{self.schema}."{table}"'

    def ensure(self, lake: Lake) -> None:
        """Create what is missing; writes nothing when all is there."""
        wanted = {"documents": _DOCUMENTS, "source_items": _ITEMS, "source_state": _SOURCES}
        _create(lake, self, {name: wanted[name] for name in lake.missing(self.dataset, wanted)})


@dataclass(frozen=True, slots=True)
class SpaceTables:
    """Names of the tables of one space of a dataset."""

    dataset: DatasetTables
    chunk_table: str
    embedding_table: str

    @classmethod
    def of(cls, dataset: str, space: EmbeddingSpace) -> "SpaceTables":
        return cls(
            DatasetTables(dataset),
            f"chunks_{space.name}_{space.fingerprint[:8]}",
            f"embeddings_{space.embedder_fingerprint[:8]}",
        )

    @property
    def chunks(self) -> str:
        return self.dataset.named(self.chunk_table)

    @property
    def embeddings(self) -> str:
        return self.dataset.named(self.embedding_table)

    def ensure(self, lake: Lake) -> None:
        """Create what is missing; writes nothing when all is there."""
        wanted = {self.chunk_table: _CHUNKS, self.embedding_table: _EMBEDDINGS}
        _create(lake, self.dataset, {name: wanted[name] for name in lake.missing(self.dataset.dataset, wanted)})


def _create(lake: Lake, tables: DatasetTables, missing: dict[str, str]) -> None:
    if not missing:
        return
    _set_row_groups(lake)

    def work() -> None:
        lake.run(f"CREATE SCHEMA IF NOT EXISTS {tables.schema}")
        for name, columns in missing.items():
            _create_table(lake, tables, name, columns)

    lake.transaction(work, f"create {', '.join(missing)} of {tables.dataset}")


def _set_row_groups(lake: Lake) -> None:
    """For tables of the lake from now on. Once a lake: DuckLake takes no settings of a table that its transaction makes."""
    (known,) = lake.row(
        f"SELECT count(*) FROM ducklake_options('{CATALOG}') WHERE option_name = 'parquet_row_group_size'"
    )
    if not known:
        lake.run(f"CALL {CATALOG}.set_option('parquet_row_group_size', {ROW_GROUP})")


def create(lake: Lake, tables: DatasetTables, table: str, kind: str) -> None:
    """Create one table of a kind (``documents``, ``source_items``, ``source_state``, ``chunks``, ``embeddings``,
    ``golden``, ``attestations``, ``quarantine``).
    """
    columns = {
        "documents": _DOCUMENTS, "source_items": _ITEMS, "source_state": _SOURCES, "chunks": _CHUNKS,
        "embeddings": _EMBEDDINGS, "golden": _GOLDEN, "attestations": _ATTESTATIONS, "quarantine": _QUARANTINE,
    }  # fmt: skip
    _create_table(lake, tables, table, columns[kind])


def _create_table(lake: Lake, tables: DatasetTables, table: str, columns: str) -> None:
    lake.run(f"CREATE TABLE IF NOT EXISTS {tables.named(table)} ({columns})")
    if columns.lstrip().startswith("shard "):
        lake.run(f"ALTER TABLE {tables.named(table)} SET PARTITIONED BY (shard)")


def at(table: str, snapshot: int | None) -> str:
    """A relation for FROM: the table as it was at a lake snapshot; as it is now for None. May be given an alias."""
    return table if snapshot is None else f"(FROM {table} AT (VERSION => {int(snapshot)}))"


def within(shards: Sequence[int] | None) -> str:
    """SQL condition that keeps the selected shards; None selects all."""
    return "true" if shards is None else f"shard IN ({', '.join(str(int(shard)) for shard in shards) or 'NULL'})"
