"""What retiring a space would do: its versions, namespaces and tables, and what stays. Reads only; ``space_retiring`` does it.

What other spaces need stays, in every state of the lake: see ``lake.dropping`` and ``spaces.own_tables``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.dropping import table_sizes
from vector_pipeline.release.needing import Hold, holds
from vector_pipeline.release.registry import Registry
from vector_pipeline.release.retention import version_back
from vector_pipeline.release.spaces import KnownSpace, Line, lines_of_space, own_tables
from vector_pipeline.targets.base import Target

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace that is (or would be) dropped."""

    environment: str
    target: str
    namespace: str
    versions: tuple[int, ...]
    """That were deployed in it."""
    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TableGone:
    """A table of the lake that is (or would be) dropped."""

    table: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TableStays:
    """A table that other spaces need."""

    table: str
    rows: int
    bytes: int
    because: tuple[str, ...]
    """Those spaces."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """What went with a space, or would."""

    dataset: str
    space: str
    fingerprint: str
    dry_run: bool
    versions: tuple[int, ...]
    """That expire: they were kept until now."""
    namespaces: tuple[Namespace, ...]
    tables: tuple[TableGone, ...]
    stay: tuple[TableStays, ...]
    files: int
    """Of the lake, that the next collection after its grace deletes."""
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        return sum(one.records for one in self.namespaces)

    @property
    def bytes(self) -> int:
        """In the lake."""
        return sum(one.bytes for one in self.tables)

    @property
    def empty(self) -> bool:
        return not (self.versions or self.namespaces or self.tables)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "records": self.records, "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a retirement works on."""

    lake: Lake
    registry: Registry
    space: KnownSpace
    spaces: Sequence[KnownSpace]
    """Every space of the dataset, it too."""
    grace_s: float
    """Of readers, seconds."""
    reach: Callable[[str, str], Target | str]
    """The target of that name in an environment; or why there is none."""
    run_id: str | None = None
    by: str = ""
    on_step: OnStep = field(default=lambda _: None)


def require_unneeded(space: KnownSpace, found: Sequence[Hold]) -> None:
    """``RefusedError``: one line of what needs a space."""
    if not found:
        return
    more = f" (and {len(found) - 1} more: vector-pipeline space list {space.dataset})" if len(found) > 1 else ""
    raise RefusedError(f"{found[0].what}{more}: it is not retired", fix=found[0].fix)


def plan_retirement(setting: Setting) -> Retirement:
    """What ``retire_space`` would do now. ``RefusedError`` while something needs it, ``UnavailableError``: a target is away."""
    space, lines = setting.space, lines_of_space(setting.registry, setting.space)
    goes, _ = own_tables(setting.lake, space, setting.spaces)
    require_unneeded(space, holds(setting.registry, space, lines, grace_s=setting.grace_s, tables=goes))
    return look_at_space(setting, lines, dry_run=True)


def look_at_space(setting: Setting, lines: Sequence[Line], *, dry_run: bool) -> Retirement:
    """What there is of a space in the registry, the targets and the lake."""
    space, lake = setting.space, setting.lake
    goes, stays = own_tables(lake, space, setting.spaces)
    sizes = table_sizes(lake, space.dataset)
    gone = [sizes[name] for name in goes if name in sizes]
    notes: list[str] = []
    return Retirement(
        space.dataset, space.name, space.fingerprint, dry_run,
        tuple(one.number for one in space.kept),
        tuple(_namespaces(setting, lines, notes)),
        tuple(TableGone(one.table, one.rows, one.bytes) for one in gone),
        tuple(
            TableStays(name, sizes[name].rows, sizes[name].bytes, tuple(why))
            for name, why in stays.items() if name in sizes
        ),
        sum(one.files for one in gone),
        (*notes, *_ways_back(setting)),
    )  # fmt: skip


def _namespaces(setting: Setting, lines: Sequence[Line], notes: list[str]) -> Iterator[Namespace]:
    for line in lines:
        target = setting.reach(line.environment, line.target)
        if isinstance(target, str):
            if line.there:
                notes.append(f"{line.namespace} of {line.environment} is left where it is: {target}")
            continue
        state = target.describe(line.namespace)
        if state is not None or line.there:
            size = (state.records, state.bytes) if state is not None else (0, 0)
            numbers = tuple(sorted({one.version for one in line.deployments}))
            yield Namespace(line.environment, line.target, line.namespace, numbers, *size)


def _ways_back(setting: Setting) -> Iterator[str]:
    """Rollbacks that end with the space."""
    numbers = {one.number for one in setting.space.kept}
    for alias in setting.registry.aliases(setting.space.dataset):
        if alias.name == "production" and (back := version_back(setting.registry, alias)) in numbers:
            yield (
                f"with it ends a way back: a plain rollback of production in {alias.environment} would go to v{back}"
            )
