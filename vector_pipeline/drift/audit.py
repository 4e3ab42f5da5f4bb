"""Audit: a deployment against what its target holds now. Reads only; but what it finds wrong is not remembered as right any more.

Laws
----
1. What is expected is the lake's snapshot of the version that was deployed, never what a journal or a count says.
2. ``count`` proves nothing but that somebody wrote: it compares the namespace's mark and size with those after our last write.
   Where nothing was recorded, a writer of ours is at work, or the mark does not see everybody's writes, it goes on to ``ids``.
3. A namespace is read once, however many versions of it are judged.
4. A version that has expired cannot be judged: its report says so as a fault, and the others are judged all the same.
5. With values marks are compared: those of now with those that were listed or remembered. A sample is another one with every audit,
   unless its seed is given: else what it missed once it would miss for ever.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vector_pipeline.drift import compare
from vector_pipeline.drift.held import Depth, alone_since, observe
from vector_pipeline.drift.report import DriftReport, Level
from vector_pipeline.drift.values import compare_found, judge_marks
from vector_pipeline.errors import InputError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.hands import explained
from vector_pipeline.release.registry import Deployment, DeploymentStatus, Registry, Version
from vector_pipeline.release.remembering import doubt
from vector_pipeline.targets.base import NamespaceState, Target

SAMPLE = 1000
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Subject:
    """What is audited: a deployment, its version, and the alias that points at it, if one does."""

    deployment: Deployment
    version: Version
    alias: str | None = None


def audit(
    lake: Lake,
    registry: Registry,
    target: Target,
    deployment: Deployment,
    version: Version,
    *,
    level: str = Level.IDS,
    sample: int = SAMPLE,
    seed: int | None = None,
    alias: str | None = None,
) -> DriftReport:
    """Compare one deployment with its target. ``CorruptError`` or ``NotFoundError`` when the lake no longer holds the version."""
    subject = Subject(deployment, version, alias)
    return audit_line(lake, registry, target, [subject], level=level, sample=sample, seed=seed)[0]


def audit_line(
    lake: Lake,
    registry: Registry,
    target: Target,
    subjects: Sequence[Subject],
    *,
    level: str = Level.IDS,
    sample: int = SAMPLE,
    seed: int | None = None,
    depth: Depth = Depth.LISTED,
) -> list[DriftReport]:
    """Compare deployments of one namespace, which is read once. ``seed`` of a sample: by chance, and in the report (law 5).

    ``depth``: how a target that lists no marks is asked for them, but at the level ``full``.
    """
    wanted = checked_level(level)
    chosen = secrets.randbelow(_SEEDS) if seed is None else seed
    state = target.describe(subjects[0].deployment.namespace)
    blank = [_blank(subject, wanted, state) for subject in subjects]
    faults = _faults(subjects[0], state)
    if faults or state is None:
        missing = [one.expected if state is None else 0 for one in blank]
        return [
            replace(one, found=one.expected if state else 0, missing=gone, faults=faults)
            for one, gone in zip(blank, missing, strict=True)
        ]
    if wanted is Level.COUNT:
        seen = target.capabilities.sees_foreign_writes
        counted = _by_count(registry, subjects[0].deployment, blank, state) if seen else None
        if counted is not None:
            return counted
        wanted = Level.IDS
    started = time.perf_counter()
    # In full everything is fetched anyway: with it come the marks that a target's listing may not have.
    depth = Depth.FETCHED if wanted is Level.FULL else depth
    blind = not observe(lake, target, subjects[0].deployment, depth)
    reports = []
    for subject, one in zip(subjects, blank, strict=True):
        leveled = replace(one, level=wanted)
        reports.append(_judged(lake, registry, target, subject, leveled, sample, chosen, started, blind=blind))
        started = time.perf_counter()
    if any(one.missing or one.foreign or one.tampered or one.stale_marks for one in reports):
        doubt(lake, target, state)
    return reports


def checked_level(level: str) -> Level:
    """``InputError`` lists the levels."""
    try:
        return Level(level)
    except ValueError:
        raise InputError(f"{level!r} is no level of an audit", fix=f"Use one of: {', '.join(Level)}") from None


def _blank(subject: Subject, level: Level, state: NamespaceState | None) -> DriftReport:
    one = subject.deployment
    return DriftReport(
        dataset=one.dataset,
        environment=one.environment,
        alias=subject.alias,
        deployment=one.id,
        target=one.target,
        namespace=one.namespace,
        version=one.version,
        level=level,
        expected=subject.version.records,
        found=0,
        mark=state.mark if state is not None else None,
    )


def _faults(subject: Subject, state: NamespaceState | None) -> tuple[str, ...]:
    """What makes a look at the records pointless."""
    name = subject.deployment.namespace
    if state is None:
        return (f"{name} does not exist",)
    wanted = {
        "dimension": subject.version.dimension,
        "metric": subject.version.metric,
        "space": subject.version.fingerprint,
    }
    return tuple(
        f"{name} has {what} {getattr(state.spec, what)}, not {value}"
        for what, value in wanted.items()
        if getattr(state.spec, what) != value
    )


def _by_count(
    registry: Registry, deployment: Deployment, blank: Sequence[DriftReport], state: NamespaceState
) -> list[DriftReport] | None:
    """Law 2; None where it cannot say."""
    place = deployment.environment, deployment.target, deployment.namespace
    known = registry.namespace_record(*place)
    if known is None:
        return None
    if (known.mark, known.records) == (state.mark, state.records):
        return [replace(one, found=one.expected) for one in blank]
    if explained(registry, *place, state.mark):
        return None
    written = f"{deployment.namespace} was written to after our last write, {known.updated_at:%Y-%m-%d %H:%M} UTC"
    if known.records != state.records:
        written += f" ({state.records:,} records, {known.records:,} then)"
    return [
        replace(
            one,
            found=one.expected,
            faults=(written,),
            missing=0,
            not_judged=("which records changed: look at the levels ids and full; a repair at full settles it",),
        )
        for one in blank
    ]


def _holds_expired(registry: Registry, deployment: Deployment) -> bool:
    """Whether a version that has expired is still in a deployment's line: nothing tells its closed records from foreign ones."""
    place = (deployment.environment, deployment.target, deployment.namespace)
    gone = {one.number for one in registry.versions(deployment.dataset) if one.expired_at is not None}
    return any(
        (one.environment, one.target, one.namespace) == place
        and one.status != DeploymentStatus.RETIRED
        and one.version in gone
        for one in registry.deployments(deployment.dataset, deployment.environment)
    )


