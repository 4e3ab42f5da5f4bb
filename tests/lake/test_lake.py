"""The lake: transactions that are whole or nothing, on SQLite and on PostgreSQL; refusals in one line."""

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from vector_pipeline.config import LakeConfig, SecretTemplate
from vector_pipeline.errors import ConfigError, NotFoundError, UnavailableError
from vector_pipeline.lake import connection
from vector_pipeline.lake.connection import Lake, translate


def sqlite_lake(folder: Path) -> LakeConfig:
    return LakeConfig(catalog=SecretTemplate(f"sqlite:///{folder}/catalog.sqlite"), data=str(folder / "data"))


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> LakeConfig:
    """A lake of its own for each test, on each kind of catalog."""
    if request.param == "sqlite":
        return sqlite_lake(tmp_path)
    return LakeConfig(catalog=SecretTemplate(request.getfixturevalue("postgres_url")), data=str(tmp_path / "data"))


@pytest.fixture
def lake(config: LakeConfig, tmp_path: Path) -> Iterator[Lake]:
    with Lake.open(config, tmp_path) as lake:
        lake.transaction(lambda: lake.run("CREATE TABLE lake.main.t (n INTEGER)"), "make t")
        yield lake


def count(lake: Lake) -> int:
    return int(lake.row("SELECT count(*) FROM lake.main.t")[0])


def test_a_transaction_is_whole_or_nothing(lake: Lake) -> None:
    before = lake.snapshot_id()

    def half() -> None:
        lake.run("INSERT INTO lake.main.t VALUES (1)")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        lake.transaction(half, "half")
    assert (count(lake), lake.snapshot_id()) == (0, before)
    lake.transaction(lambda: lake.run("INSERT INTO lake.main.t VALUES (1)"), "one")
    assert (count(lake), lake.snapshot_id()) == (1, before + 1)
    assert lake.row("SELECT count(*) FROM lake.main.t AT (VERSION => ?)".replace("?", str(before))) == (0,)
    assert lake.row("SELECT commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1") == ("one",)


def insert(config: LakeConfig, base: Path, times: int) -> None:
    with Lake.open(config, base) as lake:
        for _ in range(times):
            lake.transaction(lambda: lake.run("INSERT INTO lake.main.t VALUES (1)"), "one")


@pytest.mark.slow
def test_several_processes_commit_and_nothing_is_lost(lake: Lake, config: LakeConfig, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.lake.test_lake"])
    processes = [context.Process(target=insert, args=(config, tmp_path, 8)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert count(lake) == 24


def test_a_stream_survives_other_statements(lake: Lake) -> None:
    lake.transaction(lambda: lake.run("INSERT INTO lake.main.t SELECT range FROM range(5000)"), "many")
    rows = 0
    for batch in lake.stream("SELECT n FROM lake.main.t", rows=1000):
        assert count(lake) == 5000
        rows += batch.num_rows
    assert rows == 5000


FAILS = "SELECT CASE WHEN i < 600_000 THEN i ELSE {fails} END AS n FROM range(700_000) t(i)"


@pytest.mark.parametrize(
    ("fails", "says", "fix"),
    [
        ("error('a file is gone')::BIGINT", "a file is gone", None),
        ("error('HTTP 503')::BIGINT", "HTTP 503", "Check the network and the endpoint, then try again"),
    ],
)
def test_what_fails_in_the_middle_of_a_stream_is_the_lakes(
    tmp_path: Path, fails: str, says: str, fix: str | None
) -> None:
    with Lake.open(sqlite_lake(tmp_path), tmp_path) as lake:
        stream = lake.stream(FAILS.format(fails=fails))
        assert next(stream).num_rows
        with pytest.raises(UnavailableError, match=says) as raised:
            list(stream)
        assert raised.value.what.startswith(lake.where)
        assert raised.value.fix == fix
        assert lake.row("SELECT 1") == (1,)


def test_reading_never_makes_a_lake(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no lake .*catalog\.sqlite\. Build a dataset first"):
        Lake.open(sqlite_lake(tmp_path), tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_locked_catalog_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = sqlite_lake(tmp_path)
    Lake.open(config, tmp_path).close()
    monkeypatch.setattr(connection, "_PATIENCE_S", 0.1)
    # In a process of its own: locks of one process do not hold against itself.
    script = (
        "import sqlite3, sys\n"
        "con = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "con.execute('PRAGMA locking_mode=EXCLUSIVE'); con.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "catalog.sqlite")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UnavailableError) as caught:
            Lake.open(config, tmp_path)
        holder.communicate()
    assert "locked" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_catalog_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_text("this is no database" * 100)
    with pytest.raises(UnavailableError, match="cannot be opened"):
        Lake.open(sqlite_lake(tmp_path), tmp_path)


def test_an_open_lake_takes_no_unsigned_extension(lake: Lake) -> None:
    assert lake.row("SELECT current_setting('allow_unsigned_extensions')") == (False,)


def test_unknown_catalogs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither sqlite"):
        Lake.open(LakeConfig(catalog=SecretTemplate("mysql://host/db")), tmp_path)


def test_messages_carry_no_password() -> None:
    error = duckdb.IOException('Unable to connect to "postgresql://me:hunter2@host/db": password=hunter2 refused')
    message = str(translate(error, "lake"))
    assert "hunter2" not in message
    assert "host/db" in message
