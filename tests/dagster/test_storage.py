"""Dagster's SQLite files while they are kept open: the same files for everybody else, at every moment."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage

from vector_pipeline.resources.storage import OpenEventLog, kept_open


@dg.op
def says(context: dg.OpExecutionContext) -> None:
    context.log_event(dg.AssetMaterialization("told", metadata={"number": 7}))


@dg.job(executor_def=dg.in_process_executor)
def speaks() -> None:
    says()


def reading(where: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{where}?mode=ro", uri=True)


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_ref(kept_open(InstanceRef.from_dir(str(tmp_path)))) as made:
        yield made


def test_what_is_kept_is_what_dagster_keeps_by_itself(ours: dg.DagsterInstance, tmp_path: Path) -> None:
    assert isinstance(ours.event_log_storage, OpenEventLog)
    run = speaks.execute_in_process(instance=ours)
    with dg.DagsterInstance.from_config(str(tmp_path)) as theirs:
        assert type(theirs.event_log_storage) is SqliteEventLogStorage
        alone = speaks.execute_in_process(instance=theirs)

        def kinds(one: str) -> list[str | None]:
            return [entry.dagster_event_type for entry in theirs.all_logs(one)]

        assert kinds(run.run_id) == kinds(alone.run_id)
        assert [one.run_id for one in theirs.get_runs()] == [alone.run_id, run.run_id]
        made = theirs.fetch_materializations(dg.AssetKey("told"), limit=5).records
        assert [one.run_id for one in made] == [alone.run_id, run.run_id]
        events = Path(ours.event_log_storage._base_dir)
        schemas = [
            reading(str(events / f"{one}.db")).execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
            for one in (run.run_id, alone.run_id)
        ]
        assert schemas[0] == schemas[1]
        assert theirs.event_log_storage.alembic_version() == ours.event_log_storage.alembic_version()


def test_commits_wait_for_the_disk_as_dagsters_do(ours: dg.DagsterInstance) -> None:
    run = speaks.execute_in_process(instance=ours)
    for shard in (run.run_id, "index"):
        with ours.event_log_storage._connect(shard) as connection:  # type: ignore[attr-defined]
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_who_watches_a_run_sees_its_events_while_the_file_is_open(ours: dg.DagsterInstance, tmp_path: Path) -> None:
    run = speaks.execute_in_process(instance=ours)
    heard = threading.Event()
    with dg.DagsterInstance.from_config(str(tmp_path)) as theirs:
        records = theirs.event_log_storage.get_records_for_run(run.run_id)
        theirs.watch_event_logs(run.run_id, records.cursor, lambda entry, _: heard.set())
        ours.report_engine_event("another one", run.dagster_run)
        assert heard.wait(30.0)


def test_few_files_are_open_at_a_time_and_none_at_the_end(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_ref(kept_open(InstanceRef.from_dir(str(tmp_path)))) as made:
        runs = [speaks.execute_in_process(instance=made).run_id for _ in range(5)]
        storage = made.event_log_storage
        assert isinstance(storage, OpenEventLog)
        assert set(storage._engines) == {"index", *runs[-3:]}
    assert not storage._engines
    assert not list(tmp_path.rglob("*.db-wal")), "a log that was not written back"


def test_a_storage_that_somebody_chose_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: {postgres: {postgres_url: postgresql://nobody@localhost/none}}\n")
    ref = InstanceRef.from_dir(str(tmp_path))
    assert kept_open(ref) is ref


def test_several_may_begin_at_once(tmp_path: Path) -> None:
    """In a home that has no files yet: Dagster by itself takes one that another makes for one of long ago, or makes it again."""
    together = threading.Barrier(4)

    def begin(_: int) -> tuple[str | None, str | None]:
        together.wait()
        with dg.DagsterInstance.from_ref(kept_open(InstanceRef.from_dir(str(tmp_path)))) as made:
            made.get_runs()
            return made.run_storage.alembic_version()  # type: ignore[return-value]

    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(begin, range(4)))
    ((now, newest),) = found
    assert now == newest
