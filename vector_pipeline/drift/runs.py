"""What the kept versions of a line want together, and which of the held records give it: the matching behind a repair.

Laws
----
1. Kept versions are ordered by number. Per content and metadata the versions that want it form *runs*: unbroken rows of kept
   versions. A run is one interval, so that one record gives it; runs of one content never overlap.
2. A good record that is visible in exactly a run's kept versions is kept as it is. One that begins in the run's first version, and
   ends elsewhere, gets its end set. Else the run is written: over a record of that content that has to go, under its own id; or
   under a new id that the line does not hold.
3. What has to go and is not written over is deleted: what is foreign, contradicts its id, was spoilt, or is visible at a kept
   version that does not want it. What no kept version sees stays: a push under way owns it, or the collector does.
4. One write a record: nothing is closed and deleted, or deleted and written.
"""

from collections.abc import Sequence

import pyarrow as pa

from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import at
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import LIVE


def prepare(lake: Lake, versions: Sequence[Version], *, alone: bool) -> None:
    """Runs and candidates, from ``drift_held``, ``drift_spoilt`` and ``drift_bases(base)``: what drifted.

    ``versions``: those kept in the line, by number. ``alone``: the line holds one version and nothing else.
    """
    _find_runs(lake, versions)
    _find_candidates(lake, alone=alone)


def match(lake: Lake, *, newest: int, derives: bool, proven: bool) -> None:
    """What has to be done, after ``prepare``: ``drift_writes(shard, record_id, id, source_id, added_in, removed_in, version)``,
    ``drift_ends(id, removed_in)`` and ``drift_deletes(id)``.

    ``newest``: the latest version that exists: what ends later, and not never, gets its end set. ``derives``: take vectors from
    good records that stay; with ``proven`` only from those whose values were compared.
    """
    _keep(lake, newest)
    _overwrite(lake, newest)
    _name_the_rest(lake)
    _list_work(lake, derives=derives, proven=proven)


def _find_runs(lake: Lake, versions: Sequence[Version]) -> None:
    rows = pa.table({"idx": pa.array(range(len(versions)), pa.int64()), "version": [one.number for one in versions]})
    with lake.registered("drift_versions", rows):
        lake.run("CREATE OR REPLACE TEMP TABLE drift_line AS SELECT idx, version FROM drift_versions")
    lake.run(
        """CREATE OR REPLACE TEMP TABLE drift_wants (
               idx BIGINT, base VARCHAR, metadata_hash VARCHAR, shard INTEGER)"""
    )
    for idx, version in enumerate(versions):
        lake.run(
            f"""INSERT INTO drift_wants SELECT {idx}, record_id, metadata_hash, shard
                FROM {at(tables_of(version).chunks, version.lake_snapshot)} SEMI JOIN drift_bases ON base = record_id"""
        )
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_runs AS
            WITH islands AS (
                SELECT *, idx - row_number() OVER (PARTITION BY base, metadata_hash ORDER BY idx) AS island FROM drift_wants),
            runs AS (
                SELECT base, metadata_hash, min(idx) AS first, max(idx) AS last, any_value(shard) AS shard
                FROM islands GROUP BY base, metadata_hash, island)
            SELECT r.*, f.version AS added_in, l.version AS version, coalesce(n.version, {LIVE}) AS removed_in
            FROM runs r JOIN drift_line f ON f.idx = r.first JOIN drift_line l ON l.idx = r.last
            LEFT JOIN drift_line n ON n.idx = r.last + 1"""
    )


def _find_candidates(lake: Lake, *, alone: bool) -> None:
    """``drift_candidates``: records of drifted content, with the kept versions that see them (``first`` to ``last``).

    ``start``: the first kept version that could see it, were it open.
    """
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_candidates AS
            WITH held AS (SELECT * FROM drift_held SEMI JOIN drift_bases USING (base)),
            seen AS (
                SELECT h.id, min(idx) FILTER (version < h.removed_in) AS first, max(idx) FILTER (version < h.removed_in) AS last,
                       min(idx) AS start
                FROM held h JOIN drift_line ON version >= h.added_in GROUP BY h.id)
            SELECT h.*, s.first, s.last, s.start, h.ours AND h.sound AND p.id IS NULL AS good,
                   NOT good OR s.first IS NOT NULL OR {str(alone).lower()} AS goes_unless_kept
            FROM held h LEFT JOIN seen s USING (id) LEFT JOIN (SELECT DISTINCT id FROM drift_spoilt) p USING (id)"""
    )


