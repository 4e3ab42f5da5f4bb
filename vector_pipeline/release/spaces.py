"""The spaces that a dataset has or had, with their tables and namespaces. Reads only.

Laws
----
1. A space is its name and its fingerprint: one that was edited under its name is another one. Known are those of the configuration,
   those that a version was made in, those that a shard was filled of, and those whose chunks stand in the lake.
2. Vectors belong to an embedder, not to a space: they stay while another space that is embedded by it is configured or has a kept
   version. Those that nothing says the embedder of go with the last space that nothing says it of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.dropping import beside, tables_there
from vector_pipeline.lake.tables import DatasetTables, SpaceTables
from vector_pipeline.release.registry import Deployment, DeploymentStatus, Registry, Version

_CHUNKS, _EMBEDDINGS = "chunks_", "embeddings_"
_SHOWN = 8
"""Characters of a fingerprint in names of tables, and for people."""


@dataclass(frozen=True, slots=True)
class KnownSpace:
    """A space of a dataset, configured or not."""

    dataset: str
    name: str
    fingerprint: str
    """16 hex characters; 8 where only its table tells of it; empty where it is configured and cannot be resolved here."""
    configured: bool
    serving: bool
    """Whether it is the configuration's serving space."""
    model: str | None = None
    chunker: str | None = None
    """The chunker's settings as JSON."""
    dimension: int | None = None
    metric: str | None = None
    embedding_table: str | None = None
    """None where nothing says it: it was configured once, and never got a version."""
    versions: tuple[Version, ...] = ()
    """Every version, expired ones too, oldest first."""

    @property
    def label(self) -> str:
        return f"{self.name} ({self.fingerprint[:_SHOWN] or 'not resolved here'})"

    @property
    def kept(self) -> tuple[Version, ...]:
        """Versions that are not expired."""
        return tuple(one for one in self.versions if one.expired_at is None)

    @property
    def chunk_table(self) -> str:
        return f"{_CHUNKS}{self.name}_{self.fingerprint[:_SHOWN]}"


class Line(NamedTuple):
    """A namespace that versions of a space were deployed in."""

    environment: str
    target: str
    namespace: str
    deployments: tuple[Deployment, ...]
    """Of the space, of whatever status, oldest first."""
    records: int | None
    """After our last write; None where nothing is recorded, because it was dropped or never written to its end."""

    @property
    def there(self) -> bool:
        """Whether the registry knows of something in it."""
        return self.records is not None or any(one.status not in FINAL for one in self.deployments)


FINAL = frozenset({DeploymentStatus.RETIRED, DeploymentStatus.REPLACED})
"""A deployment in one of these states holds nothing."""


def known_spaces(
    registry: Registry, lake: Lake, dataset: str, configured: Mapping[str, EmbeddingSpace | None], serving: str
) -> list[KnownSpace]:
    """Law 1: configured ones first, then the others in the order in which they got versions.

    ``configured``: by name; None for one that cannot be resolved on this machine.
    """
    versions: dict[tuple[str, str], list[Version]] = {}
    for version in registry.versions(dataset):
        versions.setdefault((version.space, version.fingerprint), []).append(version)
    # Where the space of a name cannot be resolved here, it may be any of those of that name.
    unclear = {name for name, space in configured.items() if space is None}
    found: dict[tuple[str, str], KnownSpace] = {}
    for name, space in configured.items():
        here = (name, space.fingerprint if space is not None else "")
        made = versions.get(here, [])
        found[here] = KnownSpace(
            dataset, *here, True, name == serving, versions=tuple(made), **_resolved(dataset, space)
        )
    for (name, fingerprint), ones in versions.items():
        last = ones[-1]
        found.setdefault(
            (name, fingerprint),
            KnownSpace(
                dataset, name, fingerprint, name in unclear, False, last.model, last.chunker, last.dimension, last.metric,
                last.embedding_table, tuple(ones),
            ),
        )  # fmt: skip
    there = tables_there(lake, dataset)
    for name, fingerprint in registry.filled_spaces(dataset):
        found.setdefault((name, fingerprint), KnownSpace(dataset, name, fingerprint, name in unclear, False))
    of_tables = {one.chunk_table for one in found.values()}
    for table in sorted(there - of_tables):
        name, _, short = table.removeprefix(_CHUNKS).rpartition("_")
        if table.startswith(_CHUNKS) and name not in unclear:
            found[name, short] = KnownSpace(dataset, name, short, False, False)
    return list(found.values())


def _resolved(dataset: str, space: EmbeddingSpace | None) -> dict[str, Any]:
    if space is None:
        return {}
    return {
        "model": space.model, "chunker": space.chunker.model_dump_json(), "dimension": space.dimension,
        "metric": space.metric, "embedding_table": SpaceTables.of(dataset, space).embedding_table,
    }  # fmt: skip


def own_tables(lake: Lake, one: KnownSpace, spaces: Sequence[KnownSpace]) -> tuple[list[str], dict[str, list[str]]]:
    """Law 2: names of the tables that go with a space, there or not; and of those that stay, with the spaces that they stay for."""
    there = tables_there(lake, one.dataset)
    others = [space for space in spaces if (space.name, space.fingerprint) != (one.name, one.fingerprint)]
    if one.embedding_table is not None:
        vectors = [one.embedding_table]
    elif any(space.embedding_table is None and space.chunk_table in there for space in others):
        vectors = []
    else:
        claimed = {space.embedding_table for space in others}
        vectors = [name for name in sorted(there) if name.startswith(_EMBEDDINGS) and name not in claimed]
    goes, stays = [one.chunk_table], dict[str, list[str]]()
    for table in vectors:
        needed = [
            space.label for space in others if space.embedding_table == table and (space.configured or space.kept)
        ]
        names = beside(SpaceTables(DatasetTables(one.dataset), one.chunk_table, table))
        if needed:
            stays |= dict.fromkeys(names, needed)
        else:
            goes += names
    return goes, stays


def lines_of_space(registry: Registry, space: KnownSpace) -> list[Line]:
    """Every namespace that something of the space was ever deployed in, in any environment, sorted."""
    found: dict[tuple[str, str, str], list[Deployment]] = {}
    for one in registry.deployments(space.dataset):
        if (one.space, one.fingerprint) == (space.name, space.fingerprint):
            found.setdefault((one.environment, one.target, one.namespace), []).append(one)
    lines = []
    for place in sorted(found):
        known = registry.namespace_record(*place)
        lines.append(Line(*place, tuple(found[place]), known.records if known is not None else None))
    return lines
