"""What readers lose by a plan: of its line, and of what is served. Reads the lake."""

from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.changes import find_changes
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import at
from vector_pipeline.release.following import NET
from vector_pipeline.release.ledger import Stood
from vector_pipeline.release.plan import Action, Removal
from vector_pipeline.release.planner import Look
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import tables_of


def removal_of(look: Look) -> Removal:
    """What readers of the line lose."""
    before = look.actions[Action.REMOVE] + look.actions[Action.UNCHANGED] + look.actions[Action.METADATA]
    return Removal(look.actions[Action.REMOVE], before, look.documents["removed"])


def removal_since(lake: Lake, served: Version, version: Version, known: Stood | None = None) -> Removal:
    """What readers of ``served`` lose when they move to a version in another line. Nothing is known of what was expired.

    ``known``: the version from which the look that was made last found out what changed (``following``).
    """
    if known is not None and (known.version, known.digest) == (served.number, served.digest):
        return _by_feed(lake, served, version, NET)
    if _netted(lake, served, version):
        return _by_feed(lake, served, version, "served_net")
    key = "record_id" if served.fingerprint == version.fingerprint else "document_id"
    old, new = (at(tables_of(one).chunks, one.lake_snapshot) for one in (served, version))
    try:
        gone, held, documents = lake.row(
            f"""WITH old AS (SELECT DISTINCT {key} AS name, document_id FROM {old}),
                     new AS (SELECT {key} AS name, document_id FROM {new})
                SELECT (SELECT count(*) FROM old ANTI JOIN new USING (name)), (SELECT count(*) FROM old),
                       (SELECT count(DISTINCT document_id) FROM old ANTI JOIN new USING (document_id))"""
        )
    except NotFoundError:
        return Removal()
    return Removal(int(gone), int(held), int(documents), served=True)


def _netted(lake: Lake, served: Version, version: Version) -> bool:
    """Fill ``served_net`` with the records that came and went between two versions; False where that cannot be told."""
    if tables_of(served) != tables_of(version) or served.lake_snapshot > version.lake_snapshot:
        return False
    if served.fingerprint != version.fingerprint:
        return False
    tables = tables_of(version)
    return find_changes(
        lake, tables.dataset, tables.chunk_table, ("record_id", "document_id"), served.lake_snapshot,
        version.lake_snapshot, "served_net", expected=served.records,
    )  # fmt: skip


def _by_feed(lake: Lake, served: Version, version: Version, net: str) -> Removal:
    """As by reading both: of a document that lost records and got none, its others are looked for."""
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE served_lost AS SELECT document_id FROM {net}
           GROUP BY document_id HAVING max(net) < 0"""
    )
    (gone,) = lake.row(
        f"SELECT count(*) FROM (FROM {net} WHERE net < 0) ANTI JOIN (FROM {net} WHERE net > 0) USING (record_id)"
    )
    (lost,) = lake.row("SELECT count(*) FROM served_lost")
    if lost:
        (there,) = lake.row(
            f"""SELECT count(DISTINCT document_id) FROM {at(tables_of(version).chunks, version.lake_snapshot)} c
                SEMI JOIN served_lost USING (document_id)"""
        )
        lost -= there
    return Removal(int(gone), served.records, int(lost), served=True)