def _keep(lake: Lake, newest: int) -> None:
    """``drift_given(base, first, id, ends)``: runs that a held record gives, as it is or with another end."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_given AS
           SELECT r.base, r.first, c.id, NULL::BIGINT AS ends
           FROM drift_runs r JOIN drift_candidates c
             ON c.good AND c.base = r.base AND c.metadata_hash = r.metadata_hash AND c.first = r.first AND c.last = r.last
            AND (c.removed_in <= {newest} OR c.removed_in = {LIVE} OR c.removed_in IS NULL)
           QUALIFY row_number() OVER (PARTITION BY r.base, r.first ORDER BY c.added_in DESC, c.id DESC) = 1"""
    )
    lake.run(
        """INSERT INTO drift_given
           SELECT r.base, r.first, c.id, r.removed_in
           FROM (FROM drift_runs ANTI JOIN drift_given USING (base, first)) r
           JOIN (FROM drift_candidates ANTI JOIN drift_given USING (id)) c
             ON c.good AND c.base = r.base AND c.metadata_hash = r.metadata_hash AND c.start = r.first
           QUALIFY row_number() OVER (
               PARTITION BY r.base, r.first ORDER BY c.first IS NOT NULL DESC, c.added_in DESC, c.id DESC) = 1"""
    )


def _overwrite(lake: Lake, newest: int) -> None:
    """``drift_named(base, first, id, added_in, removed_in)``: runs written over what has to go, with its marks if they fit.

    What ends with a version that does not exist ends as the run does.
    """
    fits = f"c.removed_in <= {newest} OR c.removed_in = {LIVE}"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_named AS
           SELECT r.base, r.first, c.id, c.added_in, CASE WHEN {fits} THEN c.removed_in ELSE r.removed_in END AS removed_in
           FROM (FROM drift_runs ANTI JOIN drift_given USING (base, first)) r
           JOIN (FROM drift_candidates ANTI JOIN drift_given USING (id)) c
             ON c.goes_unless_kept AND c.base = r.base AND c.first = r.first AND c.last = r.last
           QUALIFY row_number() OVER (PARTITION BY r.base, r.first ORDER BY c.added_in DESC, c.id DESC) = 1"""
    )
    lake.run(
        """INSERT INTO drift_named
           SELECT r.base, r.first, c.id, r.added_in, r.removed_in
           FROM (SELECT *, row_number() OVER (PARTITION BY base ORDER BY first) AS place
                 FROM drift_runs ANTI JOIN drift_given USING (base, first) ANTI JOIN drift_named USING (base, first)) r
           JOIN (SELECT *, row_number() OVER (PARTITION BY base ORDER BY id) AS place
                 FROM drift_candidates ANTI JOIN drift_given USING (id) ANTI JOIN drift_named USING (id)
                 WHERE goes_unless_kept) c USING (base, place)"""
    )


def _name_the_rest(lake: Lake) -> None:
    """The bare id where the line does not hold it, else a generation: the run's first version, or that with zeros before it.

    No push makes a generation that begins with a zero: an id that is made here is never written by one.
    """
    lake.run(
        """CREATE OR REPLACE TEMP TABLE drift_unnamed AS
           SELECT *, row_number() OVER (PARTITION BY base ORDER BY first) AS place
           FROM drift_runs ANTI JOIN drift_given USING (base, first) ANTI JOIN drift_named USING (base, first)"""
    )
    lake.run(
        """INSERT INTO drift_named
           SELECT base, first, base, added_in, removed_in FROM drift_unnamed
           ANTI JOIN drift_held ON drift_held.id = drift_unnamed.base WHERE place = 1"""
    )
    lake.run(
        """INSERT INTO drift_named
           SELECT base, first, name, added_in, removed_in FROM (
               SELECT u.*, zeros, base || '~' || repeat('0', zeros::BIGINT) || added_in AS name
               FROM (FROM drift_unnamed ANTI JOIN drift_named USING (base, first)) u, range(10) z(zeros))
           ANTI JOIN drift_held ON drift_held.id = name
           QUALIFY row_number() OVER (PARTITION BY base, first ORDER BY zeros) = 1"""
    )


def _list_work(lake: Lake, *, derives: bool, proven: bool) -> None:
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE drift_writes AS
            WITH sources AS (
                SELECT c.base, min(c.id) AS id FROM drift_candidates c LEFT JOIN drift_given g USING (id)
                WHERE {str(derives).lower()} AND c.good AND (g.id IS NOT NULL OR NOT c.goes_unless_kept)
                  AND c.id NOT IN (SELECT id FROM drift_named)
                  AND ({str(not proven).lower()} OR c.id IN (SELECT id FROM drift_seen))
                GROUP BY c.base)
            SELECT r.shard, r.base AS record_id, n.id, s.id AS source_id, n.added_in, n.removed_in, r.version
            FROM drift_named n JOIN drift_runs r USING (base, first) LEFT JOIN sources s USING (base)"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE drift_ends AS
           SELECT id, ends AS removed_in FROM drift_given WHERE ends IS NOT NULL"""
    )
    lake.run(
        """CREATE OR REPLACE TEMP TABLE drift_deletes AS
           SELECT id FROM drift_candidates ANTI JOIN drift_given USING (id) ANTI JOIN drift_named USING (id)
           WHERE goes_unless_kept"""
    )
