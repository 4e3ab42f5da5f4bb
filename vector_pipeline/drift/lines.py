"""Which deployments are looked at and restored: what aliases name, and what must stay readable. Reads the registry and the lake.

Laws
----
1. A line that is written in place holds what was pushed whole into it last, even where an alias still names one that was replaced.
   While a write over it has not ended, it is judged by what the alias names, and left alone: to end that write either way, and to
   show readers what nobody promoted, is not a repair's to decide.
2. A repair restores every kept version of a line that was pushed to its end, and those that an alias names however they ended.
   What is being pushed is the push's to finish.
3. A version that the lake no longer holds as it was made cannot be restored: where an alias names it that is an error, else a note.
   One that has expired is not restored either, and is a note.
"""

from collections.abc import Iterable

from vector_pipeline.drift.audit import Subject
from vector_pipeline.drift.repair_plan import RepairLine
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.lines import Line, lines_of
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Alias, Deployment, DeploymentStatus, Registry, Version, plain_name
from vector_pipeline.release.snapshot import reads_back

_GONE = frozenset({DeploymentStatus.REPLACED, DeploymentStatus.RETIRED})


def subjects(registry: Registry, dataset: str, environment: str, alias: str | None = None) -> list[list[Subject]]:
    """What the aliases (or those of one rank: ``production`` on every target) point at, by line; production's lines come first."""
    every = registry.deployments(dataset, environment)
    lines: dict[tuple[str, str], list[Subject]] = {}
    for one in _by_weight(registry.aliases(dataset, environment)):
        if alias in (None, one.name, plain_name(one.name)):
            held = _present(one.deployment, every)
            subject = Subject(held, registry.version(dataset, held.version), one.name)
            lines.setdefault((held.target, held.namespace), []).append(subject)
    return list(lines.values())


def _by_weight(aliases: Iterable[Alias]) -> list[Alias]:
    return sorted(aliases, key=lambda one: (one.name != PRODUCTION, plain_name(one.name) != PRODUCTION, one.name))


def _present(deployment: Deployment, every: Iterable[Deployment]) -> Deployment:
    """Law 1."""
    if deployment.status != DeploymentStatus.REPLACED:
        return deployment
    place = (deployment.target, deployment.namespace)
    whole = DeploymentStatus.PUSHED
    there = [one for one in every if (one.target, one.namespace) == place and one.status == whole]
    return max(there, key=lambda one: (one.updated_at, one.id), default=deployment)


def kept_lines(
    lake: Lake,
    registry: Registry,
    dataset: str,
    environment: str,
    held: Iterable[int],
    *,
    alias: str | None = None,
    only: tuple[str, str] | None = None,
) -> tuple[list[RepairLine], list[str]]:
    """Lines to mend, that of production first, and notes on what is left out. ``held``: ids of the kept deployments.

    ``alias``: only the line that it points into; ``only``: that target and namespace.
    """
    kept = set(held)
    every = registry.deployments(dataset, environment)
    aliased = [_present(one.deployment, every).id for one in _by_weight(registry.aliases(dataset, environment))]
    wanted = {one.deployment.id for line in subjects(registry, dataset, environment, alias) for one in line}
    found: list[tuple[int, RepairLine]] = []
    notes: list[str] = []
    for line in lines_of(every):
        if alias is not None and not any(one.id in wanted for one in line.deployments):
            continue
        if only not in (None, (line.target, line.namespace)):
            continue
        ones = _restorable(lake, registry, line, kept, aliased, notes)
        if ones:
            named = [aliased.index(one.id) for one, _ in ones if one.id in aliased]
            first = aliased[min(named)] if named else ones[-1][0].id
            chosen = next(one for one, _ in ones if one.id == first)
            mend = RepairLine(tuple(one for one, _ in ones), tuple(version for _, version in ones), chosen)
            found.append((min(named, default=len(aliased)), mend))
    return [line for _, line in sorted(found, key=lambda one: one[0])], notes


def _restorable(
    lake: Lake, registry: Registry, line: Line, kept: set[int], aliased: list[int], notes: list[str]
) -> list[tuple[Deployment, Version]]:
    found = []
    for one in line.deployments:
        named = one.id in aliased
        if named and one.status == DeploymentStatus.REPLACED:
            notes.append(_half_written(line))
        if one.status in _GONE or not (named or (one.id in kept and one.status == DeploymentStatus.PUSHED)):
            continue
        version = registry.version(one.dataset, one.version)
        if version.expired_at is None and (named or reads_back(lake, version)):
            found.append((one, version))
        else:
            what = "the lake no longer holds it" if version.expired_at is None else "it has expired"
            notes.append(f"v{one.version} in {one.namespace}: {what}, so it is not restored")
    return found


def _half_written(line: Line) -> str:
    """Law 1, said of a line."""
    begun = [f"v{one.version}" for one in line.deployments if one.status not in _GONE]
    return (
        f"{line.namespace}: a write in place ({', '.join(begun) or 'of what is gone'}) did not end, so nothing is restored "
        "there: push or promote again, or roll back"
    )
