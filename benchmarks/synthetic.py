"""A lake of any size without parsing or a model: documents and chunks by SQL, random vectors of the right shape.

What comes after the vectors (snapshot, diff, plan, push, drift, promotion, collection) does not care what they mean, and is what
the release benchmark measures.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from vector_pipeline.build.embeddings import COMMIT_ROWS
from vector_pipeline.hashing import sql_content_hash, sql_shard
from vector_pipeline.lake.chunks import find_stale, replace_chunks
from vector_pipeline.lake.embeddings import find_pending, store_vectors
from vector_pipeline.project import Project, VersionMade

DATASET = "synthetic"
SHARDS = 16
_CONFIG = """
environments:
  dev:
    lake: {{memory_limit: {memory}}}
    targets:
      local: {target}
datasets:
  synthetic:
    source: {{root: documents, allow_empty: true}}
    shards: 16
    spaces:
      random:
        embedder: {{kind: deterministic, model: synthetic, dimension: {dimension}}}
        chunker: {{kind: whole}}
    target: local
    gates: {gates}
    retention: {{keep_versions: 1, reader_grace_s: 0}}
"""


LOCAL = "{{memory_limit: {memory}, prices: {{per_million_records: 2, per_gb_written: 1}}}}"
"""The embedded target, as YAML."""
DEFAULT_MEMORY = "2GB"
"""What a lake and a target may take where the configuration says nothing."""


EVERY_GATE = "{max_removed_share: 1, max_duplicate_share: 1}"
OFF = ("attestation", "answers", "embedding_shift")
"""Random vectors are of no text and no model: gates that ask what they mean have nothing to say."""
GATES = f"{{max_removed_share: 1, max_duplicate_share: 1, modes: {{{', '.join(f'{gate}: off' for gate in OFF)}}}}}"
"""All the others."""


def open_synthetic(
    folder: Path, dimension: int = 384, target: str | None = None, gates: str = GATES, memory: str = "4GB"
) -> Project:
    """An empty project in a folder. ``target``, ``gates``: configuration as YAML on one line; ``memory``: of lake and target."""
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    config = folder / "vector_pipeline.yaml"
    target = LOCAL.format(memory=memory) if target is None else target
    text = _CONFIG.format(dimension=dimension, target=target, gates=gates, memory=memory)
    config.write_text(text, encoding="utf-8")
    return Project.load(config)


def fill(project: Project, documents: int, *, revision: int, share: float = 1.0, seed: int = 0) -> VersionMade:
    """Write ``share`` of ``documents`` one-chunk documents with the text of a revision, give them vectors, make a version.

    Which documents change is spread evenly: every ``1 / share``-th.
    """
    stage(project, documents, revision=revision, share=share)
    write_rows(project, revision, fresh_vectors(project, seed + revision))
    return project.snapshot(DATASET, message=f"revision {revision}")


def stage(project: Project, documents: int, *, revision: int, share: float) -> None:
    """The documents of a revision, as the temporary table ``fresh`` and nowhere else."""
    lake, tables = project.lake(), project.tables(DATASET)
    tables.dataset.ensure(lake)
    tables.ensure(lake)
    step = round(1 / share)
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE fresh AS
            SELECT {sql_shard("document_id", SHARDS)} AS shard, document_id, text, {sql_content_hash("text")} AS digest
            FROM (SELECT format('doc-{{:08d}}', i) AS document_id,
                         format('document {{}} revision {revision} speaks of item{{}} and of nothing else', i, i) AS text
                  FROM range({int(documents)}) r(i) WHERE i % {step} = {revision % step})"""
    )


def fresh_vectors(project: Project, seed: int) -> Iterator[tuple[int, pa.Table]]:
    """For each shard of ``fresh`` a table [content_hash, vector: float32[dimension]] of random unit vectors."""
    lake, dimension = project.lake(), project.space(DATASET).dimension
    for (shard,) in lake.rows("SELECT DISTINCT shard FROM fresh ORDER BY shard"):
        hashes = lake.table("SELECT digest FROM fresh WHERE shard = ? ORDER BY digest", [shard])[
            "digest"
        ].combine_chunks()
        random = np.random.default_rng([seed, shard])
        vectors = random.standard_normal((len(hashes), dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield (
            shard,
            pa.table(
                {"content_hash": hashes, "vector": pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), dimension)}
            ),
        )


def write_rows(project: Project, revision: int, vectors: Iterable[tuple[int, pa.Table]]) -> None:
    """Commit documents, chunks and vectors of ``fresh``, as a build does."""
    lake, tables = project.lake(), project.tables(DATASET)

    def write() -> None:
        lake.run(f"DELETE FROM {tables.dataset.documents} WHERE document_id IN (SELECT document_id FROM fresh)")
        lake.run(
            f"""INSERT INTO {tables.dataset.documents} (shard, document_id, digest, content_hash, title, media_type,
                    metadata, text, updated_at)
                SELECT shard, document_id, digest, digest, '', 'text/plain', '{{}}', text, now()::TIMESTAMP FROM fresh
                ORDER BY shard, document_id"""
        )

    lake.transaction(write, f"revision {revision}")
    find_stale(lake, tables, None)
    lake.run(
        """CREATE OR REPLACE TEMP TABLE staged_chunks AS
           SELECT shard, document_id, digest AS document_digest, 0::INTEGER AS ordinal, 0::INTEGER AS span_start,
                  length(text)::INTEGER AS span_end, '' AS context, text, '{}' AS metadata FROM fresh"""
    )
    replace_chunks(lake, tables, project.space(DATASET).fingerprint, f"chunks of revision {revision}")
    looked_at = lake.snapshot_id()
    find_pending(lake, tables, None)
    waiting: list[tuple[int, pa.Table]] = []
    for part in vectors:
        waiting.append(part)
        if sum(table.num_rows for _, table in waiting) >= COMMIT_ROWS:
            store_vectors(lake, tables, waiting, f"random vectors of {len(waiting)} shards", lacked_at=looked_at)
            waiting = []
    if waiting:
        store_vectors(lake, tables, waiting, f"random vectors of {len(waiting)} shards", lacked_at=looked_at)
