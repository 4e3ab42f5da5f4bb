"""A lake that holds given vectors, without an embedder: versions as gates see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.config import DatasetConfig, GateConfig, LakeConfig
from vector_pipeline.errors import NotFoundError
from vector_pipeline.hashing import canonical_json, content_hash, metadata_hash, record_id, shard_of
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import DatasetTables, SpaceTables
from vector_pipeline.release.registry import Deployment, DeploymentStatus, Version
from vector_pipeline.targets.base import LIVE, NamespaceSpec, Target, record_schema
from vector_pipeline.verify.context import GateContext, Opened, Side

SHARDS = 4


@dataclass(frozen=True)
class Row:
    """One chunk."""

    document: str
    text: str
    vector: npt.NDArray[np.float32]
    metadata: Mapping[str, Any] = field(default_factory=dict)


class VectorLake:
    """Versions of rows; those with the same ``embedder`` share their vectors, as in production."""

    def __init__(self, folder: Path, metric: str = "cosine", dimension: int = 8) -> None:
        config = LakeConfig(catalog=f"sqlite:///{folder / 'lake.sqlite'}", data=str(folder / "data"))
        self.lake = Lake.open(config, folder)
        self.metric, self.dimension = metric, dimension
        self._count = 0

    def close(self) -> None:
        self.lake.close()

    def version(self, rows: Sequence[Row], embedder: str = "one") -> Side:
        """The next version."""
        self._count += 1
        fingerprint = content_hash(embedder)[:16]
        tables = SpaceTables(DatasetTables("given"), "chunks_a", f"embeddings_{embedder}")
        tables.dataset.ensure(self.lake)
        tables.ensure(self.lake)
        chunks, vectors = self._tables(rows, fingerprint)
        documents = self._documents(rows)

        def work() -> None:
            lake = self.lake
            with (
                lake.registered("new_chunks", chunks), lake.registered("new_vectors", vectors),
                lake.registered("new_documents", documents),
            ):  # fmt: skip
                self.lake.run(f"DELETE FROM {tables.dataset.documents}")
                self.lake.run(f"INSERT INTO {tables.dataset.documents} BY NAME SELECT * FROM new_documents")
                self.lake.run(f"DELETE FROM {tables.chunks}")
                self.lake.run(f"INSERT INTO {tables.chunks} SELECT * FROM new_chunks")
                self.lake.run(
                    f"""INSERT INTO {tables.embeddings} BY NAME SELECT * FROM new_vectors
                        ANTI JOIN {tables.embeddings} USING (shard, content_hash)"""
                )

        self.lake.transaction(work, "given")
        version = Version(
            dataset="given", space="a", fingerprint=fingerprint, embedder_fingerprint=fingerprint, dimension=self.dimension,
            metric=self.metric, digest=f"{self._count:032d}", lake_snapshot=self.lake.snapshot_id(),
            documents=len({row.document for row in rows}), records=len(rows), chunk_table=tables.chunk_table,
            embedding_table=tables.embedding_table, number=self._count, parent=None,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        return Side(version)

    def _tables(self, rows: Sequence[Row], fingerprint: str) -> tuple[pa.Table, pa.Table]:
        seen: dict[tuple[str, str], int] = {}
        chunks, vectors = [], {}
        for number, row in enumerate(rows):
            shard, name = shard_of(row.document, SHARDS), content_hash(row.text)
            occurrence = seen[row.document, name] = seen.get((row.document, name), 0) + 1
            chunks.append(
                {
                    "shard": shard, "document_id": row.document, "document_digest": row.document, "ordinal": number,
                    "span_start": 0, "span_end": len(row.text), "context": "", "text": row.text, "content_hash": name,
                    "metadata": canonical_json(row.metadata), "metadata_hash": metadata_hash(row.metadata),
                    "record_id": record_id(row.document, name, fingerprint, occurrence),
                }
            )  # fmt: skip
            vectors[shard, name] = row.vector
        schema = pa.schema([("shard", pa.int32()), ("content_hash", pa.string()), ("vector", pa.list_(pa.float32()))])
        stored = [{"shard": shard, "content_hash": name, "vector": one} for (shard, name), one in vectors.items()]
        types = {"shard": pa.int32(), "ordinal": pa.int32(), "span_start": pa.int32(), "span_end": pa.int32()}
        names = (
            "shard", "document_id", "document_digest", "ordinal", "span_start", "span_end", "context", "text",
            "content_hash", "metadata", "metadata_hash", "record_id",
        )  # fmt: skip
        chunk_schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
        return pa.Table.from_pylist(chunks, chunk_schema), pa.Table.from_pylist(stored, schema)

    def _documents(self, rows: Sequence[Row]) -> pa.Table:
        texts: dict[str, list[str]] = {}
        for row in rows:
            texts.setdefault(row.document, []).append(row.text)
        documents = [
            {
                "shard": shard_of(name, SHARDS), "document_id": name, "digest": name, "content_hash": content_hash(text),
                "title": "", "media_type": "text/plain", "metadata": "{}", "text": text,
            }
            for name, text in ((name, "\n\n".join(parts)) for name, parts in texts.items())
        ]  # fmt: skip
        names = ("document_id", "digest", "content_hash", "title", "media_type", "metadata", "text")
        return pa.Table.from_pylist(
            documents, pa.schema([("shard", pa.int32()), *((name, pa.string()) for name in names)])
        )

    def push(self, side: Side, target: Target) -> Side:
        """A version on an empty target, as a push would write it."""
        version, tables = side.version, side.tables
        namespace = f"given-v{version.number}"
        spec = NamespaceSpec(namespace, self.dimension, self.metric, version.fingerprint)
        target.ensure_namespace(spec)
        rows = self.lake.table(
            f"""SELECT c.record_id AS id, e.vector, c.document_id, c.content_hash, c.metadata_hash,
                   '{version.fingerprint}' AS space, {version.number}::BIGINT AS added_in, {LIVE}::BIGINT AS removed_in,
                   c.text, c.metadata
                FROM {side.chunks} c JOIN {tables.embeddings} e USING (shard, content_hash)"""
        )
        step = target.capabilities.max_batch_records
        for begin in range(0, rows.num_rows, step):
            receipt = target.upsert(namespace, rows.slice(begin, step).cast(record_schema(self.dimension)))
            target.wait_until_fresh(namespace, receipt)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        deployment = Deployment(
            version.number, "given", "dev", target.name, namespace, version.number, "a", version.fingerprint,
            DeploymentStatus.PUSHED, version.digest, version.records, now, now, None,
        )  # fmt: skip
        return Side(version, deployment)

    def context(
        self,
        candidate: Side,
        production: Side | None = None,
        gates: GateConfig | None = None,
        target: Target | None = None,
    ) -> GateContext:
        """What gates see. There is no embedder."""

        def nothing(*_: object) -> Any:
            raise NotFoundError("there is none here")

        settings = DatasetConfig.model_validate(
            {
                "source": {"root": "documents"},
                "spaces": {"a": {"embedder": {"kind": "deterministic", "model": "a", "dimension": self.dimension}}},
                "target": "local",
            }
        )
        opened = Opened(lambda: self.lake, nothing, nothing if target is None else lambda _: target, nothing, nothing)
        gates = gates or GateConfig()
        return GateContext(settings, gates, Path(), candidate, production, opened, datetime(2026, 1, 2, tzinfo=UTC))
