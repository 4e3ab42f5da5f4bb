"""A repair, planned: what restores the kept versions of a dataset's lines with the fewest writes. Reads only.

Laws
----
1. It is a function of (snapshots of the kept versions, observed target), like the plan of a push; ``stages`` is the list that is
   shown and executed.
2. Only content that an audit of a kept version calls drifted is touched; a record that gives what is wanted is not.
3. ``ids`` mends what marks show; ``full`` compares all values too, of every record that a kept version sees or may be given.
"""

from dataclasses import asdict, dataclass
from typing import Any

from vector_pipeline.config import Prices
from vector_pipeline.drift import compare
from vector_pipeline.drift.held import Depth, alone_since, observe
from vector_pipeline.drift.report import Level
from vector_pipeline.drift.runs import match, prepare
from vector_pipeline.drift.values import compare_chosen, compare_found
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import at
from vector_pipeline.release.costs import cost_of, measured, record_bytes, sending, upserting, with_endings
from vector_pipeline.release.fitting import refuse_lacking, refuse_unfit, refuse_zeros
from vector_pipeline.release.hands import untouched
from vector_pipeline.release.plan import WRITING, Cost, Stage, StageKind
from vector_pipeline.release.registry import Deployment, Registry, Version
from vector_pipeline.release.remembering import changed
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import LIVE, NamespaceState, Target

_WRITTEN = "SELECT shard, record_id, id, source_id IS NULL AS whole FROM drift_writes WHERE version = {}"
REPAIR = "repair"
"""Strategy that a push record's plan names when it was a repair."""


@dataclass(frozen=True, slots=True)
class RepairLine:
    """A line to mend: the deployments that must stay readable in it, by version, and their versions."""

    deployments: tuple[Deployment, ...]
    versions: tuple[Version, ...]
    first: Deployment
    """The one that the repair is recorded on: what an alias points at, else the newest."""


@dataclass(frozen=True, slots=True)
class LinePlan:
    """The repair of one line."""

    dataset: str
    environment: str
    target: str
    namespace: str
    space: str
    fingerprint: str
    dimension: int
    metric: str
    version: int
    """Of the deployment that the repair is recorded on."""
    versions: tuple[int, ...]
    """All that are restored together."""
    level: Level
    drift: dict[str, int]
    """Records by what is wrong with them, over all kept versions: one is counted once."""
    examples: dict[str, list[str]]
    stages: tuple[Stage, ...]
    cost: Cost
    mark: str | None
    """The target's state that was looked at; None when the namespace did not exist."""
    strategy: str = REPAIR

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.stages

    @property
    def writes(self) -> int:
        """Records written, closed, reopened or deleted."""
        return sum(stage.records for stage in self.stages if stage.kind in WRITING)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """The repair of a dataset's lines in an environment."""

    dataset: str
    environment: str
    lines: tuple[LinePlan, ...]
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether everything is as it should be."""
        return all(line.empty for line in self.lines)

    @property
    def writes(self) -> int:
        """Records written, closed, reopened or deleted, over all lines."""
        return sum(line.writes for line in self.lines)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Of all lines, in order."""
        return tuple(stage for line in self.lines for stage in line.stages)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "writes": self.writes, "empty": self.empty}


def plan_line(
    lake: Lake,
    registry: Registry,
    target: Target,
    line: RepairLine,
    *,
    level: Level = Level.IDS,
    prices: Prices | None = None,
    parallel: int = 1,
) -> LinePlan:
    """Plan one line. Leaves the work in temporary tables (``runs.match``) for ``repair``."""
    first, newest = line.first, line.versions[-1]
    state = target.describe(first.namespace)
    if state is not None and (state.spec.dimension, state.spec.space) != (newest.dimension, newest.fingerprint):
        raise RefusedError(
            f"{first.namespace} in {first.target} is of space {state.spec.space} with {state.spec.dimension} dimensions, not "
            f"{newest.fingerprint} with {newest.dimension}: somebody made it anew",
            fix="Drop it by hand, then repair",
        )
    drift, examples = _find_drift(lake, registry, target, line, level)
    prepare(lake, line.versions, alone=_alone(target, line))
    if level is Level.FULL and _compare_hidden(lake, target, line):
        prepare(lake, line.versions, alone=_alone(target, line))
    # What nobody compared is copied only where nobody else can have replaced it.
    sure = level is Level.FULL or (
        target.capabilities.sees_foreign_writes
        and untouched(
            registry, first.environment, target.name, first.namespace, state.mark if state is not None else None
        )
    )
    match(
        lake,
        newest=compare.newest_of(registry, newest),
        derives=target.capabilities.derives and sure,
        proven=level is Level.FULL,
    )
    _use_real_marks(lake, target, line)
    rates = measured(registry, target, first.environment, parallel=parallel)
    stages = with_endings(_stages(lake, target, line, state), rates, prices)
    return LinePlan(
        dataset=first.dataset,
        environment=first.environment,
        target=first.target,
        namespace=first.namespace,
        space=newest.space,
        fingerprint=newest.fingerprint,
        dimension=newest.dimension,
        metric=newest.metric,
        version=first.version,
        versions=tuple(one.number for one in line.versions),
        level=level,
        drift=drift,
        examples=examples,
        stages=stages,
        cost=cost_of(stages, rates, prices),
        mark=state.mark if state is not None else None,
    )


