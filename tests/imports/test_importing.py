"""A line that does not exist yet is filled from files, once, whatever happens meanwhile."""

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.imports.conftest import files_below
from tests.release.world import DIMENSION, SPACE, World
from vector_pipeline.errors import RefusedError, UnknownOutcomeError
from vector_pipeline.release import importing
from vector_pipeline.release.clearing import within
from vector_pipeline.release.dropping import drop_line
from vector_pipeline.release.journalling import writer
from vector_pipeline.release.plan import Action, StageKind
from vector_pipeline.release.push import push_version
from vector_pipeline.release.wishes import Wish
from vector_pipeline.targets.base import ImportState, ImportStatus, NamespaceSpec
from vector_pipeline.targets.pinecone.files import Folder
from vector_pipeline.targets.pinecone.importing import PineconeImporter
from vector_pipeline.testing.faults import FaultyTarget
from vector_pipeline.testing.pinecone_server import PineconeServer

CONTENT = {number: number % 3 for number in range(1, 40)}


def kinds(plan: Any) -> list[StageKind]:
    return [stage.kind for stage in plan.stages]


def test_a_first_load_is_imported_counted_and_cleared_up(world: World, files: Path) -> None:
    version = world.version(CONTENT)
    plan = world.plan(version, load="import")
    assert kinds(plan) == [StageKind.IMPORT]
    assert (plan.writes, plan.vectors, plan.actions[Action.ADD]) == (39, 39, 39)
    pushed = world.push(version, load="import")
    assert pushed.applied.upserted == 39
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert files_below(files) == []
    assert world.plan(version, load="import").empty


def test_an_update_of_an_imported_line_is_upserted(world: World) -> None:
    world.push(world.version(CONTENT), load="import")
    second = world.version({**CONTENT, 100: 1})
    plan = world.plan(second, "versioned", load="import")
    assert kinds(plan) == [StageKind.ENSURE_NAMESPACE, StageKind.UPSERT]
    assert any("only a namespace that does not can be imported into" in note for note in plan.notes)
    pushed = world.push(second, "versioned", load="import")
    assert pushed.applied.upserted == 1
    assert world.visible(pushed.deployment) == world.wanted(second.number)


def test_a_line_of_its_own_is_imported_again(world: World) -> None:
    world.push(world.version(CONTENT), load="import")
    second = world.version({**CONTENT, 100: 1})
    pushed = world.push(second, "blue-green", load="import")
    assert pushed.applied.upserted == 40
    assert world.visible(pushed.deployment) == world.wanted(second.number)


class Interrupt(BaseException):
    """As a person's, or an orchestrator's."""


def interrupted(world: World, version: Any, monkeypatch: pytest.MonkeyPatch, **wish: Any) -> Interrupt:
    """A push that is interrupted while it watches its import."""

    with monkeypatch.context() as patch:
        patch.setattr("time.sleep", interrupt)
        with pytest.raises(Interrupt) as caught:
            world.push(version, **wish)
    return caught.value


