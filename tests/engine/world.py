"""A small real project whose process can die at any of its steps, and somebody else's hand in its index.

Real are the lake, the registry and the adapters; dying is an exception that nothing can survive: from then on every commit of the
registry and every call of the target raises it too, so that no clean-up of a "killed" process leaves a trace.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import event, select, update

from tests.engine.backends import opener
from tests.support.gates import verify_index
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Deployment
from vector_pipeline.release.registry.schema import leases
from vector_pipeline.targets.base import LIVE, Target

DATASET = "pages"
CONFIG = """
datasets:
  pages:
    source: {root: documents, include: ["**/*.md"]}
    shards: 2
    spaces:
      tiny:
        embedder: {kind: deterministic, model: machine, dimension: 8}
        chunker: {kind: whole, heading_context: false}
    target: local
    gates: {max_removed_share: 1, max_duplicate_share: 1}
    retention: {keep_versions: 2, reader_grace_s: 0}
"""
WRITES = ("ensure_namespace", "upsert", "derive", "set_metadata", "set_removed", "delete", "drop_namespace")
Content = dict[str, tuple[int, int]]
"""What a version holds: document to (text, tag), small numbers both."""


class Died(BaseException):
    """The process is gone."""


@dataclass
class Fuse:
    """Dies at the n-th tick after it was lit, and stays dead until it is replaced."""

    left: int | None = None
    dead: bool = False

    def tick(self) -> None:
        if not self.dead and self.left is not None:
            self.left -= 1
            self.dead = self.left < 0
        if self.dead:
            raise Died


class Mortal:
    """A target whose every write is a step before and after which its process may die."""

    def __init__(self, inner: Target, fuse: Fuse) -> None:
        self.inner, self.fuse = inner, fuse

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        if not callable(value) or name in ("close", "address"):
            return value

        def call(*args: Any, **keywords: Any) -> Any:
            if self.fuse.dead:
                raise Died
            if name in WRITES:
                self.fuse.tick()
            result = value(*args, **keywords)
            if name in WRITES:
                self.fuse.tick()
            return result

        return call


@dataclass
class World:
    """A project, its target, and how to look at them from outside."""

    adapter: str
    batch: int = 3
    """Records in one write: a handful of documents then takes several."""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="world-")))
    fuse: Fuse = field(default_factory=Fuse)
    deaths: int = 0

    def __post_init__(self) -> None:
        (self.folder / "documents").mkdir()
        self.config = self.folder / "vector_pipeline.yaml"
        self.config.write_text(CONFIG, encoding="utf-8")
        self._opener = opener(self.adapter, self.folder, self.batch)
        self._opened: list[Target] = []
        self.outside = self.bare_target()
        self.project = self.open(self.fuse)

    def close(self) -> None:
        self.project.close()
        for name in self.outside.native_aliases():
            self.outside.drop_alias(name)
        for namespace in self.outside.namespaces():
            self.outside.drop_namespace(namespace, fence=2**53)
        for target in self._opened:
            target.close()
        shutil.rmtree(self.folder)

    def bare_target(self) -> Target:
        """The target as any other program opens it; closed with the world."""
        self._opened.append(self._opener())
        return self._opened[-1]

    def open(self, fuse: Fuse, target: Target | None = None) -> Project:
        """The project as a process of its own opens it; ``target``: behind what it sees the index."""
        project = Project.load(self.config)
        target = Mortal(target or self.bare_target(), fuse)  # type: ignore[assignment]
        assert target is not None
        project._targets["local", False] = target
        project._targets["local", True] = target
        event.listen(project.registry()._db._engine, "commit", lambda _: fuse.tick())
        return project

    def dies(self, work: Callable[[Project], object], after: int) -> bool:
        """Do something, and die after so many steps if it takes so many; then start anew. Whether it died."""
        self.fuse.left = after
        try:
            work(self.project)
        except Died:
            self.deaths += 1
            return True
        finally:
            died = self.fuse.dead
            self.fuse.left = None
            if died:
                self.restart()
        return False

    def restart(self) -> None:
        """Another process, after the dead one's leases have run out."""
        self.fuse = Fuse()
        self.project = self.open(self.fuse)
        past = datetime(2000, 1, 1, tzinfo=UTC)
        self.project.registry()._db.write(lambda connection: connection.execute(update(leases).values(expires_at=past)))

    def write(self, document: str, text: int, tag: int) -> None:
        """A document whose text and metadata are numbers."""
        body = f"---\ntag: {tag}\n---\nThe text {document} says number{text} and word{text} again.\n"
        (self.folder / "documents" / f"{document}.md").write_text(body, encoding="utf-8")

    def remove(self, document: str) -> None:
        (self.folder / "documents" / f"{document}.md").unlink()

    def verify(self, project: Project) -> None:
        """The gates of the index, for real; those of the data are said to have passed: no rule here makes bad data, and they cost a
        second each time.
        """
        verify_index(project, DATASET, project.staged(DATASET))

    def visible(self, deployment: Deployment) -> list[dict[str, Any]]:
        """Every record that a reader of a deployment can see, whole."""
        target = self.outside
        ids = [name for batch in target.scan(deployment.namespace) for name in batch["id"].to_pylist()]
        rows = target.fetch(deployment.namespace, ids).to_pylist()
        found = [row for row in rows if row["added_in"] <= deployment.version < row["removed_in"]]
        return sorted(found, key=lambda row: str(row["id"]))

    def meddle(self, kind: str, choice: int) -> bool:
        """Somebody else writes to the newest namespace; whether anything changed."""
        target = self.outside
        namespaces = target.namespaces()
        if not namespaces:
            return False
        namespace = namespaces[choice % len(namespaces)]
        ids = sorted(value for batch in target.scan(namespace) for value in batch["id"].to_pylist())
        if not ids:
            return False
        victim = ids[choice % len(ids)]
        record = target.fetch(namespace, [victim])
        highest = fence_of(self.project, namespace)
        if kind == "delete":
            target.delete(namespace, pa.array([victim]), fence=highest)
            return True
        changes: dict[str, Any] = {
            "foreign": {"id": f"by-hand-{choice}", "added_in": 0, "removed_in": LIVE},
            "metadata": {"metadata": '{"tag":"by hand"}', "metadata_hash": "0" * 32},
            "mark": {"removed_in": int(record["added_in"][0].as_py()) + 1},
            "vector": {"vector": [float(choice % 7 + 2)] * 8},
        }[kind]
        for column, value in changes.items():
            index = record.schema.get_field_index(column)
            record = record.set_column(
                index, record.schema.field(index), pa.array([value], record.schema.field(index).type)
            )
        target.upsert(namespace, record, fence=highest)
        return True


def fence_of(project: Project, namespace: str) -> int:
    """The newest fence that a namespace knows: who writes by hand, with a client that knows of no fence, is not kept out by it."""
    query = select(leases.c.fence).where(leases.c.resource == f"local/{namespace}")
    return int(project.registry()._db.read(lambda connection: connection.execute(query).scalar()) or 0)


def numbers_of(row: dict[str, Any]) -> tuple[int, int] | None:
    """The (text, tag) that a record says; None where somebody has written something else there."""
    said = row["text"].partition("says number")[2].partition(" ")[0]
    tag = json.loads(row["metadata"]).get("tag")
    return (int(said), tag) if said.isdigit() and isinstance(tag, int) else None