def marks_after(line: RepairLine, plan: LinePlan) -> str:
    """The query of a line's marks after its repair, from the temporary tables that ``plan_line`` left."""
    written = " UNION ALL ".join(
        f"""SELECT w.id, c.document_id, c.content_hash, c.metadata_hash, '{plan.fingerprint}', w.added_in, w.removed_in
            FROM drift_writes w JOIN {at(tables_of(version).chunks, version.lake_snapshot)} c USING (record_id)
            WHERE w.version = {version.number}"""
        for version in line.versions
    )
    return changed(
        "drift_marks",
        written=written,
        ended="SELECT id, removed_in FROM drift_ends",
        gone="SELECT id FROM drift_deletes",
    )


def _alone(target: Target, line: RepairLine) -> bool:
    return alone_since(target, line.first) is not None


def _find_drift(
    lake: Lake, registry: Registry, target: Target, line: RepairLine, level: Level
) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Fill ``drift_bases`` by the audit's own judgement of every kept version; returns what is wrong, and examples."""
    observe(lake, target, line.first, Depth.FETCHED if level is Level.FULL else Depth.KNOWN)
    lake.run(
        """CREATE OR REPLACE TEMP TABLE drift_all (
               word VARCHAR, shard INTEGER, record_id VARCHAR, id VARCHAR, document_id VARCHAR, metadata_hash VARCHAR)"""
    )
    for version in line.versions:
        compare.judge(lake, registry, version, alone=_alone(target, line))
        if level is Level.FULL:
            compare_found(lake, target, line.first.namespace, version)
        lake.run(f"INSERT INTO drift_all FROM drift_judged WHERE word <> '{compare.FOUND}'")
    lake.run("CREATE OR REPLACE TEMP TABLE drift_bases AS SELECT DISTINCT record_id AS base FROM drift_all")
    # What several versions miss is one record, and is told once.
    lake.run(
        "CREATE OR REPLACE TEMP TABLE drift_judged AS SELECT DISTINCT ON (word, coalesce(id, record_id)) * FROM drift_all"
    )
    return compare.told(compare.counts(lake), compare.examples(lake))


def _compare_hidden(lake: Lake, target: Target, line: RepairLine) -> bool:
    """Compare the values of hidden records that the matching would show again or copy; whether any differs."""
    before = lake.row("SELECT count(*) FROM drift_spoilt")
    for idx, version in enumerate(line.versions):
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE drift_chosen AS
                SELECT any_value(w.shard) AS shard, c.base AS record_id, c.id
                FROM drift_candidates c JOIN drift_wants w ON w.base = c.base AND w.metadata_hash = c.metadata_hash
                WHERE w.idx = {idx} AND c.good GROUP BY c.base, c.id"""
        )
        compare_chosen(lake, target, line.first.namespace, version)
    return bool(lake.row("SELECT count(*) FROM drift_spoilt") != before)


def _use_real_marks(lake: Lake, target: Target, line: RepairLine) -> None:
    """On a line that holds one version alone everything is written with that line's one interval."""
    since = alone_since(target, line.first)
    if since is not None:
        lake.run(f"UPDATE drift_writes SET added_in = {since}, removed_in = {LIVE}")


def _stages(lake: Lake, target: Target, line: RepairLine, state: NamespaceState | None) -> tuple[Stage, ...]:
    limits, each = target.capabilities, record_bytes(state)
    upserts, texts, derives, described = 0, 0, 0, 0
    for version in line.versions:
        refuse_unfit(lake, version, target, _WRITTEN.format(version.number))
        refuse_lacking(lake, version, _WRITTEN.format(version.number))
        refuse_zeros(lake, version, target, _WRITTEN.format(version.number))
        some = lake.row(
            f"""SELECT count(*) FILTER (source_id IS NULL),
                       coalesce(sum(strlen(text) + strlen(metadata)) FILTER (source_id IS NULL), 0)::BIGINT,
                       count(*) FILTER (source_id IS NOT NULL),
                       coalesce(sum(strlen(metadata)) FILTER (source_id IS NOT NULL), 0)::BIGINT
                FROM (SELECT record_id, source_id FROM drift_writes WHERE version = {version.number})
                JOIN {at(tables_of(version).chunks, version.lake_snapshot)} c USING (record_id)"""
        )
        upserts, texts, derives, described = upserts + some[0], texts + some[1], derives + some[2], described + some[3]
    ends, deletes = lake.row("SELECT (SELECT count(*) FROM drift_ends), (SELECT count(*) FROM drift_deletes)")
    stages = []
    if upserts:
        stages.append(upserting(upserts, texts, line.versions[-1].dimension, limits))
    if derives:
        stages.append(sending(StageKind.DERIVE, derives, described, limits))
    if ends:
        stages.append(sending(StageKind.CLOSE, ends, 0, limits, int(ends * each)))
    if deletes:
        stages.append(sending(StageKind.DELETE, deletes, 0, limits, int(deletes * each)))
    if stages or state is None:
        stages.insert(0, Stage(StageKind.ENSURE_NAMESPACE))
    return tuple(stages)
