"""Which namespaces does a target hold, and which of them are lines of ours?"""

import re
from dataclasses import dataclass

from vector_pipeline.release.lines import belongs
from vector_pipeline.targets.base import Target

_OWN_NAME = re.compile(r"^([a-z][a-z0-9_]*)--[a-z][a-z0-9_]*--[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Listed:
    """One namespace of a target."""

    namespace: str
    records: int
    dimension: int
    metric: str
    dataset: str | None
    """The dataset that it is a line of; None for one that was not made by this pipeline."""


def owner_of(namespace: str) -> str | None:
    """The dataset that a namespace is a line of by its name; None for anybody's."""
    found = _OWN_NAME.match(namespace)
    return found[1] if found and belongs(namespace, found[0]) else None


def list_namespaces(target: Target, managed: dict[str, str]) -> list[Listed]:
    """Every namespace of a target, by name. ``managed``: namespace → dataset of what was deployed, whatever its name."""
    found = []
    for name in target.namespaces():
        state = target.describe(name)
        if state is not None:
            spec = state.spec
            found.append(Listed(name, state.records, spec.dimension, spec.metric, managed.get(name) or owner_of(name)))
    return found
