"""What happened to a dataset, in one order of time: moves of aliases, pushes, audits, and what retention and repair did.

Laws
----
1. Nothing here decides anything: the registry's rows are read, and the lake is asked what changed between two versions.
2. A question that cannot be answered (the lake expired a version, a target does not answer) leaves its answer out; the rest stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.diff import Side, VersionDiff, diff_versions
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import (
    Alias,
    AliasMove,
    Audit,
    Deployment,
    Override,
    Push,
    PushStatus,
    Registry,
    Version,
)
from vector_pipeline.release.registry.erasures import Erasure
from vector_pipeline.release.snapshot import tables_of

ALL = 1_000_000
"""Rows that are asked for where all are needed."""
PUT = "put"
"""Level of what the registry keeps beside its audits of files that a person put into a source."""
ROUTED = "route"
"""Level of what it keeps there of a share of the readers that began to get another version, or ceased to by somebody's word."""
RETIRED = "space retire"
"""Level of what it keeps there of a space that was dropped."""
_NAMED = 3
"""Documents of a put that are named; the registry has all of them."""
_DIFF_RECORDS = 2_000_000
"""Records on both sides that a listing compares before it leaves the rest out: a second or two."""
_RELEASES = ("staging", "production")
"""Goals of a push that is no maintenance."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline."""

    at: datetime
    kind: str
    """Of a move (``promote``, ``rollback``, ``push``, ``self-check``, ``retire``),
    ``audit``, ``put``, ``route``, ``space retire``, ``seal broken for`` a verb (of whatever dataset), or what a maintenance was for
    (``repair``)."""
    alias: str | None
    from_version: int | None
    to_version: int | None
    """The version that it was about."""
    by: str = ""
    reason: str = ""
    run_id: str | None = None
    changes: VersionDiff | None = None
    """What a move changed for whoever reads through the alias; None where that is not known (any more)."""
    audit: Audit | None = None
    push: Push | None = None
    """The journalled work, for what moved no alias."""
    overrides: tuple[Override, ...] = ()
    """Gates that a promotion went past."""
    erasure: Erasure | None = None
    """For ``erase``: it is told once, whatever it wrote where."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which an alias pointed at one deployment."""

    alias: str
    deployment: int
    version: int
    since: datetime
    until: datetime | None
    """None: it does now."""
    by: str
    kind: str


class Changes:
    """What changed between two versions, by the lake; each pair once, and only so many records in all."""

    def __init__(self, lake: Lake | None, versions: Iterable[Version], *, examples: int = 3) -> None:
        self._lake, self._examples = lake, examples
        self._versions = {version.number: version for version in versions}
        self._found: dict[tuple[int, int], VersionDiff | None] = {}
        self._left = _DIFF_RECORDS

    def between(self, old: int | None, new: int | None) -> VersionDiff | None:
        """None when one side is not kept, or the budget is spent."""
        if self._lake is None or old is None or new is None:
            return None
        if (old, new) not in self._found:
            back = self._found.get((new, old))
            self._found[old, new] = reversed_diff(back) if back is not None else self._compared(self._lake, old, new)
        return self._found[old, new]

    def _compared(self, lake: Lake, old: int, new: int) -> VersionDiff | None:
        a, b = self._versions.get(old), self._versions.get(new)
        if a is None or b is None or a.expired_at is not None or b.expired_at is not None or self._left <= 0:
            return None
        self._left -= a.records + b.records
        sides = Side(tables_of(a), a.lake_snapshot), Side(tables_of(b), b.lake_snapshot)
        try:
            return diff_versions(lake, *sides, self._examples)
        except VectorPipelineError:
            return None


def reversed_diff(diff: VersionDiff) -> VersionDiff:
    """The diff the other way round."""
    examples = {**diff.examples, "added": diff.examples.get("removed", []), "removed": diff.examples.get("added", [])}
    return replace(
        diff,
        records_added=diff.records_removed,
        records_removed=diff.records_added,
        documents_added=diff.documents_removed,
        documents_removed=diff.documents_added,
        examples=examples,
    )


