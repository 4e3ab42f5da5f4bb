"""What readers lose by a plan: of its line, and of what is served. Reads the lake."""

from vector_pipeline.errors import NotFoundError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import at
from vector_pipeline.release.plan import Action, Removal
from vector_pipeline.release.planner import Look
from vector_pipeline.release.registry import Version
from vector_pipeline.release.snapshot import tables_of


def removal_of(look: Look) -> Removal:
    """What readers of the line lose."""
    before = look.actions[Action.REMOVE] + look.actions[Action.UNCHANGED] + look.actions[Action.METADATA]
    return Removal(look.actions[Action.REMOVE], before, look.documents["removed"])


def removal_since(lake: Lake, served: Version, version: Version) -> Removal:
    """What readers of ``served`` lose when they move to a version in another line. Nothing is known of what was expired."""
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
