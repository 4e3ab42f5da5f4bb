"""Versions of any texts: documents with one chunk each and word vectors, in a real lake, and the context of a gate."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.config import DatasetConfig, GateConfig, LakeConfig, SecretTemplate
from vector_pipeline.hashing import canonical_json, content_hash, shard_of
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import DatasetTables, SpaceTables
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.context import GateContext, Opened, Side

DIMENSION = 24
SETTINGS = {
    "source": {"root": "documents"},
    "target": "local",
    "spaces": {"tiny": {"embedder": {"kind": "deterministic", "model": "seed"}}},
}
SMALL = "the of and to in is that for it with as on are by this from which an at or".split()  # noqa: SIM905


@dataclass(frozen=True)
class Doc:
    """A document; ``title`` stands before its chunk."""

    text: str
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


Docs = Mapping[str, str | Doc]


@cache
def word(number: int) -> str:
    chance = random.Random(f"word {number}")
    return "".join(chance.choice("bcdfghlmnprstv") + chance.choice("aeiou") for _ in range(chance.randint(2, 4)))


def sentence(chance: random.Random, topic: str = "", words: int = 14) -> str:
    """Words of a thousand, every other one small; a topic's word among them."""
    said = [chance.choice(SMALL) if place % 2 else word(chance.randrange(1000)) for place in range(words)]
    if topic:
        said[2] = topic
    return " ".join(said).capitalize() + "."


def story(number: int, topic: str = "", sentences: int = 5) -> str:
    """A text of its own."""
    chance = random.Random(f"story {number}")
    return " ".join(sentence(chance, topic) for _ in range(sentences))


def library(count: int, start: int = 0, prefix: str = "doc") -> dict[str, str]:
    return {f"{prefix}{n}": story(n) for n in range(start, start + count)}


@cache
def _direction(name: str) -> npt.NDArray[np.float32]:
    return np.random.default_rng(crc32(name.encode())).standard_normal(DIMENSION).astype(np.float32)


class TextWorld:
    """A lake of one dataset."""

    def __init__(self, folder: Path, shards: int = 4) -> None:
        self.folder, self.shards = folder, shards
        self.settings = DatasetConfig.model_validate(SETTINGS)
        catalog = SecretTemplate(f"sqlite:///{folder}/lake.sqlite")
        self.lake = Lake.open(LakeConfig(catalog=catalog, data=str(folder / "data")), folder)
        self._number = 0
        self._made: dict[str, Version] = {}

    def version(self, docs: Docs, *, space: str = "tiny", chunker: str = "{}") -> Version:
        """A version that holds these documents and no others; the one that was made of them before, if one was."""
        key = repr((sorted(docs.items()), space, chunker))
        if key not in self._made:
            self._made[key] = self._write(docs, space, chunker)
        return self._made[key]

    def _write(self, docs: Docs, space: str, chunker: str) -> Version:
        tables = SpaceTables(DatasetTables("words"), f"chunks_{space}", f"embeddings_{space}")
        tables.dataset.ensure(self.lake)
        tables.ensure(self.lake)
        documents, chunks, vectors = self._rows(
            {name: Doc(one) if isinstance(one, str) else one for name, one in docs.items()}
        )

        def write() -> None:
            self.lake.run(f"DELETE FROM {tables.dataset.documents}")
            self.lake.run(f"INSERT INTO {tables.dataset.documents} BY NAME SELECT * FROM new_documents")
            self.lake.run(f"DELETE FROM {tables.chunks}")
            self.lake.run(f"INSERT INTO {tables.chunks} BY NAME SELECT * FROM new_chunks")
            self.lake.run(
                f"""INSERT INTO {tables.embeddings} BY NAME SELECT DISTINCT ON (shard, content_hash) * FROM new_vectors
                    ANTI JOIN {tables.embeddings} USING (shard, content_hash)"""
            )

        lake = self.lake
        with (
            lake.registered("new_documents", documents), lake.registered("new_chunks", chunks),
            lake.registered("new_vectors", vectors),
        ):  # fmt: skip
            lake.transaction(write, "a version")
        self._number += 1
        return Version(
            dataset="words", space=space, fingerprint=space, embedder_fingerprint=space, dimension=DIMENSION, metric="cosine",
            digest=f"digest{self._number}", lake_snapshot=lake.snapshot_id(), documents=len(docs), records=len(docs),
            chunk_table=tables.chunk_table, embedding_table=tables.embedding_table, number=self._number, parent=None,
            created_at=datetime.now(UTC), chunker=chunker,
        )  # fmt: skip

    def documents(self, docs: Docs) -> pa.Table:
        """Rows of the lake's documents, without writing them."""
        return self._rows({name: Doc(one) if isinstance(one, str) else one for name, one in docs.items()})[0]

    def _rows(self, docs: Mapping[str, Doc]) -> tuple[pa.Table, pa.Table, pa.Table]:
        documents, chunks, vectors = [], [], []
        for name, one in docs.items():
            shard, own, metadata = (
                shard_of(name, self.shards),
                content_hash(one.text),
                canonical_json(dict(one.metadata)),
            )
            context = f"{one.title}\n" if one.title else ""
            whole = content_hash(context + one.text)
            documents.append(
                {
                    "shard": shard, "document_id": name, "digest": content_hash(own + one.title + metadata), "content_hash": own,
                    "title": one.title, "media_type": "text/plain", "metadata": metadata, "text": one.text,
                }
            )  # fmt: skip
            chunks.append(
                {
                    "shard": shard, "document_id": name, "ordinal": 0, "context": context, "text": one.text,
                    "content_hash": whole, "record_id": name,
                }
            )  # fmt: skip
            vector = sum((_direction(part) for part in one.text.lower().split()), np.zeros(DIMENSION, np.float32))
            vectors.append({"shard": shard, "content_hash": whole, "vector": vector.tolist()})
        schema = pa.schema({"shard": pa.int32(), "content_hash": pa.string(), "vector": pa.list_(pa.float32())})
        return (
            pa.Table.from_pylist(documents),
            pa.Table.from_pylist(chunks),
            pa.Table.from_pylist(vectors, schema=schema),
        )

    def context(self, candidate: Version, production: Version | None = None, **gates: Any) -> GateContext:
        """What a gate gets; ``gates``: settings of ``GateConfig``."""

        def absent(*_: object) -> Any:
            raise AssertionError("nothing of this is there")

        return GateContext(
            self.settings, GateConfig.model_validate(gates), self.folder, Side(candidate),
            None if production is None else Side(production),
            Opened(lambda: self.lake, absent, absent, absent, absent), datetime.now(UTC),
        )  # fmt: skip
