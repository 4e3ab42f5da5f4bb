"""Look at a line of a target and compare it with a version: what would be written, and whether it may.

Laws
----
1. What is compared, and how, is in ``comparing``: this module counts it and makes stages of it.
2. A line that already holds a later version, by its records or by the registry, takes no earlier one that is not whole there: going
   back is an alias move, or a line of its own.
3. Stages are executed in order: additions before closings, so that nobody sees less than a whole version.
"""

from dataclasses import dataclass, field, replace

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import at, within
from vector_pipeline.release import comparing, following
from vector_pipeline.release.costs import record_bytes, sending, upserting
from vector_pipeline.release.fitting import refuse_unfit
from vector_pipeline.release.ledger import Ledger
from vector_pipeline.release.lines import IN_PLACE_ADDED_IN
from vector_pipeline.release.observed import Read, marks_of
from vector_pipeline.release.plan import FILLING, Action, Stage, StageKind, Strategy
from vector_pipeline.release.registry import Registry, Version
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import LIVE, Capabilities, NamespaceState, Target


@dataclass(frozen=True, slots=True)
class Look:
    """What a line holds, compared with a version. Its actions stand in the temporary table ``plan_actions``."""

    namespace: str
    strategy: Strategy
    state: NamespaceState | None
    actions: dict[str, int]
    documents: dict[str, int]
    examples: dict[str, list[str]]
    stages: tuple[Stage, ...]
    """Those that write records."""
    digest: str
    """Of all actions."""
    later: int | None
    """A later version that stands in the line and forbids this one (law 2)."""
    stood: bool
    """Whether anything of this version stands in the line."""
    held: int
    """Records in the line."""
    dead: int
    """Records that the version would not see after apply."""
    read: Read = field(default_factory=Read)
    """What looking took."""
    ledger: Ledger | None = None
    """What the line was known to hold, where only what differs was compared (``following``): ``plan_actions`` has no more then."""

    @property
    def changes(self) -> int:
        """Records that differ."""
        return sum(count for action, count in self.actions.items() if action != Action.UNCHANGED)

    @property
    def whole(self) -> bool:
        """Whether the line holds the version, and nothing else that its readers see."""
        return not self.changes and self.state is not None

    @property
    def dead_share(self) -> float:
        """Of the line after apply: 0 to 1."""
        total = self.held + sum(stage.records for stage in self.stages if stage.kind in _ADDING)
        return self.dead / total if total else 0.0


WRITTEN = (
    f"SELECT shard, record_id, id, stage = '{StageKind.UPSERT}' AS whole FROM plan_actions WHERE stage IS NOT NULL"
)
"""What a look would write, for ``fitting``."""
CHUNKS = "plan_chunks"
"""Temporary view: the version's records, or those that differ; with texts."""
_ADDING = FILLING | {StageKind.DERIVE}


def alone(strategy: Strategy, limits: Capabilities) -> bool:
    """Whether a line holds one version only: what it wants no more is deleted, not closed."""
    return strategy is Strategy.IN_PLACE or not limits.numeric_filters


def added_in(strategy: Strategy, version: int) -> int:
    """First version that sees what a push writes."""
    return IN_PLACE_ADDED_IN if strategy is Strategy.IN_PLACE else version


def look_at(
    lake: Lake,
    version: Version,
    target: Target,
    namespace: str,
    strategy: Strategy,
    *,
    newest: int | None = None,
    ours: str | None = None,
    absent: bool = False,
    registry: Registry | None = None,
) -> Look:
    """Compare what a line holds with a version. ``newest``: the latest other version that the registry knows in it; ``ours``:
    its mark after our last finished write: with another one now, no vector is taken from it; ``absent``: nothing that stands there
    is built on (an import is under way, or was cut off). ``registry``: whose pushes the line's are; without one all is compared.

    Leaves the actions in the temporary table ``plan_actions`` for ``apply``. ``RefusedError`` for a namespace of another space, and
    for records that the target would not take.
    """
    state = target.describe(namespace) if not absent else None
    if state is not None:
        _refuse_other_space(state, version, target)
    limits = target.capabilities
    untouched = state is not None and state.mark == ours and limits.sees_foreign_writes
    trusted = replace(limits, derives=limits.derives and untouched)
    read, known = Read(), None
    if state is not None and registry is not None and not alone(strategy, limits):
        known = following.followed(lake, version, target, state, following.Known(registry, ours, newest))
    if known is None:
        marks = marks_of(lake, target, namespace, state, read) if state is not None else ()
        comparing.observe(lake, marks, version.fingerprint)
    desired = following.DESIRED if known is not None else at(tables_of(version).chunks, version.lake_snapshot)
    lake.run(f"CREATE OR REPLACE TEMP VIEW {CHUNKS} AS SELECT * FROM {desired}")
    if alone(strategy, limits):
        comparing.compare_alone(lake, desired, added_in(strategy, version.number), limits)
        later, stood = None, False
    else:
        comparing.compare_shared(lake, desired, version.number, trusted)
        later, stood = (None, known.latest == version.number) if known else _later(lake, version.number, newest)
    if known is not None:
        following.complete(lake, version)
    refuse_unfit(lake, version, target, WRITTEN, chunks=CHUNKS)
    actions = comparing.action_counts(lake)
    if known is not None:
        wanted = (Action.ADD, Action.RESTORE, Action.METADATA)
        actions[Action.UNCHANGED] = version.records - sum(actions[one] for one in wanted)
    held, dead = (known.held, known.dead) if known is not None else _dead(lake, version.number)
    ended = actions[Action.REMOVE] + actions[Action.METADATA] + actions[Action.FOREIGN]
    return Look(
        namespace=namespace,
        strategy=strategy,
        state=state,
        actions=actions,
        documents=comparing.document_counts(lake),
        examples=comparing.action_examples(lake),
        stages=_stages(lake, version, limits, record_bytes(state), deletes=alone(strategy, limits)),
        digest=comparing.actions_digest(lake),
        later=later,
        stood=stood,
        held=held,
        dead=0 if alone(strategy, limits) else dead + ended,
        read=read,
        ledger=known,
    )


