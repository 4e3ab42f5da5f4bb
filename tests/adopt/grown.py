"""An index that grew by hand: records with ids, metadata and habits of their own, written straight to a target."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.conftest import write_project
from vector_pipeline.embedding.base import Vectors
from vector_pipeline.project import Project
from vector_pipeline.targets.base import LIVE, NamespaceSpec, record_schema
from vector_pipeline.targets.duckdb import DuckDBTarget

NAMESPACE = "old-docs"
SPACE = "f" * 16


@dataclass
class Grown:
    """Records on their way into a namespace that this pipeline did not make."""

    dimension: int = 128
    metric: str = "cosine"
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        name: str,
        text: str | None,
        vector: Vectors,
        *,
        document: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.rows.append(
            {
                "id": name, "vector": np.asarray(vector, dtype=np.float32).tolist(), "document_id": document,
                "content_hash": "", "metadata_hash": "", "space": SPACE, "added_in": 0, "removed_in": LIVE, "text": text,
                "metadata": json.dumps(metadata or {}),
            }
        )  # fmt: skip

    def write(self, root: Path, namespace: str = NAMESPACE) -> None:
        target = DuckDBTarget("local", root)
        target.ensure_namespace(NamespaceSpec(namespace, self.dimension, self.metric, SPACE))
        target.upsert(namespace, pa.Table.from_pylist(self.rows, schema=record_schema(self.dimension)))
        target.close()


@dataclass(frozen=True)
class Content:
    """A distinct text of the source: as it is embedded, and alone."""

    embedded: str
    alone: str


def contents(folder: Path, pages: int) -> list[Content]:
    """The distinct contents of a project, from a twin of it that is built elsewhere."""
    with Project.load(write_project(folder, pages)) as twin:
        twin.sync("handbook")
        twin.chunk("handbook")
        rows = twin.lake().rows(
            f"""SELECT any_value(context || text), any_value(text) FROM {twin.tables("handbook").chunks}
                GROUP BY content_hash ORDER BY min(document_id), min(ordinal)"""
        )
    return [Content(*row) for row in rows]


def embed(folder: Path, texts: Sequence[str], *, seed: str = "seed") -> Vectors:
    """Vectors of the tests' tiny model, or with another ``seed`` of another model."""
    with Project.load(write_project(folder, 1, seed=seed)) as twin:
        return twin.embedder("handbook").embed_documents(list(texts))


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: size and bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
