"""Nearest records of many questions, where vectors are not held: their files are read once, for all questions together.

DuckDB multiplies vector by vector, each question again: a thousand million products of ten million records and a hundred questions
took minutes. A matrix product takes seconds of that, and reading the files is the rest.

Laws
----
1. Vectors pass in blocks, each multiplied with all questions; what may be among a question's nearest (``candidates``) is noted by
   segment and position. DuckDB scores that, by the same SQL: ids, scores and the order of ties are those of ``nearest``.
2. Memory is a block and what is noted, each a share of the target's, whatever the namespace: more questions make smaller blocks.
3. Questions that cannot be told so are DuckDB's, all in one statement; so is everything where that is less work: few questions,
   or a filter that leaves little to multiply.
"""

from collections.abc import Iterator
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa

from vector_pipeline.targets.base import Vector
from vector_pipeline.targets.duckdb.candidates import Candidates, Rows, bounds, questions
from vector_pipeline.targets.duckdb.engine import FOUND, Engine, View
from vector_pipeline.targets.duckdb.held import columns
from vector_pipeline.targets.duckdb.holding import MANY
from vector_pipeline.targets.duckdb.masks import Masks
from vector_pipeline.targets.duckdb.relations import APART
from vector_pipeline.targets.duckdb.search import Hit, Search, nearest
from vector_pipeline.targets.duckdb.shortlist import Mask

_BLOCK_BYTES = 32_000_000
"""Of one block, its vectors and its scores, at most."""
_LISTED = 4_096
"""Candidates of one question; more where four times ``top_k`` are, fewer where those of all questions together take too much."""
_CANDIDATE_BYTES = 24
_SHARE = 32
"""Of the target's memory one part in so many is a block's, one the candidates', and one the questions' vectors beside each of their
candidates, while DuckDB scores them."""


def swept(
    engine: Engine, masks: Masks, cursor: duckdb.DuckDBPyConnection, view: View, search: Search, queries: Vector
) -> dict[int, list[Hit]]:
    """As ``nearest`` of all float32[m, dim] ``queries``, which are the cursor's table ``queries``."""
    if len(queries) < MANY:
        return nearest(cursor, view, search)
    passing = [masks.passing(cursor, view, segment, search) for segment in view.manifest.segments]
    records = sum(len(mask) for mask in passing)
    if sum(np.count_nonzero(mask) for mask in passing) * len(queries) < MANY * records:
        return nearest(cursor, view, search)
    asked = questions(queries, view.manifest.spec.metric)
    room = engine.memory // _SHARE // _CANDIDATE_BYTES
    most = max(4 * search.top_k, min(_LISTED, room // len(queries)))
    candidates = Candidates(asked, search.top_k, most)
    for vectors, lengths, rows in _blocks(engine, view, passing, len(queries)):
        if candidates.undecided.all():
            break
        candidates.add(*bounds(asked, vectors, lengths), rows)
    hits = _decided(engine, cursor, view, search, *candidates.listed())
    rest = np.flatnonzero(candidates.undecided).tolist()
    return hits | nearest(cursor, view, search, numbers=rest) if rest else hits


def block_rows(dimension: int, questions: int, memory: int) -> int:
    """Vectors of one block, where the target may take ``memory`` bytes."""
    return int(np.clip(min(_BLOCK_BYTES, memory // _SHARE) // (4 * (dimension + questions)), 64, 65_536))


def _blocks(engine: Engine, view: View, passing: list[Mask], questions: int) -> Iterator[tuple[Vector, Vector, Rows]]:
    """float32[n, dim] of what passes, its lengths, and its rows: positions of all segments, one after the other."""
    dimension, first = view.manifest.spec.dimension, 0
    for segment, mask in zip(view.manifest.segments, passing, strict=True):
        # A segment at a time: a union of several must not be read while it is made (``lake.whole``).
        with engine.cursor(streams=True) as cursor:
            reader = cursor.execute(
                f"SELECT rowid AS position, vector, norm FROM {view.table(segment.file, 'records')}"
            ).to_arrow_reader(block_rows(dimension, questions, engine.memory))
            for batch in reader:
                positions, vectors, lengths = columns(batch, dimension)
                some = mask[positions]
                if some.all():
                    yield vectors, lengths, positions + first
                elif some.any():
                    yield vectors[some], lengths[some], positions[some] + first
        first += segment.records


def _decided(
    engine: Engine, cursor: duckdb.DuckDBPyConnection, view: View, search: Search, query: Rows, row: Rows
) -> dict[int, list[Hit]]:
    """The best of what is listed, by DuckDB: it has passed version and filter."""
    order = np.argsort(row, kind="stable")
    query, row = query[order], row[order]
    segments = view.manifest.segments
    numbers = np.array([segment.number for segment in segments], np.int64)
    ends = np.cumsum([0, *(segment.records for segment in segments)])
    which = np.searchsorted(ends, row, side="right") - 1
    pairs = pa.table({"number": query, "segment": numbers[which], "position": row - ends[which]})
    hits: dict[int, list[Hit]] = {}
    for begin, end in pairwise(
        _cuts(row, int(ends[-1]), engine.memory // _SHARE // (4 * view.manifest.spec.dimension))
    ):
        some = pairs.slice(begin, end - begin)
        for number, found in nearest(cursor, view, Search(search.top_k), _by_segment(some), pairs=some).items():
            hits.setdefault(number, []).extend(found)
    return {number: sorted(found)[: search.top_k] for number, found in hits.items()}


def _cuts(row: Rows, records: int, most: int) -> list[int]:
    """Where ascending rows of pairs are cut into statements: of ``most`` pairs, and of few vectors where these lie far apart."""
    every = np.arange(0, len(row), max(most, 1))
    distinct, first = np.unique(row, return_index=True)
    if len(distinct) * APART < records:
        every = np.union1d(every, first[::FOUND])
    return [*every.tolist(), len(row)]


def _by_segment(pairs: pa.Table) -> dict[int, list[int]]:
    """Positions by segment."""
    segment, position = pairs["segment"].to_numpy(), pairs["position"].to_numpy()
    return {int(number): np.unique(position[segment == number]).tolist() for number in np.unique(segment)}
