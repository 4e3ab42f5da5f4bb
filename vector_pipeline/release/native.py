"""The system's own names for namespaces (Pinecone's namespace aliases) follow our aliases.

Laws
----
1. Ours is the authority: nothing here is read to decide what is served, and nothing here ever fails a move, a push or a collection.
2. ``<dataset>--<environment>--<alias>`` is the name. It is the name of no line: a line's third part is eight characters of a
   fingerprint.
3. Following is idempotent, and looks before it writes. What failed is said in one line, and done by the next move, or by a repair.
4. A name of ours that is left behind on a namespace that is about to be dropped is moved to where ours points, or dropped. That
   of somebody else never is.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.release.registry import Deployment, Registry, plain_name
from vector_pipeline.targets.base import Target

SEPARATOR = "--"


@dataclass(frozen=True, slots=True)
class Behind:
    """A native name that is not where our alias points."""

    name: str
    alias: str
    """Ours."""
    points_at: str | None
    """The namespace; None: there is no such name."""
    deployment: Deployment
    """Where it belongs."""

    def __str__(self) -> str:
        where = f"points at {self.points_at}" if self.points_at is not None else "does not exist"
        return f"{self.deployment.target}'s own alias {self.name} {where}, not at {self.deployment.namespace}"


def native_name(dataset: str, environment: str, alias: str) -> str:
    """Law 2. None of the parts holds a ``-``."""
    return SEPARATOR.join((dataset, environment, alias))


def follow(target: Target, alias: str, deployment: Deployment) -> str | None:
    """After ``alias`` was moved to ``deployment``, which is in ``target``: the native name follows. Never raises what a target
    raises: a warning of one line comes back, and None when all is well (also where the target has no such names).
    """
    if not target.capabilities.aliases_namespaces:
        return None
    name = native_name(deployment.dataset, deployment.environment, alias)
    try:
        target.point_alias(name, deployment.namespace)
    except VectorPipelineError as error:
        return (
            f"{target.name}'s own alias {name} does not follow to {deployment.namespace}: {error.what} (readers are not concerned; "
            "the next move or a repair tries again)"
        )
    return None


def behind(target: Target, registry: Registry, dataset: str, environment: str) -> list[Behind]:
    """Native names of a dataset that are not where ours are, by name. Empty where the target has no such names.

    Raises as the target does.
    """
    if not target.capabilities.aliases_namespaces:
        return []
    ours = [one for one in registry.aliases(dataset, environment) if one.deployment.target == target.name]
    if not ours:
        return []
    there = target.native_aliases()
    if not target.capabilities.aliases_namespaces:
        # It was found out just now that the service does not offer them.
        return []
    found = []
    for one in ours:
        # In a mirror it has the plain name: there it is the only one.
        name = native_name(dataset, environment, plain_name(one.name))
        if there.get(name) != one.deployment.namespace:
            found.append(Behind(name, plain_name(one.name), there.get(name), one.deployment))
    return sorted(found, key=lambda one: one.name)


def catch_up(target: Target, registry: Registry, dataset: str, environment: str) -> list[str]:
    """Let every native name follow that is behind; returns the warnings. For a repair."""
    try:
        late = behind(target, registry, dataset, environment)
    except VectorPipelineError as error:
        return [f"{target.name}'s own aliases cannot be read: {error.what}"]
    return [warning for one in late if (warning := follow(target, one.alias, one.deployment)) is not None]


def let_go(target: Target, registry: Registry, namespace: str) -> None:
    """Law 4, before ``namespace`` is dropped: the caller has made sure that no alias of ours points into it.

    What fails here is said by the drop, which names in its way stop.
    """
    if not target.capabilities.aliases_namespaces:
        return
    with suppress(VectorPipelineError):
        held = [name for name, place in target.native_aliases().items() if place == namespace]
        for name, known in ((name, _ours(registry, name)) for name in held):
            if known is None:
                continue
            elsewhere = [one for one in known if one.target == target.name and one.namespace != namespace]
            if not elsewhere or follow(target, name.split(SEPARATOR)[2], elsewhere[0]) is not None:
                target.drop_alias(name)


def _ours(registry: Registry, name: str) -> list[Deployment] | None:
    """Where our alias of a native name points: nothing, one deployment, or one a target. None: the name is not of our making."""
    parts = name.split(SEPARATOR)
    if len(parts) != 3 or parts[0] not in registry.datasets():
        return None
    return list(_pointed(registry, *parts))


def _pointed(registry: Registry, dataset: str, environment: str, alias: str) -> Iterator[Deployment]:
    return (one.deployment for one in registry.aliases(dataset, environment) if plain_name(one.name) == alias)
