"""Versions of any vectors: contents with documents and vectors of the test's choice in a real lake, and the context of a gate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.config import DatasetConfig, GateConfig, LakeConfig, SecretTemplate
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import NotFoundError
from vector_pipeline.hashing import content_hash, shard_of
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import DatasetTables, SpaceTables
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.context import GateContext, Opened, Side

Vectors = npt.NDArray[np.float32]
SETTINGS = {
    "source": {"root": "documents"},
    "target": "local",
    "spaces": {"tiny": {"embedder": {"kind": "deterministic", "model": "seed"}}},
}


@dataclass(frozen=True)
class Part:
    """Contents that come together: ``name`` makes their texts and documents, row n of ``vectors`` is the n-th."""

    name: str
    vectors: Vectors
    shards: Sequence[int] | None = None
    """Default: the hash of each document's id."""
    numbers: Sequence[int] | None = None
    """What the contents are numbered with; default: 0, 1, 2, …"""
    documents: str | None = None
    """The documents' name; default: the part's."""
    texts: Sequence[str] | None = None
    """Default: "text of" and the part's name with the number."""


@dataclass
class VectorWorld:
    """A lake of one dataset. Each content is a document of its own."""

    folder: Path
    shards: int = 4
    settings: DatasetConfig = field(default_factory=lambda: DatasetConfig.model_validate(SETTINGS))

    def __post_init__(self) -> None:
        catalog = SecretTemplate(f"sqlite:///{self.folder}/lake.sqlite")
        self.lake = Lake.open(LakeConfig(catalog=catalog, data=str(self.folder / "data")), self.folder)
        self._number = 0

    def close(self) -> None:
        self.lake.close()

    def version(self, *parts: Part, space: str = "tiny") -> Version:
        """The next version. A content that the lake has a vector for keeps it."""
        tables = SpaceTables(DatasetTables("words"), f"chunks_{space}", f"embeddings_{space}")
        tables.dataset.ensure(self.lake)
        tables.ensure(self.lake)
        chunks = pa.concat_tables([self._chunks(part) for part in parts]).combine_chunks()
        names, vectors = chunks.drop_columns(["vector"]), chunks.select(["shard", "content_hash", "vector"])

        def write() -> None:
            self.lake.run(f"DELETE FROM {tables.chunks}")
            self.lake.run(f"INSERT INTO {tables.chunks} BY NAME SELECT * FROM new_chunks")
            self.lake.run(
                f"""INSERT INTO {tables.embeddings} BY NAME SELECT DISTINCT ON (shard, content_hash) * FROM new_vectors
                    ANTI JOIN {tables.embeddings} USING (shard, content_hash)"""
            )

        with self.lake.registered("new_chunks", names), self.lake.registered("new_vectors", vectors):
            self.lake.transaction(write, "a version")
        self._number += 1
        return Version(
            dataset="words", space=space, fingerprint=space, embedder_fingerprint=space,
            dimension=parts[0].vectors.shape[1], metric="cosine", digest=f"digest{self._number}",
            lake_snapshot=self.lake.snapshot_id(), documents=chunks.num_rows, records=chunks.num_rows,
            chunk_table=tables.chunk_table, embedding_table=tables.embedding_table, number=self._number, parent=None,
            created_at=datetime.now(UTC),
        )  # fmt: skip

    def empty(self) -> None:
        """Forget every version."""
        self.lake.transaction(lambda: self.lake.run("DROP SCHEMA IF EXISTS lake.words CASCADE"), "begin again")

    def _chunks(self, part: Part) -> pa.Table:
        count, dimension = part.vectors.shape
        numbers = list(part.numbers) if part.numbers is not None else list(range(count))
        texts = list(part.texts) if part.texts is not None else [f"text of {part.name}{n}" for n in numbers]
        documents = [f"{part.documents or part.name}{n}" for n in numbers]
        shards = part.shards if part.shards is not None else [shard_of(name, self.shards) for name in documents]
        flat = pa.array(np.ascontiguousarray(part.vectors, np.float32).reshape(-1))
        offsets = pa.array(np.arange(0, count * dimension + 1, dimension, dtype=np.int32))
        return pa.table(
            {
                "shard": pa.array(list(shards), pa.int32()),
                "document_id": documents,
                "context": [""] * count,
                "text": texts,
                "content_hash": [content_hash(text) for text in texts],
                "record_id": documents,
                "vector": pa.ListArray.from_arrays(offsets, flat),
            }
        )

    def context(
        self, candidate: Version, production: Version | None = None, embedder: Embedder | None = None, **gates: Any
    ) -> GateContext:
        """What a gate gets; ``gates``: settings of ``GateConfig``. ``embedder``: the model that is here."""

        def absent(*_: object) -> Any:
            raise NotFoundError("nothing of this is there")

        return GateContext(
            self.settings, GateConfig.model_validate(gates), self.folder, Side(candidate),
            None if production is None else Side(production),
            Opened(lambda: self.lake, absent, absent, absent if embedder is None else lambda _: embedder, absent),
            datetime.now(UTC),
        )  # fmt: skip


def directions(count: int, dimension: int, seed: int, topics: int = 8, spread: float = 1.0) -> Vectors:
    """float32[count, dimension] of unit length in a few clusters, as embeddings of texts on some topics are."""
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(7).normal(size=(topics, dimension))
    found = middles[rng.integers(topics, size=count)] + spread * rng.normal(size=(count, dimension))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