def _refuse_other_space(state: NamespaceState, version: Version, target: Target) -> None:
    has = (state.spec.dimension, state.spec.metric, state.spec.space)
    wants = (version.dimension, version.metric, version.fingerprint)
    if has != wants:
        raise RefusedError(
            f"{state.spec.name} of target {target.name} holds vectors of {has[0]} dimensions ({has[1]}, space {has[2]}); version "
            f"{version.number} of {version.dataset} has {wants[0]} ({wants[1]}, space {wants[2]})",
            fix="Point `target` at another place in vector_pipeline.yaml, or remove what stands there",
        )


def _later(lake: Lake, version: int, known: int | None) -> tuple[int | None, bool]:
    """Law 2: a later version in the line, and whether anything of this one stands there."""
    newest, stood = lake.row(
        f"""SELECT max(greatest(added_in, CASE WHEN removed_in <> {LIVE} THEN removed_in ELSE 0 END)),
                   coalesce(bool_or({version} IN (added_in, removed_in)), false)
            FROM observed WHERE ours"""
    )
    latest = max(newest or 0, known or 0)
    return (latest if latest > version else None), bool(stood)


def _dead(lake: Lake, version: int) -> tuple[int, int]:
    held, dead = lake.row(f"SELECT count(*), count(*) FILTER (removed_in <= {version}) FROM observed")
    return int(held), int(dead)


def refuse_older(version: Version, look: Look) -> None:
    """Law 2. A version that stands there whole, older or not, is always welcome."""
    if look.later is None or not look.changes:
        return
    what = (
        f"{look.namespace} already holds version {look.later}; version {version.number} can no longer be pushed into it"
    )
    if look.stood:
        what += (
            f", and is not whole there any more ({look.changes} records differ): it was changed by hand, or never pushed to its "
            "end"
        )
    else:
        what += ", and never was"
    raise RefusedError(
        what,
        fix=f"Give it a line of its own: vector-pipeline push {version.dataset} --version {version.number} --strategy blue-green",
    )


def _stages(lake: Lake, version: Version, limits: Capabilities, each: float, *, deletes: bool) -> tuple[Stage, ...]:
    """Law 3. ``each``: bytes of a record that the target holds."""
    written = dict.fromkeys((StageKind.UPSERT, StageKind.DERIVE, StageKind.SET_METADATA), (0, 0))
    shards = [row[0] for row in lake.rows("SELECT DISTINCT shard FROM plan_actions WHERE stage IS NOT NULL")]
    if shards:
        texts = f"CASE WHEN a.stage = '{StageKind.UPSERT}' THEN strlen(c.text) ELSE 0 END"
        rows = lake.rows(
            f"""SELECT a.stage, count(*), coalesce(sum({texts} + strlen(c.metadata)), 0)::BIGINT
                FROM (SELECT record_id, stage FROM plan_actions WHERE stage IS NOT NULL) a
                JOIN (SELECT * FROM {CHUNKS} WHERE {within(shards)}) c USING (record_id) GROUP BY a.stage"""
        )
        written |= {StageKind(stage): (int(count), int(size)) for stage, count, size in rows}
    stages = []
    records, size = written[StageKind.UPSERT]
    if records:
        over = lake.row(
            f"SELECT count(*) FROM plan_actions SEMI JOIN observed USING (id) WHERE stage = '{StageKind.UPSERT}'"
        )[0]
        stages.append(upserting(records, size, version.dimension, limits, int(over * each)))
    for kind in (StageKind.DERIVE, StageKind.SET_METADATA):
        records, size = written[kind]
        if records:
            stages.append(sending(kind, records, size, limits, int(records * each)))
    ends = int(lake.row("SELECT count(*) FROM plan_actions WHERE end_id IS NOT NULL")[0])
    if ends:
        kind = StageKind.DELETE if deletes else StageKind.CLOSE
        stages.append(sending(kind, ends, 0, limits, int(ends * each)))
    return tuple(stages)
