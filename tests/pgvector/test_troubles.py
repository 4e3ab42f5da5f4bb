"""What goes wrong between here and PostgreSQL: one line each, with the remedy and without a secret; nothing half-done."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from tests.pgvector.conftest import MakeTarget
from tests.pgvector.proxy import Cut, Proxy
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.errors import (
    ConfigError,
    CorruptError,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
    VectorPipelineError,
)
from vector_pipeline.targets.base import LIVE
from vector_pipeline.targets.pgvector import PgvectorTarget
from vector_pipeline.targets.pgvector.tables import table_name
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

PASSWORD = "s3cr3t/p@ss:word"
IDS = [f"doc{index % 3}#{index:02d}" for index in range(10)]


@pytest.fixture
def proxy(postgres_folder: Path) -> Iterator[Proxy]:
    with Proxy(postgres_folder) as wire:
        yield wire


@pytest.fixture
def strict_login(postgres_folder: Path, database: str) -> Iterator[None]:
    """The user ``strict`` needs a password; everybody else of this server does not."""
    rules = postgres_folder / "pg_hba.conf"
    before = rules.read_text(encoding="utf-8")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS strict")
        connection.execute("CREATE ROLE strict LOGIN PASSWORD 'another'")
        rules.write_text("local all strict scram-sha-256\n" + before, encoding="utf-8")
        connection.execute("SELECT pg_reload_conf()")
        yield
        rules.write_text(before, encoding="utf-8")
        connection.execute("SELECT pg_reload_conf()")


def filled(target: PgvectorTarget) -> Namespace:
    space = Namespace(target)
    space.create()
    space.upsert(make_records(IDS))
    return space


def one_line(error: VectorPipelineError) -> str:
    text = str(error)
    assert "\n" not in text
    assert PASSWORD not in text
    assert error.fix, text
    return text


def as_user(database: str, name: str, *statements: str) -> str:
    """URL of a new user who may do no more than the statements say."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}")
        connection.execute(f"CREATE ROLE {name} LOGIN")
        for statement in statements:
            connection.execute(statement)
    return database.replace("postgres:@", f"{name}:@")


