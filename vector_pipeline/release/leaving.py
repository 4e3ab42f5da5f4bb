"""What a push leaves in its line: how many records, and what is remembered of them.

From the look that its plan was made from, whose temporary tables (``observed``, ``plan_actions``) are this thread's still.
"""

from dataclasses import replace

from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.ledger import Stood
from vector_pipeline.release.plan import Plan, StageKind
from vector_pipeline.release.planner import CHUNKS, Look, added_in, alone
from vector_pipeline.release.registry import Version
from vector_pipeline.release.remembering import carry_on, changed, remember
from vector_pipeline.targets.base import LIVE, NamespaceState, Target

_ENDS = "SELECT end_id{} FROM plan_actions WHERE end_id IS NOT NULL"


def count_after(lake: Lake, look: Look, plan: Plan) -> int:
    """Records in the line after the plan."""
    new = lake.row("SELECT count(*) FROM plan_actions ANTI JOIN observed USING (id) WHERE stage IS NOT NULL")[0]
    gone = lake.row(f"SELECT count(*) FROM observed WHERE id IN ({_ENDS.format('')})")[0] if _deletes(plan) else 0
    return look.held + int(new) - int(gone)


def keep_marks(
    lake: Lake,
    registry: str,
    push: int,
    version: Version,
    target: Target,
    plan: Plan,
    look: Look,
    after: NamespaceState,
) -> None:
    """Remember what the line holds in the state that the push left. ``registry``: id of the one that numbered push and version."""
    of = Stood(
        registry, push, version.dataset, version.number, version.digest, version.fingerprint, version.lake_snapshot,
        version.records,
    )  # fmt: skip
    if look.ledger is None:
        shared = not alone(plan.strategy, target.capabilities)
        remember(lake, target, plan.namespace, after, marks_after(version, plan), of=of if shared else None)
        return
    if after.records != count_after(lake, look, plan):
        # Somebody wrote between two writes of ours.
        return
    ends = f"""SELECT {_COLUMNS}, {version.number}::BIGINT AS removed_in, true AS ended FROM observed
               WHERE id IN ({_ENDS.format("")})"""
    ended = int(lake.row(f"SELECT count(*) FROM ({_ENDS.format('')})")[0])
    moved = ended or any(stage.records for stage in look.stages)
    then = replace(
        look.ledger, of=of, held=after.records, dead=look.ledger.dead + ended,
        latest=version.number if moved else look.ledger.latest,
    )  # fmt: skip
    carry_on(
        lake,
        target,
        after,
        look.ledger,
        then,
        f"SELECT *, false AS ended FROM ({_written(version, plan)}) UNION ALL {ends}",
    )


_COLUMNS = "id, document_id, content_hash, metadata_hash, space, added_in"


def marks_after(version: Version, plan: Plan) -> str:
    """The query of a line's marks after a plan that was made of a full comparison."""
    written = _written(version, plan)
    if _deletes(plan):
        return changed("observed", written=written, gone=_ENDS.format(""))
    return changed("observed", written=written, ended=_ENDS.format(f", {version.number}::BIGINT"))


def _written(version: Version, plan: Plan) -> str:
    since = added_in(plan.strategy, plan.version)
    return f"""
        SELECT a.id, c.document_id, c.content_hash, c.metadata_hash, '{version.fingerprint}' AS space,
               {since}::BIGINT AS added_in, {LIVE}::BIGINT AS removed_in
        FROM plan_actions a JOIN {CHUNKS} c USING (record_id) WHERE a.stage IS NOT NULL"""


def _deletes(plan: Plan) -> bool:
    return any(one.kind is StageKind.DELETE for one in plan.stages)
