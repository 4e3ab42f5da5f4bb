"""A world without documents: versions are sets of words, pushed by the rule of the versioned strategy into a target in memory, with
a real registry beside it. What must stay readable is then a set that a test can name.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Engine, event

from vector_pipeline.config import LakeConfig, SecretTemplate
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.collecting import collect
from vector_pipeline.release.collection import Collection, plan_collection
from vector_pipeline.release.registry import Deployment, DeploymentStatus, NewVersion, Registry, Version
from vector_pipeline.targets.base import LIVE, NamespaceSpec
from vector_pipeline.testing.memory_store import MemoryStore
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.testing.target_records import SPACE, make_records

DATASET = "words"
LINE = "words--tiny--01234567"
_NUMBERS = count(1)


class World:
    """One dataset, one target, and as many environments as a test names."""

    def __init__(self, registry: Registry, lake: Lake, target: MemoryTarget, *, keep: int, grace: float) -> None:
        self.registry, self.lake, self.target, self.keep, self.grace = registry, lake, target, keep, grace
        self.contents: dict[int, frozenset[str]] = {}
        self.path: Path | None = None

    def version(self, words: str) -> Version:
        number = len(self.contents) + 1
        new = NewVersion(
            dataset=DATASET, space="tiny", fingerprint=SPACE, embedder_fingerprint="e", dimension=8, metric="cosine",
            digest=f"digest{number}", lake_snapshot=number, documents=1, records=len(set(words)), chunk_table="c",
            embedding_table="e",
        )  # fmt: skip
        version, made = self.registry.record_version(new)
        assert made
        self.contents[version.number] = frozenset(words)
        return version

    def begin(
        self, version: int, namespace: str = LINE, environment: str = "dev", strategy: str = "versioned"
    ) -> Deployment:
        return self.registry.begin_deployment(
            dataset=DATASET, environment=environment, target=self.target.name, namespace=namespace, version=version,
            space="tiny", fingerprint=SPACE, records=len(self.contents[version]), strategy=strategy,
        )  # fmt: skip

    def push(
        self,
        words: str,
        namespace: str = LINE,
        environment: str = "dev",
        *,
        strategy: str = "versioned",
        killed_after: int | None = None,
    ) -> Deployment:
        """Make a version and push it; ``killed_after`` so many writes it stays half done, its deployment ``pushing``."""
        number = self.version(words).number
        deployment = self.begin(number, namespace, environment, strategy)
        fence = self.next_fence(namespace)
        self.target.ensure_namespace(NamespaceSpec(namespace, 8, "cosine", SPACE), fence=fence)
        for done, write in enumerate(self._writes(number, namespace, fence)):
            if done == killed_after:
                return deployment
            write()
        if killed_after is not None:
            return deployment
        self.mark(namespace, environment)
        return self.registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, f"digest{number}")

    def _writes(self, number: int, namespace: str, fence: int) -> Iterator[Callable[[], object]]:
        """Additions, then closings: law 2 of the planner."""
        held = self.rows(namespace)
        visible = {row["content_hash"]: row for row in held if row["added_in"] <= number < row["removed_in"]}
        ids = {row["id"] for row in held}
        for word in sorted(self.contents[number] - set(visible)):
            name = word if word not in ids else f"{word}~{number}"
            yield lambda name=name, word=word: self.target.upsert(
                namespace, records({name: word}, number, LIVE), fence=fence
            )
        for word in sorted(set(visible) - self.contents[number]):
            yield lambda word=word: self.target.set_removed(
                namespace, pa.array([visible[word]["id"]]), number, fence=fence
            )

    def next_fence(self, namespace: str = LINE) -> int:
        """Of a lease that was given back."""
        lease = self.registry.acquire_lease(f"{self.target.name}/{namespace}", "test", 60)
        self.registry.release_lease(lease)
        return lease.fence

    def mark(self, namespace: str = LINE, environment: str = "dev") -> None:
        """Record the namespace as ours, as a push does at its end."""
        state = self.target.describe(namespace)
        assert state is not None
        self.registry.record_namespace(
            environment, self.target.name, namespace, dataset=DATASET, mark=state.mark, records=state.records
        )

    def rows(self, namespace: str = LINE) -> list[dict[str, object]]:
        if self.target.describe(namespace) is None:
            return []
        return [row for batch in self.target.scan(namespace) for row in batch.to_pylist()]

    def read(self, version: int, namespace: str = LINE) -> list[str]:
        """Words that a reader of a version sees, sorted, doubles too; each with the vector that it was written with."""
        seen = [row for row in self.rows(namespace) if row["added_in"] <= version < row["removed_in"]]
        whole = self.target.fetch(namespace, [row["id"] for row in seen]).to_pylist()
        for row in whole:
            assert np.array_equal(np.float32(row["vector"]), np.float32(vector(row["content_hash"]))), row["id"]
        return sorted(row["content_hash"] for row in seen)

    def point(self, deployment: Deployment | int, alias: str = "production", environment: str = "dev") -> None:
        now = self.registry.alias(DATASET, environment, alias)
        to = deployment if isinstance(deployment, int) else deployment.id
        self.registry.move_alias(
            DATASET, environment, alias, to=to, expected=now.deployment.id if now else None, by="test", reason=""
        )

    def status(self, deployment: Deployment) -> str:
        return self.registry.deployment(deployment.id).status.value

    def plan(self, environment: str = "dev") -> Collection:
        return plan_collection(
            self.lake, self.registry, self.target, DATASET, environment, keep_versions=self.keep, grace_s=self.grace
        )

    def collect(self, environment: str = "dev") -> Collection:
        return collect(
            self.lake, self.registry, self.target, DATASET, environment, keep_versions=self.keep, grace_s=self.grace
        )


def vector(word: str) -> list[float]:
    return [float(ord(word) + place) for place in range(8)]


def records(words: dict[str, str], added_in: int, removed_in: int) -> pa.Table:
    """Records by id, of one word each, which is document, content and vector at once."""
    made = make_records(list(words), np.float32([vector(word) for word in words.values()]), added_in=added_in)
    columns = {
        "document_id": pa.array(list(words.values())), "content_hash": pa.array(list(words.values())),
        "removed_in": pa.array([removed_in] * len(words), pa.int64()),
    }  # fmt: skip
    for name, column in columns.items():
        made = made.set_column(made.schema.get_field_index(name), made.schema.field(name), column)
    return made


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry's file with its tables and nothing in them: copied, not migrated, for every world."""
    path = tmp_path_factory.mktemp("registry") / "registry.sqlite"
    with Registry.open(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Only its engine is used: marks are compared in temporary tables."""
    with lake_in(tmp_path_factory.mktemp("lake")) as opened:
        yield opened


def lake_in(folder: Path) -> Lake:
    """A new lake in a folder."""
    config = LakeConfig(catalog=SecretTemplate(f"sqlite:///{folder}/catalog.sqlite"), data=str(folder / "data"))
    return Lake.open(config, folder)


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path, empty_registry: Path, lake: Lake) -> Iterator[MakeWorld]:
    """Make a world; ``keep``: newest versions kept, ``grace``: of its readers; ``like``: a copy of another one."""
    opened: list[Registry] = []

    def make(*, keep: int = 1, grace: float = 0, like: World | None = None) -> World:
        path = tmp_path / f"registry{next(_NUMBERS)}.sqlite"
        store = MemoryStore()
        if like is None:
            shutil.copy(empty_registry, path)
        else:
            with closing(sqlite3.connect(like.path)) as there, closing(sqlite3.connect(path)) as here:
                there.backup(here)
            store._states, store._fences = dict(like.target.store._states), dict(like.target.store._fences)
            store._incarnations = like.target.store._incarnations
        registry = Registry.open(f"sqlite:///{path}", migrate=False)
        opened.append(registry)
        world = World(registry, lake, MemoryTarget(store=store, max_batch_records=2), keep=keep, grace=grace)
        world.path = path
        if like is not None:
            world.contents = dict(like.contents)
        return world

    event.listen(Engine, "connect", _in_no_hurry_to_disk)
    yield make
    event.remove(Engine, "connect", _in_no_hurry_to_disk)
    for registry in opened:
        registry.close()


def _in_no_hurry_to_disk(connection: sqlite3.Connection, _: object) -> None:
    """Nothing here outlives its test, and no test here is about power cuts."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One newest version kept, no grace."""
    return make_world()