def timeline(registry: Registry, dataset: str, environment: str, changes: Changes, *, limit: int) -> list[Event]:
    """The newest ``limit`` events, newest first."""
    deployments = {one.id: one for one in registry.deployments(dataset, environment)}
    moves = registry.alias_moves(dataset, environment, limit=limit)
    past: dict[int, list[Override]] = {}
    for one in registry.overrides(dataset, environment):
        past.setdefault(one.move_id, []).append(one)
    events = [_move(move, past.get(move.id, ())) for move in moves]
    events += [
        Event(one.at, "erase", None, None, None, one.by, one.reason, erasure=one)
        for one in registry.erasures(dataset)[:limit]
    ]
    events += [
        Event(one.at, f"seal broken for {one.verb}", None, None, None, one.by, one.reason, one.run_id)
        for one in registry.broken_seals(environment)
        if one.dataset in (None, dataset)
    ]
    events += [_audit(audit, deployments) for audit in registry.audits(dataset, environment, limit=limit)]
    for push in registry.pushes(dataset, environment, limit=limit):
        if goal_of(push) != "erase" and not _seen_as_a_move(push, moves):
            events.append(_push(push, deployments))
    newest = sorted(events, key=lambda event: event.at, reverse=True)[:limit]
    # Compared only now, and the newest first: what is cut costs nothing.
    return [
        event
        if event.audit or event.push or event.erasure
        else replace(event, changes=changes.between(event.from_version, event.to_version))
        for event in newest
    ]


def _move(move: AliasMove, overrides: Sequence[Override]) -> Event:
    # A name that was given up points at nothing.
    to = move.to_version if move.kind != "retire" else None
    return Event(
        move.at, move.kind, move.name, move.from_version, to, move.by, move.reason, move.run_id, overrides=tuple(overrides)
    )  # fmt: skip


def _audit(audit: Audit, deployments: Mapping[int, Deployment]) -> Event:
    if audit.level == PUT:
        documents = list(audit.detail.get("documents", ()))
        more = f" and {len(documents) - _NAMED} more" if len(documents) > _NAMED else ""
        return Event(audit.at, PUT, None, None, None, audit.by, ", ".join(documents[:_NAMED]) + more, audit.run_id)
    if audit.level == ROUTED:
        version, share, why = (audit.detail.get(key) for key in ("version", "share", "reason"))
        told = f"{float(share or 0) * 100:.4g}% of the readers" if share else "ended"
        return Event(
            audit.at, ROUTED, None, None, version, audit.by, ": ".join(filter(None, (told, why))), audit.run_id
        )
    if audit.level == RETIRED:
        gone = ", ".join(f"v{number}" for number in audit.detail.get("versions", ()))
        told = f"space {audit.detail.get('space')}" + (f": {gone}" if gone else "")
        return Event(audit.at, RETIRED, None, None, None, audit.by, told, audit.run_id)
    about = deployments.get(audit.deployment_id or 0)
    version = about.version if about else None
    return Event(audit.at, "audit", audit.alias, None, version, audit.by, "", audit.run_id, audit=audit)


def _push(push: Push, deployments: Mapping[int, Deployment]) -> Event:
    about = deployments.get(push.deployment_id)
    kind, version = goal_of(push), about.version if about else None
    said: dict[str, Any] = {key: str(push.plan.get(key) or "") for key in ("by", "reason")}
    return Event(push.closed_at or push.opened_at, kind, None, None, version, **said, run_id=push.run_id, push=push)


def goal_of(push: Push) -> str:
    """``push`` for a release, else what the work was for: ``repair``, ``collect``, ``erase``."""
    if push.plan.get("strategy") == "repair":
        return "repair"
    goal = str(push.plan.get("goal", "push"))
    return "push" if goal in _RELEASES else goal


def records_of(push: Push) -> int | None:
    """How many records the work was about; None where its note does not say."""
    cost = push.plan.get("cost")
    records = push.plan.get("records") or (cost.get("records") if isinstance(cost, Mapping) else None)
    return records if isinstance(records, int) else None


def _seen_as_a_move(push: Push, moves: Sequence[AliasMove]) -> bool:
    """A push that ended well and that ``staging`` then followed is told by that move."""
    if push.status is not PushStatus.DONE or goal_of(push) != "push":
        return False
    return any(move.to_deployment == push.deployment_id and move.at >= push.opened_at for move in moves)


def spans(registry: Registry, dataset: str, environment: str, alias: str = PRODUCTION) -> list[Span]:
    """When an alias pointed at what, newest first."""
    found: list[Span] = []
    until: datetime | None = None
    for move in registry.alias_moves(dataset, environment, alias, limit=ALL):
        found.append(Span(alias, move.to_deployment, move.to_version, move.at, until, move.by, move.kind))
        until = move.at
    return found


def overlapping(found: Iterable[Span], since: datetime, until: datetime) -> list[Span]:
    """Those that lasted into the time from ``since`` to ``until`` (equal: a moment)."""
    return [
        span
        for span in found
        if (span.since <= until if since == until else span.since < until)
        and (span.until is None or span.until > since)
    ]


def pointing(aliases: Iterable[Alias], deployment: int) -> tuple[str, ...]:
    """Names of the aliases that point at a deployment now."""
    return tuple(alias.name for alias in aliases if alias.deployment.id == deployment)
