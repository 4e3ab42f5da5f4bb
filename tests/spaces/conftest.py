"""Projects whose model changes: a dataset in one space, then in another one, and then without the first."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import page
from tests.registry.conftest import postgres, postgres_url
from vector_pipeline.project import Project
from vector_pipeline.project.spaces import SpaceStanding
from vector_pipeline.release.registry import Alias, Deployment

__all__ = ["postgres", "postgres_url"]

DATASET = "handbook"
OLD, NEW = ("seed", 16, 60), ("other", 8, 40)
"""Model, dimension, longest chunk."""
LOCAL = "dev: {targets: {local: {}}}"
CONFIG = """
datasets:
  handbook:
    source: {{root: documents, include: ["**/*.md"]}}
    shards: 2
    serving: {serving}
    spaces:
{spaces}
    target: {target}
    retention: {{keep_versions: {keep}, reader_grace_s: {grace}}}
    gates: {{modes: {{attestation: {attested}}}}}
environments:
{environments}
"""
SPACE = """\
      {name}:
        embedder: {{kind: deterministic, model: {model}, dimension: {dimension}}}
        chunker: {{max_tokens: {tokens}, overlap_tokens: 5, min_tokens: 10}}
"""

Model = tuple[str, int, int]


class World:
    """One project on disk, opened anew whenever its configuration changes."""

    project: Project

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.config = folder / "vector_pipeline.yaml"
        if not folder.exists():
            (folder / "documents").mkdir(parents=True)
            for number in range(6):
                self.write(number)

    def write(self, number: int, text: int | None = None) -> None:
        path = self.folder / "documents" / f"page{number}.md"
        path.write_text(page(number if text is None else text, 8), encoding="utf-8")

    def configure(
        self,
        spaces: Mapping[str, Model],
        serving: str,
        *,
        environments: str = LOCAL,
        environment: str = "dev",
        grace: float = 0,
        keep: int = 10,
        target: str = "local",
        attested: str = "off",
    ) -> Project:
        """A project of these spaces, opened."""
        written = "".join(
            SPACE.format(name=name, model=model, dimension=dimension, tokens=tokens)
            for name, (model, dimension, tokens) in spaces.items()
        )
        text = CONFIG.format(
            serving=serving, spaces=written.rstrip("\n"), environments="".join(f"  {one}\n" for one in environments.split("\n")),
            grace=grace, keep=keep, target=target, attested=attested,
        )  # fmt: skip
        self.config.write_text(text, encoding="utf-8")
        if hasattr(self, "project"):
            self.project.close()
        self.project = self._stack.enter_context(Project.load(self.config, environment=environment))
        return self.project

    def release(self, *, promoted: bool = True) -> Deployment:
        """A version of the serving space, pushed to staging, and to production past its gates: they are not what this is about."""
        self.project.build(DATASET)
        deployment = self.project.push(DATASET).deployment
        if promoted:
            self.point(deployment)
        return deployment

    def point(self, deployment: Deployment, alias: str = "production") -> Alias:
        registry = self.project.registry()
        now = registry.alias(DATASET, deployment.environment, alias)
        return registry.move_alias(
            DATASET, deployment.environment, alias, to=deployment.id, expected=now.deployment.id if now else None,
            by="test", reason="",
        )  # fmt: skip

    def standing(self, name: str) -> SpaceStanding:
        """The space of a name that is not configured, else the one that is."""
        found = [one for one in self.project.spaces_of(DATASET) if one.space.name == name]
        return min(found, key=lambda one: one.space.configured)

    def migrated(self, **options: object) -> Project:
        """``old`` was released as v1, ``new`` as v2, and ``old`` is out of the configuration."""
        self.configure({"old": OLD}, "old", **options)  # type: ignore[arg-type]
        self.release()
        self.configure({"old": OLD, "new": NEW}, "new", **options)  # type: ignore[arg-type]
        self.release()
        return self.configure({"new": NEW}, "new", **options)  # type: ignore[arg-type]


MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a world that was ``migrated``: to be copied."""
    folder = tmp_path_factory.mktemp("migrated") / "project"
    with ExitStack() as stack:
        World(folder, stack).migrated()
    return folder


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Make worlds, of nothing or as copies of a folder (their project is to be configured); closed after the test."""
    with ExitStack() as stack:
        numbers = iter(range(100))

        def make(like: Path | None = None) -> World:
            folder = tmp_path / f"project{next(numbers)}"
            if like is not None:
                shutil.copytree(like, folder)
            return World(folder, stack)

        yield make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


def files_of(world: World, table: str) -> list[Path]:
    """Parquet files of a lake table that are on disk."""
    return sorted(world.folder.glob(f".vector_pipeline/lake/data/{DATASET}/{table}/**/*.parquet"))


def namespaces(project: Project, target: str = "local") -> set[str]:
    """What a target holds."""
    return set(project.target_named(target).namespaces())
