"""Versions without documents: sets of (content, tag) in a real lake, with a real registry, pushed into any target."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from vector_pipeline.config import LakeConfig, PriceConfig, SecretTemplate
from vector_pipeline.hashing import base_record_id, content_hash, metadata_hash, record_id
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.snapshots import describe_digest
from vector_pipeline.lake.tables import DatasetTables, SpaceTables
from vector_pipeline.release.guards import Guards
from vector_pipeline.release.plan import Plan, Strategy
from vector_pipeline.release.planning import make_plan
from vector_pipeline.release.push import Pushed, push_version
from vector_pipeline.release.registry import Deployment, NewVersion, Registry, Version
from vector_pipeline.release.wishes import Wish
from vector_pipeline.targets.base import Target

SPACE = "0123456789abcdef"
DIMENSION = 4
Content = dict[int, int]
"""What a version holds: content number to tag. Three contents make a document."""
_DATASETS = count(1)


class Store:
    """A lake and a registry that many worlds share."""

    def __init__(self, folder: Path) -> None:
        catalog = SecretTemplate(f"sqlite:///{folder}/lake.sqlite")
        self.lake = Lake.open(LakeConfig(catalog=catalog, data=str(folder / "data")), folder)
        self.registry = Registry.open(f"sqlite:///{folder}/registry.sqlite", migrate=True)

    def close(self) -> None:
        self.lake.close()
        self.registry.close()


class World:
    """One dataset in one target."""

    def __init__(self, store: Store, target: Target, dataset: str | None = None) -> None:
        self.lake, self.registry, self.target = store.lake, store.registry, target
        self.dataset = dataset or f"words{next(_DATASETS)}"
        self.tables = SpaceTables(DatasetTables(self.dataset), "chunks_tiny", "embeddings_tiny")
        self.tables.dataset.ensure(self.lake)
        self.tables.ensure(self.lake)
        self.contents: dict[int, Content] = {}

    def version(self, content: Content) -> Version:
        """The next version, whatever was before."""
        rows = [_chunk(number, tag) for number, tag in content.items()]
        chunks = pa.Table.from_pylist(rows, schema=_CHUNKS)
        vectors = pa.Table.from_pylist([_embedding(number) for number in content], schema=_VECTORS)

        def write() -> None:
            self.lake.run(f"DELETE FROM {self.tables.chunks}")
            self.lake.run(f"INSERT INTO {self.tables.chunks} BY NAME SELECT * FROM new_chunks")
            self.lake.run(
                f"""INSERT INTO {self.tables.embeddings} BY NAME SELECT * FROM new_vectors
                    ANTI JOIN {self.tables.embeddings} USING (shard, content_hash)"""
            )

        with self.lake.registered("new_chunks", chunks), self.lake.registered("new_vectors", vectors):
            self.lake.transaction(write, "a version")
        snapshot = self.lake.snapshot_id()
        version, _ = self.registry.record_version(
            NewVersion(
                dataset=self.dataset, space="tiny", fingerprint=SPACE, embedder_fingerprint="e", dimension=DIMENSION,
                metric="cosine", digest=describe_digest(self.lake, self.tables, snapshot), lake_snapshot=snapshot,
                documents=len({number // 3 for number in content}), records=len(content), chunk_table="chunks_tiny",
                embedding_table="embeddings_tiny",
            )
        )  # fmt: skip
        self.contents[version.number] = dict(content)
        return version

    def plan(self, version: Version, strategy: str | None = None, **wish: Any) -> Plan:
        return make_plan(self.lake, self.registry, version, self.target, _wish(strategy, wish))

    def push(
        self,
        version: Version,
        strategy: str | None = None,
        *,
        saved: Plan | None = None,
        share: float = 1.0,
        **wish: Any,
    ) -> Pushed:
        return push_version(
            self.lake, self.registry, version, self.target, _wish(strategy, wish), saved=saved, guards=Guards(share)
        )

    def wanted(self, number: int) -> list[tuple[str, str, str]]:
        """What a reader of a version should see: record id, metadata, text."""
        rows = [_chunk(content, tag) for content, tag in self.contents[number].items()]
        return sorted((row["record_id"], row["metadata"], row["text"]) for row in rows)

    def visible(self, deployment: Deployment) -> list[tuple[str, str, str]]:
        """What it does see."""
        # A listing need not have marks: what is fetched has them.
        held = self.target.fetch(
            deployment.namespace, [row["id"] for row in self.rows(deployment.namespace)]
        ).to_pylist()
        found = [row for row in held if row["added_in"] <= deployment.version < row["removed_in"]]
        for row in found:
            if row["text"].startswith("text"):
                assert row["vector"] == _embedding(int(row["text"][4:]))["vector"]
        return sorted((base_record_id(row["id"]), _canonical(row["metadata"]), row["text"]) for row in found)

    def rows(self, namespace: str) -> list[dict[str, Any]]:
        return [row for batch in self.target.scan(namespace) for row in batch.to_pylist()]

    def mark(self, namespace: str) -> str | None:
        state = self.target.describe(namespace)
        return state.mark if state is not None else None

    @contextmanager
    def fence(self, namespace: str) -> Iterator[int]:
        """Of a lease, as somebody has it who does not ask for one."""
        lease = self.registry.acquire_lease(f"{self.target.name}/{namespace}", "by hand", 60)
        self.registry.release_lease(lease)
        yield lease.fence


def _wish(strategy: str | None, wish: dict[str, Any]) -> Wish:
    return Wish("dev", Strategy(strategy) if strategy else None, **{"stages": False, **wish})


def prices(**values: float) -> PriceConfig:
    return PriceConfig(**values)


_CHUNKS = pa.schema(
    [("shard", pa.int32())]
    + [
        (name, pa.string())
        for name in (
            "document_id",
            "document_digest",
            "context",
            "text",
            "content_hash",
            "metadata",
            "metadata_hash",
            "record_id",
        )
    ]
)
_VECTORS = pa.schema([("shard", pa.int32()), ("content_hash", pa.string()), ("vector", pa.list_(pa.float32()))])


def _chunk(number: int, tag: int) -> dict[str, Any]:
    document, text, metadata = f"doc{number // 3}", f"text{number}", {"tag": tag}
    return {
        "shard": number // 3 % 2,
        "document_id": document,
        "document_digest": "d",
        "context": "",
        "text": text,
        "content_hash": content_hash(text),
        "metadata": json.dumps(metadata),
        "metadata_hash": metadata_hash(metadata),
        "record_id": record_id(document, content_hash(text), SPACE),
    }


def _embedding(number: int) -> dict[str, Any]:
    vector = [1.0, float(number), 0.5, -1.0]
    return {"shard": number // 3 % 2, "content_hash": content_hash(f"text{number}"), "vector": vector}


def _canonical(metadata: str) -> str:
    return json.dumps(json.loads(metadata))
