"""What needs a space, so that it is not retired. Reads the registry.

Laws
----
1. A space is needed while it serves, while something uses a version of it (``registry.spaces``), while it is in the configuration,
   while a namespace of it holds another space too (one that was adopted may), and while somebody writes its tables or namespaces.
   In every environment that shares the registry.
2. Versions that are merely kept need nothing: retiring a space is what ends them.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from vector_pipeline.errors import ConflictError
from vector_pipeline.release.holding import writers
from vector_pipeline.release.registry import Registry, Use
from vector_pipeline.release.registry.spaces import said, way_out
from vector_pipeline.release.spaces import FINAL, KnownSpace, Line


class Hold(NamedTuple):
    """Something that needs a space."""

    word: str
    """In a list: ``production (dev)``, ``pinned v3``."""
    what: str
    fix: str


def holds(
    registry: Registry, space: KnownSpace, lines: Sequence[Line], *, grace_s: float, tables: Collection[str]
) -> list[Hold]:
    """What needs a space now (law 1), what weighs most first. ``tables``: its own, that somebody may be writing."""
    found = []
    if space.serving:
        found.append(
            Hold(
                "serving",
                f"space {space.label} is the one that {space.dataset} serves",
                "Change `serving` in the configuration, then release and promote a version of that space",
            )
        )
    numbers = [one.number for one in space.versions]
    uses = registry.uses(space.dataset, numbers, grace_s=grace_s) if numbers else []
    found += [
        Hold(_word(use), f"{said(use)}, of space {space.label}", way_out(use, space.dataset)) for use in _lasting(uses)
    ]
    if space.configured and not space.serving:
        found.append(
            Hold(
                "configured",
                f"space {space.label} is in the configuration, and the next build would fill it again",
                f"Take {space.name} out of `spaces` first",
            )
        )
    found += _shared(registry, space, lines)
    resources = [f"lake/{space.dataset}/{table}" for table in tables]
    resources += [f"{line.target}/{line.namespace}" for line in lines]
    written = [being_written(one) for resource in dict.fromkeys(resources) for one in writers(registry, resource)]
    return [*found, *written]


def _lasting(uses: Sequence[Use]) -> list[Use]:
    """Of what left lately only what may be read longest: who waits, waits for that one."""
    left = [one for one in uses if one.kind == "left" and one.until is not None]
    last = max(left, key=lambda one: one.until.timestamp() if one.until is not None else 0.0, default=None)
    return [one for one in uses if one.kind != "left" or one.until is None or one is last]


def _shared(registry: Registry, space: KnownSpace, lines: Sequence[Line]) -> Iterator[Hold]:
    places = {(line.target, line.namespace) for line in lines}
    for one in registry.deployments(space.dataset):
        other = (one.space, one.fingerprint) != (space.name, space.fingerprint)
        if other and (one.target, one.namespace) in places and one.status not in FINAL:
            yield Hold(
                f"shared with {one.space}",
                f"namespace {one.namespace} of {one.target} holds v{one.version} of space {one.space} too",
                f"Push {one.space} into a namespace of its own, then collect: vector-pipeline collect {one.dataset} --yes",
            )


def being_written(error: ConflictError) -> Hold:
    """Of somebody's lease."""
    return Hold("being written", error.what, "Wait until that has ended, and run it again")


def _word(use: Use) -> str:
    if use.kind == "pinned":
        return f"pinned v{use.version}"
    if use.kind == "left":
        return f"grace until {use.until:%Y-%m-%d %H:%M:%S}Z" if use.until is not None else "grace"
    share = f" {use.share:.0%}" if use.share is not None else ""
    return f"{use.name}{share} ({use.environment})"
