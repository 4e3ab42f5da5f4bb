"""A version against its source as it is now.

Laws
----
1. What the source lists now is compared with what was listed for the version: a source that changed since is behind everywhere.
2. It was listed for the version whenever it was read and gave the version's digest: files that were touched, or hold nothing, are
   read and make no other version. Documents that were erased are no part of a source.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from vector_pipeline.build.records import record_revision, stage_records
from vector_pipeline.build.sampling import keep_sample
from vector_pipeline.config import RecordSourceConfig
from vector_pipeline.corpus.model import Item
from vector_pipeline.corpus.sources import listed_source
from vector_pipeline.errors import ConfigError, NotFoundError, UnavailableError
from vector_pipeline.hashing import sql_document_key, sql_shard
from vector_pipeline.lake import documents as store
from vector_pipeline.lake.documents import LISTED
from vector_pipeline.lake.snapshots import describe_digest
from vector_pipeline.lake.tables import at
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.freshness.shards import Shard


@dataclass(frozen=True, slots=True)
class Compared:
    """A version against its source as it is now."""

    shards: tuple[Shard, ...] = ()
    why_not: str = ""
    """Why the source was not compared; empty: it was."""
    parts: bool = False
    """The lake knows that shards were read from different states of the source."""
    at_once: bool = False
    """The lake knows that all shards were read from one state of it: none is behind."""

    @property
    def differ(self) -> int:
        return sum(one.differ for one in self.shards)

    @property
    def same(self) -> bool:
        """Whether the version holds what the source lists now."""
        return not self.why_not and not self.differ


def against_source(context: GateContext) -> Compared:
    """Lists the source; opens files only of a record source that was read in parts."""
    lake, version = context.lake, context.version
    tables, source = context.candidate.tables.dataset, context.settings.source
    if not lake.has_table(tables.dataset, "source_items"):
        return Compared(why_not="no source was read for it")
    revision, shards = _state(context, version.lake_snapshot)
    erased = context.registry.erased_keys(tables.dataset)
    try:
        if not isinstance(source, RecordSourceConfig):
            store.stage(lake, "listed", LISTED, _batches(listed_source(source, context.base).list()))
            keep_sample(lake, "listed", "document_id", context.sample, tables.dataset)
            return Compared(_listed_otherwise(context, shards, erased))
        now = record_revision(source, context.base, context.sample)
        if now is None:
            return Compared(why_not="its source is a query, which is not asked again")
        for snapshot in _states(context):
            revision, _ = _state(context, snapshot)
            if revision == now:
                return Compared(at_once=True)
        if revision is not None:
            return Compared(why_not="its source has changed since", at_once=True)
        store.select_shards(lake, shards, None)
        stage_records(lake, tables, source, context.base, shards, erased, context.sample)
    except (ConfigError, UnavailableError) as error:
        return Compared(why_not=f"its source cannot be read here: {error.what}")
    return Compared(_listed_otherwise(context, shards, erased), parts=True)


def _state(context: GateContext, snapshot: int) -> tuple[str | None, int]:
    """What the lake knew of the source: its revision (None: read in parts, or files), and the number of shards."""
    seen = context.lake.rows(f"SELECT revision, shards FROM {at(context.candidate.tables.dataset.sources, snapshot)}")
    return (seen[0][0], int(seen[0][1])) if seen else (None, context.settings.shards)


def _states(context: GateContext) -> Iterator[int]:
    """States of the lake that hold the version: its own, and the newest one where it has the version's digest."""
    lake, version, tables = context.lake, context.version, context.candidate.tables
    yield version.lake_snapshot
    newest = lake.snapshot_id()
    if newest == version.lake_snapshot:
        return
    documents, chunks = at(tables.dataset.documents, newest), at(tables.chunks, newest)
    try:
        # Documents that were read and are no chunks yet belong to the next version.
        pending = lake.row(
            f"""SELECT count(*) FROM (SELECT document_id, digest FROM {documents}) d
                FULL JOIN (SELECT DISTINCT document_id, document_digest AS digest FROM {chunks}) c USING (document_id, digest)
                WHERE d.document_id IS NULL OR c.document_id IS NULL"""
        )[0]
        if not pending and describe_digest(lake, tables, newest) == version.digest:
            yield newest
    except NotFoundError:
        return


def _batches(items: Iterable[Item]) -> Iterable[pa.RecordBatch]:
    source = iter(items)
    while some := list(islice(source, 16_384)):
        columns = [pa.array([item.id for item in some]), pa.array([item.revision for item in some])]
        yield pa.RecordBatch.from_arrays(columns, schema=LISTED)


def _listed_otherwise(context: GateContext, shards: int, erased: Collection[str]) -> tuple[Shard, ...]:
    """Against the newest state that holds the version, unless an earlier one is what is listed now."""
    found: tuple[Shard, ...] = ()
    for snapshot in _states(context):
        found = _differing(context, snapshot, shards, erased)
        if not any(one.differ for one in found):
            break
    return found


def _differing(context: GateContext, snapshot: int, shards: int, erased: Collection[str]) -> tuple[Shard, ...]:
    """The temporary table ``listed`` against what was listed at a state of the lake. Keys are hex: safe inside quotes."""
    items = at(context.candidate.tables.dataset.items, snapshot)
    keys = ", ".join(f"'{key}'" for key in sorted(erased))
    kept = f"WHERE {sql_document_key('document_id')} NOT IN ({keys})" if erased else ""
    rows = context.lake.rows(
        f"""SELECT shard, count(*), count(*) FILTER (differs), min(document_id, 3) FILTER (differs)
            FROM (SELECT coalesce(s.shard, {sql_shard("l.document_id", shards)}) AS shard,
                         coalesce(s.document_id, l.document_id) AS document_id, s.revision IS DISTINCT FROM l.revision AS differs
                  FROM {items} s FULL JOIN listed l USING (document_id))
            {kept} GROUP BY shard ORDER BY shard"""
    )
    return tuple(Shard(int(shard), int(count), int(differ), tuple(names or ())) for shard, count, differ, names in rows)
