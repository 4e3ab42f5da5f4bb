"""Exact search of kept snapshots inside the lake: each vector is scored once, every version only joins and sorts.

Laws
----
1. A score is what the target computes: the same expression over the same float32 values. Ranks are those of records, ties by id,
   as a reader gets them.
2. Vectors are read once for each question and embedder, however many versions are searched; memory is the engine's, which spills.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vector_pipeline.embedding.base import Vectors
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.targets.duckdb.relations import SCORES

NOW, BEFORE = "blame_now", "blame_before"
"""Temporary tables of the ranked records of two versions: record_id, document_id, content_hash, score, rank."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One record of a ranking."""

    rank: int
    """From 1."""
    document: str
    record_id: str
    content_hash: str
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a version answers."""

    top: tuple[Ranked, ...]
    best: Ranked | None
    """Of the document asked for; None when the version does not hold it."""
    contents: frozenset[str]
    """Content hashes of the document's chunks."""
    records: int


def score_vectors(lake: Lake, tables: SpaceTables, question: Vectors, dimension: int, metric: str) -> None:
    """Fill ``blame_scores(shard, content_hash, score)`` for one float32[dimension] vector over a whole embeddings table."""
    width = f"FLOAT[{int(dimension)}]"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE blame_question AS
            SELECT v AS vector, sqrt(array_inner_product(v, v))::FLOAT AS norm FROM (SELECT $1::{width} AS v)""",
        [np.asarray(question, dtype=np.float32).tolist()],
    )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE blame_scores AS
            SELECT r.shard, r.content_hash, {SCORES[metric]} AS score
            FROM (SELECT shard, content_hash, v AS vector, sqrt(array_inner_product(v, v))::FLOAT AS norm
                  FROM (SELECT shard, content_hash, vector::{width} AS v FROM {tables.embeddings})) r,
                 blame_question q"""
    )


def rank_version(lake: Lake, tables: SpaceTables, snapshot: int, document: str, top_k: int) -> Ranking:
    """Rank every record of a lake snapshot by ``blame_scores``. What was ranked before becomes ``BEFORE``."""
    lake.run(f"DROP TABLE IF EXISTS {BEFORE}")
    lake.run(f"CREATE TEMP TABLE IF NOT EXISTS {NOW} AS {_NOTHING}")
    lake.run(f"ALTER TABLE {NOW} RENAME TO {BEFORE}")
    lake.run(
        f"""CREATE TEMP TABLE {NOW} AS
            SELECT c.record_id, c.document_id, c.content_hash, s.score,
                   row_number() OVER (ORDER BY s.score DESC, c.record_id) AS rank
            FROM {at(tables.chunks, snapshot)} c JOIN blame_scores s USING (shard, content_hash)"""
    )
    top = _read(lake, "rank <= ?", [top_k])
    own = lake.row(f"SELECT min(rank), list(DISTINCT content_hash) FROM {NOW} WHERE document_id = ?", [document])
    best = _read(lake, "rank = ?", [own[0]]) if own[0] is not None else []
    records = int(lake.row(f"SELECT count(*) FROM {NOW}")[0])
    return Ranking(tuple(top), best[0] if best else None, frozenset(own[1] or ()), records)


_NOTHING = """
    SELECT NULL::VARCHAR AS record_id, NULL::VARCHAR AS document_id, NULL::VARCHAR AS content_hash, NULL::FLOAT AS score,
           NULL::BIGINT AS rank WHERE false"""


def forget(lake: Lake) -> None:
    """Drop the temporary tables."""
    for name in (NOW, BEFORE, "blame_scores", "blame_question"):
        lake.run(f"DROP TABLE IF EXISTS {name}")


def _read(lake: Lake, condition: str, parameters: list[int]) -> list[Ranked]:
    rows = lake.rows(
        f"SELECT rank, document_id, record_id, content_hash, score FROM {NOW} WHERE {condition} ORDER BY rank",
        parameters,
    )
    return [Ranked(int(row[0]), str(row[1]), str(row[2]), str(row[3]), float(row[4])) for row in rows]


def standing(lake: Lake, table: str, documents: Sequence[str]) -> dict[str, tuple[int, frozenset[str]]]:
    """Best rank and contents of some documents in a ranked table; those that it does not hold are left out."""
    rows = lake.rows(
        f"""SELECT document_id, min(rank), list(DISTINCT content_hash) FROM {table}
            WHERE document_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY document_id""",
        [list(documents)],
    )
    return {str(row[0]): (int(row[1]), frozenset(row[2])) for row in rows}