def test_a_wrong_password(
    strict_login: None, database: str, make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_PASSWORD", PASSWORD)
    url = database.replace("postgres:@", "strict:${env:PG_PASSWORD}@")
    target = make_target(url=SecretTemplate(url))
    with pytest.raises(ConfigError, match="password") as caught:
        target.namespaces()
    assert "Check the user" in one_line(caught.value)
    cause: BaseException | None = caught.value
    while cause is not None:
        assert PASSWORD not in str(cause)
        cause = cause.__cause__
    assert PASSWORD not in target.address("x")
    monkeypatch.setenv("PG_PASSWORD", "another")
    assert target.namespaces() == []  # resolved at use: no new target is needed
    monkeypatch.delenv("PG_PASSWORD")
    with pytest.raises(ConfigError, match="PG_PASSWORD"):
        make_target(url=SecretTemplate(url)).namespaces()


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("postgresql://postgres@127.0.0.1:1/postgres", UnavailableError, "refused"),
        ("postgresql://postgres@no-such-host.invalid/postgres", UnavailableError, "host"),
        ("postgresql://postgres@localhost/postgres?frobnicate=1", ConfigError, "cannot be read"),
        ("mysql://postgres@localhost/postgres", ConfigError, "no address of PostgreSQL"),
    ],
)
def test_an_address_that_leads_nowhere(make_target: MakeTarget, url: str, kind: type, said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        make_target(url=SecretTemplate(url)).namespaces()
    one_line(caught.value)


def test_a_database_or_a_user_that_is_not_there(make_target: MakeTarget, database: str) -> None:
    name = database.partition("?")[0].rpartition("/")[2]
    for url, said in (
        (database.replace(f"/{name}?", "/nowhere?"), "database does not exist"),
        (database.replace("postgres:@", "nobody:@"), "user does not exist"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            make_target(url=SecretTemplate(url)).namespaces()
        one_line(caught.value)


def test_no_permission_names_what_to_grant(make_target: MakeTarget, database: str) -> None:
    target = make_target(url=SecretTemplate(as_user(database, "poor")))
    with pytest.raises(ConfigError, match=r"may not make the extension vector.*CREATE EXTENSION") as caught:
        Namespace(target).create()
    one_line(caught.value)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    with pytest.raises(ConfigError, match=r'may not make the schema.*CREATE SCHEMA "vector_pipeline"') as caught:
        Namespace(target).create()
    one_line(caught.value)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA vector_pipeline AUTHORIZATION poor")
    space = filled(target)
    stranger = make_target("stranger", url=SecretTemplate(as_user(database, "stranger")))
    with pytest.raises(ConfigError, match="permission denied") as caught:
        stranger.describe(space.name)
    one_line(caught.value)


def test_an_extension_in_a_schema_of_its_own(make_target: MakeTarget, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "My Extensions"')
        connection.execute('CREATE EXTENSION vector SCHEMA "My Extensions"')
    space = filled(make_target())
    assert space.hits(unit_vectors(1), top_k=1) == IDS[:1]
    assert space.fetched(IDS[:1])


def home_of_the_extension(database: str) -> str:
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'")
        return str(found.fetchall()[0][0])


def test_the_extension_is_never_made_in_our_own_schema(make_target: MakeTarget, database: str) -> None:
    """Though that was there first, and is first where PostgreSQL looks."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA vector_pipeline")
    filled(make_target())
    assert home_of_the_extension(database) == "public"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA vector_pipeline CASCADE")  # and nobody else loses anything
        connection.execute("CREATE TABLE of_another_program (v vector(3))")


def test_the_extension_where_there_is_no_public_schema(make_target: MakeTarget, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public")
        connection.execute("CREATE SCHEMA vector_pipeline")
    space = filled(make_target())
    assert space.hits(unit_vectors(1), top_k=1) == IDS[:1]
    assert home_of_the_extension(database) == "extensions"


def test_a_reader_of_one_line_is_told_how_to_read_the_next(
    make_target: MakeTarget, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader that the documentation made first, and then as it says now."""
    space = filled(make_target())
    url = as_user(
        database,
        "reader",
        "GRANT USAGE ON SCHEMA vector_pipeline TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA vector_pipeline TO reader",
    )
    reader = make_target("reader", url=SecretTemplate(url), read_only=True)
    assert len(reader.query(space.name, unit_vectors(1), top_k=20)[0]) == len(IDS)
    assert not caplog.records

    following = filled(make_target())
    (warned,) = caplog.messages
    with pytest.raises(ConfigError, match="permission denied for table r_") as caught:
        reader.query(following.name, unit_vectors(1), top_k=1)
    fix = one_line(caught.value).partition("As the tables' owner: ")[2]
    assert 'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA' in fix
    assert fix in warned
    assert following.name in warned
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(fix)  # type: ignore[arg-type]
    caplog.clear()
    for one in (following, filled(make_target())):
        assert len(reader.query(one.name, unit_vectors(1), top_k=20)[0]) == len(IDS)
    assert not caplog.records
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP OWNED BY reader")


def test_an_encoding_that_cannot_hold_text(make_target: MakeTarget, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    name = database.partition("?")[0].rpartition("/")[2]
    with pytest.raises(ConfigError, match="encoding is LATIN1") as caught:
        make_target(url=SecretTemplate(database.replace(f"/{name}?", "/latin?"))).namespaces()
    one_line(caught.value)


def test_an_answer_to_commit_that_is_lost(make_target: MakeTarget, proxy: Proxy, database: str) -> None:
    target = make_target(url=SecretTemplate(proxy.url(database)))
    space = filled(target)
    mark = space.mark()
    for cut, landed in ((Cut.BEFORE_COMMIT, False), (Cut.AFTER_COMMIT, True)):
        proxy.cut = cut
        with pytest.raises(UnknownOutcomeError) as caught:
            target.set_removed(space.name, pa.array(IDS[:3]), 5)
        one_line(caught.value)
        assert (space.fetched(IDS[:1])[IDS[0]]["removed_in"] == 5) is landed
        assert (space.mark() != mark) is landed
    assert proxy.cuts == 2


def test_a_connection_lost_before_commit_is_tried_again_and_counted(
    make_target: MakeTarget, proxy: Proxy, database: str
) -> None:
    target = make_target(url=SecretTemplate(proxy.url(database)))
    space = Namespace(target, dimension=64)
    space.create()
    ids = [f"d#{index:03d}" for index in range(500)]
    proxy.cut = Cut.IN_COPY
    receipt = target.upsert(space.name, make_records(ids, unit_vectors(500, dimension=64)))
    assert (receipt.records, receipt.retried, proxy.cuts) == (500, {"connection": 1}, 1)
    assert space.ids() == ids
    state = target.describe(space.name)
    assert state is not None
    assert state.records == 500


def test_nothing_is_set_for_a_session(make_target: MakeTarget, proxy: Proxy, database: str) -> None:
    """Behind a pooler somebody else's transaction comes next on the same session."""
    target = make_target(url=SecretTemplate(proxy.url(database)))
    space = filled(target)
    space.hits(unit_vectors(1))
    space.delete(IDS[:1])
    target.purge(space.name)
    assert space.ids() == sorted(IDS[1:])
    heard = b"".join(proxy.said)
    assert b"CLUSTER VERBOSE" in heard
    assert re.findall(rb"(?s)(?:Q....|;)\s*SET (?:LOCAL )?\w+", heard)
    assert not re.findall(rb"(?s)(?:Q....|;)\s*SET (?!LOCAL )", heard)


def kill_others(database: str) -> int:
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        assert row is not None
        return int(row[0])


def test_every_call_survives_that_the_server_ended_its_sessions(make_target: MakeTarget, database: str) -> None:
    target = make_target()
    space = filled(target)
    calls: list[Any] = [
        space.ids,
        space.mark,
        lambda: space.fetched(IDS),
        lambda: space.hits(unit_vectors(1)),
        lambda: space.upsert(make_records(IDS)),
        lambda: space.delete(IDS[:1]),
        lambda: target.purge(space.name),
    ]
    for call in calls:
        assert kill_others(database) >= 1
        call()
    assert space.ids() == sorted(IDS[1:])


def test_a_write_that_others_hold_up_is_given_up_in_time(make_target: MakeTarget, database: str) -> None:
    space = filled(make_target())
    target = make_target("hasty", timeout_s=0.3)
    with psycopg.connect(database) as connection:
        connection.execute("SELECT FROM vector_pipeline.namespaces FOR UPDATE")
        with pytest.raises(UnavailableError, match=r"longer than 0.3 s") as caught:
            target.delete(space.name, pa.array(IDS))
        one_line(caught.value)
    assert space.ids() == sorted(IDS)


def test_a_server_that_stops_answering_is_given_up(
    make_target: MakeTarget, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vector_pipeline.targets.pgvector.connections.GRACE_S", 0.2)
    target = make_target(timeout_s=0.5)
    space = filled(target)
    with psycopg.connect(database, autocommit=True) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'vector-pipeline' AND datname = current_database()"
        stopped = [row[0] for row in connection.execute(query)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(UnavailableError, match=r"no answer for 0.7 s") as caught:
                space.ids()
            one_line(caught.value)
            assert space.ids() == sorted(IDS)  # by a fresh session
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    assert stopped


def test_a_deadlock_with_another_hand_is_tried_again(make_target: MakeTarget, database: str) -> None:
    """They hold the table and want the row that we hold; we hold the row and want the table."""
    target = make_target()
    space = filled(target)
    table = f"vector_pipeline.{table_name(space.name)}"
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'vector-pipeline'"
    )
    with psycopg.connect(database) as theirs, psycopg.connect(database, autocommit=True) as watcher:
        theirs.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        receipts: list[Any] = []
        ours = threading.Thread(target=lambda: receipts.append(target.delete(space.name, pa.array(IDS[:2]))))
        ours.start()
        deadline = time.monotonic() + 30
        while watcher.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline
        try:
            theirs.execute(f"UPDATE {table} SET text = 'theirs'")
            theirs.commit()
        except psycopg.errors.DeadlockDetected:
            theirs.rollback()
        ours.join(60)
    assert [receipt.records for receipt in receipts] == [2]
    assert space.ids() == sorted(IDS[2:])


def test_tables_that_somebody_changed(make_target: MakeTarget, database: str) -> None:
    target = make_target()
    spaces = [filled(target) for _ in range(3)]
    dropped, altered, narrowed = (f"vector_pipeline.{table_name(space.name)}" for space in spaces)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"DROP TABLE {dropped}")
        connection.execute(f"ALTER TABLE {altered} DROP COLUMN text")
        connection.execute(f"ALTER TABLE {narrowed} ALTER vector TYPE public.vector(4) USING subvector(vector, 1, 4)")
    assert target.describe(spaces[0].name) is None
    assert spaces[0].name not in target.namespaces()
    assert spaces[0].create().records == 0
    with pytest.raises(CorruptError, match='"text" does not exist') as caught:
        spaces[1].fetched(IDS)
    one_line(caught.value)
    with pytest.raises(RefusedError, match="dimension is 4, not 8"):
        spaces[2].create()


def test_reading_only_writes_nothing_even_in_the_database(make_target: MakeTarget) -> None:
    space = filled(make_target())
    reader = make_target("reader", read_only=True)
    mark = space.mark()
    for call in (
        lambda: reader.upsert(space.name, make_records(IDS)),
        lambda: reader.purge(space.name),
        lambda: reader.drop_namespace(space.name),
    ):
        with pytest.raises(RefusedError, match="read-only"):
            call()
    assert len(reader.query(space.name, unit_vectors(1), top_k=20)[0]) == len(IDS)
    assert space.mark() == mark
    assert LIVE in {row["removed_in"] for row in space.marks()}


def test_a_closed_target_says_so(make_target: MakeTarget) -> None:
    target = make_target()
    space = filled(target)
    target.close()
    target.close()
    with pytest.raises(UnavailableError, match="is closed"):
        space.ids()