def _judged(
    lake: Lake,
    registry: Registry,
    target: Target,
    subject: Subject,
    blank: DriftReport,
    sample: int,
    seed: int,
    started: float,
    *,
    blind: bool,
) -> DriftReport:
    expired = subject.version.expired_at
    if expired is not None:
        return replace(blank, faults=(f"cannot be judged: v{blank.version} expired on {expired:%Y-%m-%d}",))
    alone = alone_since(target, subject.deployment) is not None
    compare.judge(
        lake, registry, subject.version, alone=alone, doubtful=blind and _holds_expired(registry, subject.deployment)
    )
    not_judged: tuple[str, ...] = ()
    if blind:
        not_judged = ("metadata", "version marks")
        # Records of other versions stand beside, and nothing says which of them a reader sees.
        lake.run(f"DELETE FROM drift_judged WHERE word = '{compare.STALE}'")
    compared = 0
    if blank.level in (Level.SAMPLE, Level.FULL):
        some = sample if blank.level is Level.SAMPLE else None
        compared = compare_found(lake, target, subject.deployment.namespace, subject.version, sample=some, seed=seed)
        now = target.describe(subject.deployment.namespace)
        judge_marks(
            lake, subject.version, newest=compare.newest_of(registry, subject.version),
            alone=alone_since(target, subject.deployment), still=now is not None and now.mark == blank.mark,
        )  # fmt: skip
    counts = compare.counts(lake)
    if counts.get(compare.DOUBTFUL):
        not_judged += (f"{counts[compare.DOUBTFUL]:,} records: of expired versions, or foreign",)
    wrong, examples = compare.told(counts, compare.examples(lake))
    return replace(
        blank,
        expected=int(lake.row("SELECT count(*) FROM drift_judged WHERE shard IS NOT NULL")[0]),
        found=counts.get(compare.FOUND, 0),
        missing=wrong[compare.MISSING],
        foreign=wrong[compare.FOREIGN],
        tampered=wrong[compare.TAMPERED],
        stale_marks=wrong["stale_marks"],
        compared=compared,
        seed=seed if blank.level is Level.SAMPLE else None,
        not_judged=not_judged,
        examples=examples,
        seconds=time.perf_counter() - started,
    )
