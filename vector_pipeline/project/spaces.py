"""Spaces of a dataset: which there are, what needs them, and retiring one."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from vector_pipeline.embedding.base import EmbeddingSpace
from vector_pipeline.errors import NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.lake.dropping import TableSize, table_sizes, tables_there
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.needing import Hold, holds
from vector_pipeline.release.past import RETIRED
from vector_pipeline.release.retirement import OnStep, Retirement, Setting, plan_retirement
from vector_pipeline.release.space_retiring import retire_space
from vector_pipeline.release.spaces import KnownSpace, Line, known_spaces, lines_of_space, own_tables
from vector_pipeline.targets.base import Target
from vector_pipeline.targets.factory import open_target


@dataclass(frozen=True, slots=True)
class SpaceStanding:
    """A space, what it takes, and what needs it."""

    space: KnownSpace
    holds: tuple[Hold, ...]
    lines: tuple[Line, ...]
    """Namespaces that hold something of it, as the registry knows."""
    tables: tuple[TableSize, ...]
    """That would go with it."""
    shared: tuple[TableSize, ...]
    """That would stay, because another space needs them."""

    @property
    def records(self) -> int:
        """Of its newest version that is kept."""
        return self.space.kept[-1].records if self.space.kept else 0

    @property
    def retire(self) -> str:
        """In one word: ``yes``, ``no``, or ``retired``."""
        if self.holds:
            return "no"
        return "yes" if self.space.kept or self.lines or self.tables else "retired"

    def to_json(self) -> dict[str, Any]:
        space = self.space
        return {
            "dataset": space.dataset, "space": space.name, "fingerprint": space.fingerprint,
            "serving": space.serving, "configured": space.configured, "model": space.model, "chunker": space.chunker,
            "dimension": space.dimension, "metric": space.metric,
            "newest": space.versions[-1].number if space.versions else None,
            "versions": [one.number for one in space.versions], "kept": [one.number for one in space.kept],
            "records": self.records,
            "bytes": sum(one.bytes for one in (*self.tables, *self.shared)),
            "tables": [asdict(one) for one in self.tables], "shared": [asdict(one) for one in self.shared],
            "namespaces": [
                {
                    "environment": one.environment, "target": one.target, "namespace": one.namespace,
                    "records": one.records,
                }
                for one in self.lines
            ],
            "held_by": [one.word for one in self.holds], "retire": self.retire,
        }  # fmt: skip


class Spaces(Gating):
    """What spaces there are, and how one goes."""

    def spaces_of(self, dataset: str) -> list[SpaceStanding]:
        """Every space that the dataset has or had, configured ones first. Writes nothing, and asks no target."""
        lake, registry = self.lake(read_only=True), self.registry(read_only=True)
        spaces, sizes = self._known_spaces(dataset), table_sizes(lake, dataset)
        grace = self.dataset(dataset).retention.reader_grace_s
        found = []
        for one in spaces:
            goes, stays = own_tables(lake, one, spaces)
            lines = [line for line in lines_of_space(registry, one) if line.there]
            found.append(
                SpaceStanding(
                    one,
                    tuple(holds(registry, one, lines, grace_s=grace, tables=goes)),
                    tuple(lines),
                    tuple(sizes[name] for name in goes if name in sizes),
                    tuple(sizes[name] for name in stays if name in sizes),
                )
            )
        return found

    def retire(
        self,
        dataset: str,
        *,
        space: str,
        fingerprint: str | None = None,
        dry_run: bool,
        run_id: str | None = None,
        by: str = "vector-pipeline",
        on_step: OnStep = lambda _: None,
    ) -> Retirement:
        """Drop the namespaces and lake tables of a space that nothing needs: see ``release.retirement``. In every environment that
        shares the registry.

        ``fingerprint``: or its beginning; without it, the one of that name that is not configured. ``NotFoundError`` for an unknown
        one; ``RefusedError`` says what needs it, or which of several is meant; ``UnavailableError`` where a target is away.
        """
        self.dataset(dataset)
        # A retirement makes neither a lake nor a registry.
        self.lake(read_only=True)
        self.registry(read_only=True)
        self._require_resolved(dataset)
        if dry_run:
            return plan_retirement(self._retiring(dataset, space, fingerprint, dry_run=True))
        with self._writing(dataset, "documents"):
            setting = self._retiring(dataset, space, fingerprint, dry_run=False)
            gone = retire_space(replace(setting, run_id=run_id, by=by, on_step=on_step))
            if not gone.empty:
                self.registry().record_audit(
                    dataset=dataset, environment=self.environment, alias=None, deployment_id=None, level=RETIRED,
                    drifted=False, counts={}, detail={"space": gone.space, "versions": list(gone.versions)}, by=by,
                    run_id=run_id,
                )  # fmt: skip
            return gone

    def _retiring(self, dataset: str, name: str, fingerprint: str | None, *, dry_run: bool) -> Setting:
        spaces = self._known_spaces(dataset)
        opened: dict[tuple[str, str], Target | str] = {}

        def reach(environment: str, target: str) -> Target | str:
            if (environment, target) not in opened:
                opened[environment, target] = self._reach(environment, target, dry_run=dry_run)
            return opened[environment, target]

        return Setting(
            self.lake(read_only=dry_run), self.registry(read_only=dry_run), self._chosen(spaces, name, fingerprint),
            spaces, self.dataset(dataset).retention.reader_grace_s, reach,
        )  # fmt: skip

    def _reach(self, environment: str, target: str, *, dry_run: bool) -> Target | str:
        settings = self.config.environments.get(environment)
        if settings is None or target not in settings.targets:
            return f"target {target} of {environment} is not in the configuration any more"
        try:
            if environment == self.environment:
                return self.target_named(target, read_only=dry_run)
            opened = open_target(target, settings.targets[target], self.base, read_only=dry_run)
        except NotFoundError as error:
            return error.what
        self._open.callback(opened.close)
        return opened

    def _known_spaces(self, dataset: str) -> list[KnownSpace]:
        resolved: dict[str, EmbeddingSpace | None] = {}
        for name in self.dataset(dataset).spaces:
            try:
                resolved[name] = self.space(dataset, name)
            except VectorPipelineError:
                resolved[name] = None  # Its model is not on this machine.
        serving = self.dataset(dataset).serving_space
        return known_spaces(
            self.registry(read_only=True), self.lake(read_only=True), dataset, resolved, serving
        )  # fmt: skip

    def _require_resolved(self, dataset: str) -> None:
        """Whatever a configured space raises that is not here: nobody knows then what it needs."""
        for name in self.dataset(dataset).spaces:
            self.space(dataset, name)

    def _chosen(self, spaces: list[KnownSpace], name: str, fingerprint: str | None) -> KnownSpace:
        named = [one for one in spaces if one.name == name]
        known = ", ".join(one.label for one in spaces)
        if fingerprint is not None:
            named = [one for one in named if fingerprint and one.fingerprint.startswith(fingerprint)]
        if not named:
            wanted = name if fingerprint is None else f"{name} ({fingerprint})"
            raise NotFoundError(f"there is and was no space {wanted}; there are: {known}", fix="Check the name")
        gone = [one for one in named if not one.configured] or named
        # Of several that were edited away, one that was retired before is not meant.
        left = [one for one in gone if one.kept or self._is_left(one)] or gone
        if len(left) > 1:
            shown = ", ".join(one.label for one in left)
            raise RefusedError(
                f"there are several spaces {name}: {shown}", fix=f"Say which: --fingerprint {left[0].fingerprint[:8]}"
            )
        return left[0]

    def _is_left(self, one: KnownSpace) -> bool:
        lines = lines_of_space(self.registry(read_only=True), one)
        there = tables_there(self.lake(read_only=True), one.dataset)
        return one.chunk_table in there or any(line.there for line in lines)