def test_an_interrupted_import_goes_on_and_the_next_push_watches_it(
    world: World, server: PineconeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.knobs.imports_s = 6
    version = world.version(CONTENT)
    error = interrupted(world, version, monkeypatch, load="import")
    assert any("goes on at the service" in note for note in error.__notes__)
    plan = world.plan(version)
    assert kinds(plan) == [StageKind.IMPORT]
    assert any("is under way" in note for note in plan.notes)
    pushed = world.push(version)
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert len(imports(world, pushed.deployment.namespace)) == 1


def test_an_import_that_ended_meanwhile_is_only_counted(
    world: World, server: PineconeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.knobs.imports_s = 0.5
    version = world.version(CONTENT)
    interrupted(world, version, monkeypatch, load="import")
    namespace = world.plan(version).namespace
    assert within(20, lambda: imports(world, namespace)[0] is ImportStatus.DONE)
    pushed = world.push(version)
    assert pushed.applied.upserted == 0
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert len(imports(world, namespace)) == 1


def test_upserts_cancel_an_import_and_drop_what_it_left(
    world: World, server: PineconeServer, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    server.knobs.imports_s = 600
    version = world.version(CONTENT)
    interrupted(world, version, monkeypatch, load="import")
    plan = world.plan(version, load="upsert")
    assert kinds(plan) == [StageKind.ENSURE_NAMESPACE, StageKind.UPSERT]
    assert any("is cancelled" in note for note in plan.notes)
    pushed = world.push(version, load="upsert")
    assert imports(world, pushed.deployment.namespace) == [ImportStatus.CANCELLED]
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert world.plan(version).empty
    assert files_below(files) == [], "whole texts lie in them"


def test_another_version_does_not_go_on_with_a_foreign_import(
    world: World, server: PineconeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.knobs.imports_s = 600
    interrupted(world, world.version(CONTENT), monkeypatch, load="import")
    second = world.version({**CONTENT, 100: 1})
    server.knobs.imports_s = 0
    pushed = world.push(second, "versioned", load="import")
    assert imports(world, pushed.deployment.namespace) == [ImportStatus.DONE, ImportStatus.CANCELLED]
    assert world.visible(pushed.deployment) == world.wanted(second.number)


def test_a_failed_import_is_said_and_upserted_by_the_next_push(
    world: World, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    version = world.version(CONTENT)
    spoil(monkeypatch, files)
    with pytest.raises(RefusedError, match=r"failed: .*Push again"):
        world.push(version, load="import")
    assert files_below(files) == []
    monkeypatch.undo()
    plan = world.plan(version)
    assert kinds(plan) == [StageKind.ENSURE_NAMESPACE, StageKind.UPSERT]
    assert any("failed" in note for note in plan.notes)
    pushed = world.push(version)
    assert world.visible(pushed.deployment) == world.wanted(version.number)


def test_a_failed_import_is_tried_again_where_that_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    version = world.version(CONTENT)
    spoil(monkeypatch, files)
    with pytest.raises(RefusedError):
        world.push(version, load="import")
    monkeypatch.undo()
    pushed = world.push(version, load="import")
    assert imports(world, pushed.deployment.namespace) == [ImportStatus.DONE, ImportStatus.FAILED]
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert files_below(files) == []


def test_what_upserts_wrote_after_a_failed_import_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    """What an import left is dropped once: a push that was interrupted after that is gone on with."""
    version = world.version(CONTENT)
    spoil(monkeypatch, files)
    with pytest.raises(RefusedError):
        world.push(version, load="import")
    monkeypatch.undo()
    with monkeypatch.context() as patch:
        patch.setattr(type(world.target), "wait_until_fresh", interrupt)
        with pytest.raises(Interrupt):
            world.push(version)
    pushed = world.push(version)
    assert pushed.applied.upserted == 0
    assert world.visible(pushed.deployment) == world.wanted(version.number)


def test_files_of_an_import_that_never_began_are_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    version = world.version(CONTENT)
    with monkeypatch.context() as patch:
        patch.setattr(importing, "_told", cut)
        with pytest.raises(Interrupt):
            world.push(version, load="import")
    assert files_below(files) == []
    with monkeypatch.context() as patch:
        patch.setattr(PineconeImporter, "start", refuse)
        with pytest.raises(RefusedError):
            world.push(version, load="import")
    assert files_below(files) == []


def test_files_that_a_killed_push_wrote_are_deleted_by_upserts(
    world: World, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    version = world.version(CONTENT)
    with monkeypatch.context() as patch:
        patch.setattr(PineconeImporter, "start", interrupt)
        with pytest.raises(Interrupt):
            world.push(version, load="import")
    assert files_below(files), "a request that was sent may yet arrive"
    pushed = world.push(version, load="upsert")
    assert files_below(files) == []
    assert world.visible(pushed.deployment) == world.wanted(version.number)


def test_a_line_is_dropped_with_its_import_and_the_files(
    world: World, server: PineconeServer, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    server.knobs.imports_s = 600
    interrupted(world, world.version(CONTENT), monkeypatch, load="import")
    (there,) = world.registry.deployments(world.dataset)
    assert files_below(files)
    with writer(world.registry, world.target, there.namespace) as held:
        drop_line(world.registry, world.target, there.namespace, [there.id], held=held, grace_s=0)
    assert imports(world, there.namespace) == [ImportStatus.CANCELLED]
    assert world.target.namespaces() == []
    assert files_below(files) == []
    steps = [entry.step for push in world.registry.pushes(world.dataset) for entry in world.registry.journal(push.id)]
    assert {"import-cancel", "drop-namespace"} <= {*steps}


@pytest.mark.slow
def test_a_start_that_never_arrived_is_not_found_in_an_older_import(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = world.version(CONTENT)
    namespace = world.push(version, load="import").deployment.namespace
    world.target.drop_namespace(namespace)
    start, starts = PineconeImporter.start, count()

    def lost(self: PineconeImporter) -> ImportState:
        if not next(starts):
            raise UnknownOutcomeError("nobody answered")
        return start(self)

    monkeypatch.setattr(PineconeImporter, "start", lost)
    monkeypatch.setattr(importing, "PATIENCE_S", 0.1)
    pushed = world.push(version, load="import")
    assert imports(world, namespace) == [ImportStatus.DONE, ImportStatus.DONE]
    assert world.visible(pushed.deployment) == world.wanted(version.number)
    assert pushed.applied.upserted == len(CONTENT)


def test_the_writing_of_files_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(importing._BATCH, "max_batch_records", 15)
    version, told = world.version(CONTENT), []
    push_version(
        world.lake, world.registry, version, world.target, Wish("dev", stages=False, load="import"),
        on_files=lambda *amounts: told.append(amounts),
    )  # fmt: skip
    assert told == [(15, 39), (30, 39), (39, 39)]


def interrupt(*_: Any, **__: Any) -> None:
    raise Interrupt


def refuse(*_: Any) -> None:
    raise RefusedError("no imports on this plan")


def cut(tables: Iterable[pa.Table], *_: Any) -> Iterator[pa.Table]:
    """The first table, and then an interrupt."""
    yield next(iter(tables))
    raise Interrupt


def imports(world: World, namespace: str) -> list[ImportStatus]:
    """Of every import into a namespace, newest first."""
    target = world.target.inner if isinstance(world.target, FaultyTarget) else world.target
    importer: Any = target.importer(NamespaceSpec(namespace, DIMENSION, "cosine", SPACE), "")
    return [one.status for one in importer._imports.listing(importer._root)]


def spoil(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    """A file that is no Parquet lies among the import's, as if its writing had been cut."""
    write = Folder.write

    def spoiled(self: Folder, below: str, tables: Any, **more: Any) -> int:
        size = write(self, below, tables, **more)
        (files / below / "part-99999.parquet").write_bytes(b"PAR1")
        return size

    monkeypatch.setattr(Folder, "write", spoiled)
