"""A process that fills and is suspended for longer than its leases last: whoever takes them meanwhile is alone."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.test_kill import forkserver  # noqa: F401  (a fixture)
from tests.reembed.test_kill import BATCH, Context, Filling, context, prepare, wait_until
from tests.reembed.work import FILLED
from vector_pipeline.errors import ConflictError
from vector_pipeline.project import Project
from vector_pipeline.release.holding import hold_parts, hold_whole

__all__ = ["context"]


def suspend(pid: int, folder: Path) -> None:
    """Stop a process where it holds neither registry nor catalog: a file that is locked waits for whoever locked it."""

    def stopped() -> bool:
        os.kill(pid, signal.SIGSTOP)
        try:
            for file in (folder / ".vector_pipeline").rglob("*.sqlite"):
                with closing(sqlite3.connect(file, timeout=0.1, isolation_level=None)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            return False
        return True

    wait_until(stopped)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["the whole table", "a shard of it"])
def test_a_suspended_fill_writes_nothing_beside_whoever_took_its_lease(
    tmp_path: Path,
    context: Context,
    whole: bool,
) -> None:
    filling = Filling(context, prepare(tmp_path, 30, shards=1))
    process = filling.start(texts_per_s=20.0, lease_s=1.0)
    try:
        wait_until(lambda: len(filling.vectors()) >= BATCH or not process.is_alive())
        assert process.pid is not None
        suspend(process.pid, tmp_path)
        with Project.load(filling.config) as project:
            registry = project.registry()
            resource = f"lake/handbook/{project.tables('handbook', FILLED).embedding_table}"
            wait_until(lambda: registry.leases_below(resource) == [])
            take = hold_whole(registry, resource) if whole else hold_parts(registry, resource, [0])
            with take:
                before = filling.vectors()
                os.kill(process.pid, signal.SIGCONT)
                process.join(60)
                assert process.exitcode == 1
                assert filling.vectors() == before
        assert 0 < len(before) < 30
        said = filling.runs[0].with_suffix(".error").read_text(encoding="utf-8")
        assert said.startswith(f"the lease on {resource}/0 was lost: ")
        assert said.endswith("Stop writing, and begin again")
    finally:
        process.kill()
        process.join(30)
    # Whoever runs it again ends it.
    assert filling.run() == 0
    filling.assert_nothing_was_embedded_again()


@pytest.mark.slow
def test_a_commit_whose_lease_was_lost_writes_nothing(tmp_path: Path) -> None:
    config = prepare(tmp_path, 2)

    def lost() -> None:
        raise ConflictError("the lease was lost", fix="begin again")

    with Project.load(config) as project:
        lake = project.lake()
        before = lake.snapshot_id()
        with lake.guarded(lost), pytest.raises(ConflictError, match="the lease was lost"):
            project.chunk("handbook", space=FILLED)
        assert lake.snapshot_id() == before, "nor does it try again and again"
        assert project.chunk("handbook", space=FILLED).documents_chunked == 2
