"""Which shards have something to do? Asked before a run, so that it covers them and no others. Reads only.

A shard is pending when its listing differs from the lake's (or a parser does), or when a space is not whole there: a document lacks
its chunks, a chunk its document or its vector (``filling``). A source whose changes cannot be told from its revision makes every
shard pending. What a space lacks of shards that a build leaves out there (ADR 0014, law 2) does not count.
"""

from collections.abc import Iterable, Set
from pathlib import Path

import pyarrow as pa

from vector_pipeline.build.documents import known_state
from vector_pipeline.build.files import parsers_of
from vector_pipeline.build.filling import shard_states
from vector_pipeline.build.records import record_revision
from vector_pipeline.build.sampling import keep_sample
from vector_pipeline.config import DatasetConfig, RecordSourceConfig
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.corpus.sources import listed_source
from vector_pipeline.hashing import sql_shard
from vector_pipeline.lake import documents as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import LISTED
from vector_pipeline.lake.tables import DatasetTables, SpaceTables


def pending_shards(
    lake: Lake, dataset: str, config: DatasetConfig, base: Path, spaces: Iterable[tuple[SpaceTables, Set[int]]],
    sample: Sample | None = None,
) -> set[int]:  # fmt: skip
    """Shards that a build of the dataset would change, in these spaces: of each, those that it covers there. Raises what a listing
    raises.
    """
    tables, every = DatasetTables(dataset), set(range(config.shards))
    if not lake.has_table(dataset, "documents"):
        return every
    pending = _changed(lake, tables, config, base, sample)
    for space, covered in spaces:
        if pending == every:
            break
        names = (space.chunk_table, space.embedding_table)
        pending |= (every if lake.missing(dataset, names) else _unfinished(lake, space, covered)) & covered
    return pending


def _changed(lake: Lake, tables: DatasetTables, config: DatasetConfig, base: Path, sample: Sample | None) -> set[int]:
    every = set(range(config.shards))
    known = known_state(lake, tables, config)
    if isinstance(config.source, RecordSourceConfig):
        revision = record_revision(config.source, base, sample)
        same = known is not None and revision is not None and revision == known.revision
        return set() if same else every
    source = listed_source(config.source, base)
    items = list(source.list())
    if not items:
        return every  # The run refuses it, or deletes everything: either way it has to look.
    columns = [pa.array([item.id for item in items]), pa.array([item.revision for item in items])]
    store.stage(lake, "listed", LISTED, [pa.RecordBatch.from_arrays(columns, schema=LISTED)])
    keep_sample(lake, "listed", "document_id", sample, tables.dataset)
    store.select_shards(lake, config.shards, None)
    changed = store.changed_items(lake, tables, config.shards, parsers_of(source))
    with lake.registered("changed_now", changed):
        return _shards(
            lake,
            f"""SELECT {sql_shard("document_id", config.shards)} FROM changed_now
                UNION SELECT shard FROM {tables.items} ANTI JOIN listed USING (document_id)""",
        )


def _unfinished(lake: Lake, tables: SpaceTables, shards: Set[int]) -> set[int]:
    return {one.shard for one in shard_states(lake, tables, sorted(shards)) if not one.whole}


def _shards(lake: Lake, sql: str) -> set[int]:
    return {int(row[0]) for row in lake.rows(sql)}
