"""SIGKILL at every step of a push, promotion, rollback, repair and collection: whatever the step, readers see a whole version, and
doing it again ends as if nothing had happened.
"""

import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.engine.world import fence_of
from tests.process import steps
from tests.process.test_kill import forkserver  # noqa: F401  (a fixture)
from tests.support.gates import verify_index
from tests.survived import survived
from vector_pipeline.project import Project

BATCH = 25
Context = multiprocessing.context.ForkServerContext
State = dict[str, object]


def edit(folder: Path) -> None:
    documents = folder / "documents"
    for number in (0, 3, 6):
        (documents / f"page{number}.md").write_text(page(number + 1000), encoding="utf-8")
    (documents / "page1.md").unlink()
    (documents / "new.md").write_text(page(7777), encoding="utf-8")


def prepare(folder: Path, operation: str) -> Path:
    """A project just before the operation: version 1 is live, version 2 is built and, where it must be, pushed and verified."""
    config = write_project(folder, 10, shards=2)
    with config.open("a", encoding="utf-8") as file:
        file.write("    retention: {keep_versions: 1, reader_grace_s: 0}\n")
    with Project.load(config) as project:
        project.build("handbook")
        project.push("handbook")
        verify_index(project)
        project.promote("handbook", by="test")
        edit(folder)
        project.build("handbook")
        if operation in ("promote", "roll back", "repair", "collect"):
            project.push("handbook")
            verify_index(project)
        if operation in ("roll back", "collect"):
            project.promote("handbook", by="test")
        if operation == "repair":
            meddle(project)
        if operation == "collect":
            # A third one is live: to the second a plain rollback goes, the first is nobody's any more.
            (folder / "documents" / "new.md").write_text(page(8888), encoding="utf-8")
            project.build("handbook")
            project.push("handbook")
            verify_index(project)
            project.promote("handbook", by="test")
            project.expire("handbook", dry_run=False)
    return config


def meddle(project: Project) -> None:
    """Somebody deletes some records and adds one."""
    target = project.target("handbook")
    (namespace,) = target.namespaces()
    ids, fence = next(iter(target.scan(namespace)))["id"], fence_of(project, namespace)
    target.delete(namespace, ids.slice(0, 20), fence=fence)
    stolen = target.fetch(namespace, [ids[25].as_py()])
    target.upsert(namespace, stolen.set_column(0, "id", [["by-hand"]]), fence=fence)


def readable(config: Path) -> list[dict[str, object]]:
    """Whatever production names, in full: id, content and vector, as a reader of that version sees it."""
    with Project.load(config) as project:
        alias = project.status("handbook").production
        assert alias is not None
        deployment = alias.deployment
        assert deployment.status.value == "pushed"
        target = project.target_named(deployment.target, read_only=True)
        marks = [row for batch in target.scan(deployment.namespace) for row in batch.to_pylist()]
        visible = [row["id"] for row in marks if row["added_in"] <= deployment.version < row["removed_in"]]
        records = target.fetch(deployment.namespace, visible).to_pylist()
    for record in records:
        del record["added_in"], record["removed_in"]
    return sorted(records, key=lambda row: str(row["id"]))


def state(config: Path) -> State:
    """Everything that must not depend on having been killed: aliases, versions, and every record of every namespace."""
    with Project.load(config) as project:
        target = project.target("handbook", read_only=True)
        records = {}
        for namespace in target.namespaces():
            ids = [value for batch in target.scan(namespace) for value in batch["id"].to_pylist()]
            rows = target.fetch(namespace, ids).to_pylist()
            records[namespace] = sorted(rows, key=lambda row: str(row["id"]))
        aliases = {one.name: one.deployment.version for one in project.registry().aliases("handbook")}
        deployments = {
            (one.namespace, one.version): one.status.value for one in project.registry().deployments("handbook")
        }
        return {"records": records, "aliases": aliases, "deployments": deployments}


def run(context: Context, config: Path, operation: str, kill_at: int, out: Path) -> int | None:
    process = context.Process(target=steps.run, args=(config, operation, kill_at, BATCH, out))
    process.start()
    process.join(120)
    return process.exitcode


def copy(origin: Path, folder: Path) -> Path:
    shutil.copytree(origin.parent, folder)
    return folder / origin.name


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "operation",
    [name if name == "roll back" else pytest.param(name, marks=pytest.mark.slow) for name in steps.OPERATIONS],
)
def test_a_kill_at_every_step(
    tmp_path: Path,
    forkserver: Context,  # noqa: F811
    operation: str,
) -> None:
    origin = prepare(tmp_path / "origin", operation)
    before, out = readable(origin), tmp_path / "steps.txt"
    calm = copy(origin, tmp_path / "calm")
    assert run(forkserver, calm, operation, 0, out) == 0
    names = out.read_text(encoding="utf-8").splitlines()
    after, wanted = readable(calm), state(calm)
    assert names
    killed = 0
    for kill_at in range(1, len(names) + 1):
        hit = copy(origin, tmp_path / "hit")
        where = f"{operation}: step {kill_at} of {len(names)} ({names[kill_at - 1]})"
        assert run(forkserver, hit, operation, kill_at, out) == -signal.SIGKILL, where
        killed += 1
        if operation != "repair":
            # A repair mends what readers see: between its steps they see it better, not yet well.
            assert readable(hit) in (before, after), where
        assert run(forkserver, hit, operation, 0, out) == 0, where
        assert readable(hit) == after, where
        assert state(hit) == wanted, where
        shutil.rmtree(hit.parent)
    survived(f"SIGKILLs, one at every step: {operation}", killed)
    assert killed == len(names)
