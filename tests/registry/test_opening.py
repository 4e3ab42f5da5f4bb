"""Opening, migrating, and what is said when the database does not play along."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from tests.registry.conftest import new_version, pushed
from vector_pipeline.errors import (
    ConfigError,
    ConflictError,
    CorruptError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
)
from vector_pipeline.release.registry import Registry, engine
from vector_pipeline.release.registry.engine import Database, parse_url
from vector_pipeline.release.registry.migrate import MIGRATIONS
from vector_pipeline.release.registry.schema import REVISIONS, VERSION_TABLE, metadata


def _execute(url: str, statement: str) -> None:
    made = create_engine(parse_url(url))
    with made.begin() as connection:
        connection.exec_driver_sql(statement)
    made.dispose()


def test_migrations_make_exactly_the_tables_of_the_schema(url: str) -> None:
    Registry.open(url).close()
    made = create_engine(parse_url(url))
    with made.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    made.dispose()
    assert differences == []


def test_the_list_of_revisions_is_that_of_the_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    files = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(files)) == REVISIONS


def test_readers_find_nothing_and_make_nothing(url: str) -> None:
    with pytest.raises(NotFoundError, match="there is no registry at") as raised:
        Registry.open(url, migrate=False)
    assert raised.value.code == "no-registry"
    with pytest.raises(NotFoundError):
        Registry.open(url, migrate=False)
    if url.startswith("sqlite"):
        assert not Path(url.removeprefix("sqlite:///")).parent.exists()
    with Registry.open(url) as registry:
        pushed(registry, "d1")
    with Registry.open(url, migrate=False) as registry:
        assert len(registry.versions("handbook")) == 1


def test_a_registry_of_a_newer_release_is_refused(url: str) -> None:
    Registry.open(url).close()
    _execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for migrate in (True, False):
        with pytest.raises(RefusedError, match=r"written by a newer release \(revision 9999.*Upgrade vector-pipeline"):
            Registry.open(url, migrate=migrate)


def test_a_registry_of_the_first_releases_is_brought_up_with_what_it_holds(url: str) -> None:
    database = Database(url)
    if database.path:
        database.path.parent.mkdir()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    def old(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        at = "'2026-01-02T03:04:05.000000+00:00'"
        connection.exec_driver_sql(
            "INSERT INTO vp_versions VALUES ('handbook', 1, 's', 'f', 'e', 3, 'cosine', 'd', 1, NULL, 1, 1, 'c', 'e', NULL, "
            f"NULL, '', {at}, NULL, false)"
        )
        connection.exec_driver_sql(
            "INSERT INTO vp_deployments (dataset, environment, target, namespace, version, space, fingerprint, status, digest, "
            f"records, created_at, updated_at) VALUES ('handbook', 'dev', 't', 'n', 1, 's', 'f', 'pushed', 'd', 1, {at}, {at})"
        )

    database.write(old)
    database.close()
    with pytest.raises(RefusedError, match="at revision 0002 and this release needs"):
        Registry.open(url, migrate=False)
    with Registry.open(url) as registry:
        (found,) = registry.deployments("handbook")
        assert (found.status, found.strategy) == ("pushed", "versioned")
        assert registry.retire_deployments([found.id], grace_s=0) == [found.id]


def test_an_open_registry_at_head_does_not_import_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/registry.sqlite"
    Registry.open(url).close()
    code = (
        "import sys; from vector_pipeline.release.registry import Registry\n"
        f"Registry.open({url!r}).alias('a', 'b', 'c')\n"
        "print([name for name in ('alembic', 'psycopg', 'dagster', 'duckdb', 'numpy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_sqlite_lets_readers_read_while_a_writer_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/registry.sqlite"
    with Registry.open(url) as registry:
        pushed(registry, "d1")
        other = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE vp_versions SET message = 'half'")
        assert registry.version("handbook", 1).message != "half"
        other.execute("ROLLBACK")
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()


def test_a_lock_that_outlasts_the_retries_is_a_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RETRY_S", 0.2)
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    with Registry.open(f"sqlite:///{tmp_path}/registry.sqlite") as registry:
        other = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConflictError, match="busy"):
            registry.record_version(new_version("d1"))
        other.close()
        assert registry.record_version(new_version("d1"))[1]


def test_postgresql_waits_for_a_lock_only_so_long(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RETRY_S", 0.2)
    monkeypatch.setattr(engine, "LOCK_TIMEOUT", "50ms")
    with Registry.open(postgres_url) as registry:
        other = Database(postgres_url)

        def hold(connection: object) -> None:
            other.serialise(connection, "versions:handbook")  # type: ignore[arg-type]
            with pytest.raises(ConflictError, match="busy"):
                registry.record_version(new_version("d1"))

        other.write(hold)
        other.close()
        assert registry.record_version(new_version("d1"))[1]


def test_a_server_that_dropped_its_connections_is_asked_again(postgres: str, postgres_url: str) -> None:
    import psycopg

    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'registry%%' AND pid <> %s"
    with Registry.open(postgres_url) as registry, psycopg.connect(postgres, autocommit=True) as admin:
        registry.record_version(new_version("d1"))
        admin.execute(drop, [admin.info.backend_pid])
        assert registry.record_version(new_version("d2"))[0].number == 2
        admin.execute(drop, [admin.info.backend_pid])
        assert len(registry.versions("handbook")) == 2


def test_a_connection_lost_during_the_commit_is_an_unknown_outcome(postgres: str, postgres_url: str) -> None:
    import psycopg

    database, runs = Database(postgres_url), []
    with psycopg.connect(postgres, autocommit=True) as admin:

        def work(connection: Connection) -> None:
            own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            runs.append(admin.execute("SELECT pg_terminate_backend(%s, 10000)", [own]).fetchone())

        with pytest.raises(UnknownOutcomeError, match="broke during a commit"):
            database.write(work)
    database.close()
    assert runs == [(True,)]


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("mysql://me:hunter2@host/db", "the registry cannot live in mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("no url hunter2", "cannot be read"),
    ],
)
def test_a_url_that_cannot_hold_a_registry(url: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        Registry.open(url)
    assert "hunter2" not in str(caught.value)


def test_what_does_not_answer_gives_one_line_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        Registry.open("postgresql://me:hunter2@127.0.0.1:1/registry")
    assert "127.0.0.1:1/registry does not answer" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnavailableError, match="cannot make the registry's folder"):
        Registry.open(f"sqlite:///{tmp_path}/file/registry.sqlite")
    with pytest.raises(UnavailableError, match="does not answer"):
        Registry.open(f"sqlite:///{tmp_path}")
    (tmp_path / "registry.sqlite").write_text(
        "this is no database, but a text that is long enough to be looked at" * 20
    )
    with pytest.raises(CorruptError, match="is damaged"):
        Registry.open(f"sqlite:///{tmp_path}/registry.sqlite")


def test_a_migration_that_fails_leaves_nothing(url: str) -> None:
    database = Database(url)
    if database.path:
        database.path.parent.mkdir()
    _execute(url, "CREATE TABLE vp_outcomes (other INTEGER)")
    with pytest.raises(UnavailableError, match="vp_outcomes"):
        Registry.open(url)
    _execute(url, "DROP TABLE vp_outcomes")
    with Registry.open(url) as registry:
        assert registry.datasets() == []
    database.close()


def test_a_database_that_is_not_made_yet_is_made_by_provision(postgres: str) -> None:
    with pytest.raises(UnavailableError, match=r'"nowhere" does not exist.* vector-pipeline provision'):
        Registry.open(postgres.replace("/postgres?", "/nowhere?"))
