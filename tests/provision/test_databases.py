"""Roles, databases, extension, schema and grants, on a real PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.provision.conftest import PASSWORDS, Place, Work, actions
from tests.tiers.conftest import SEAL
from vector_pipeline.errors import ConfigError, RefusedError
from vector_pipeline.provision.access import reader_grants
from vector_pipeline.provision.things import Action
from vector_pipeline.provision.variables import variables
from vector_pipeline.targets.pgvector.failures import letting_in


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for one in statements:
            connection.execute(one)  # type: ignore[call-overload]


def reads(place: Place, table: str) -> bool:
    """Whether the reader may, in public."""
    try:
        run(place.url(place.reader), f"SELECT count(*) FROM public.{table}")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


@contextmanager
def scram(place: Place) -> Iterator[None]:
    """A server that asks the writer for its password."""
    rules = Path(place.postgres.partition("host=")[2]) / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all {place.writer} scram-sha-256\n" + before)
    run(place.postgres, "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        rules.write_text(before)
        run(place.postgres, "SELECT pg_reload_conf()")


@pytest.mark.slow
def test_all_is_made_from_nothing_and_a_second_run_has_nothing_to_do(place: Place, opened: Work) -> None:
    work = opened(place.environment())
    plan = work.provision_plan()
    assert {one.action for one in plan.things} == {Action.CREATE}
    assert {one.kind for one in plan.things} == {
        "postgresql role", "postgresql database", "postgresql extension", "postgresql schema", "postgresql grants", "registry",
        "lake",
    }  # fmt: skip
    told: list[str] = []
    assert work.provision(plan, lambda one: told.append(one.kind)) == len(plan.things) == len(told)
    again = opened(place.environment()).provision_plan()
    assert again.empty, [one for one in again.things if one.action is not Action.EXISTS]
    assert not any(secret in str(plan.to_json()) for secret in PASSWORDS.values())
    with psycopg.connect(place.postgres) as connection:
        kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [place.reader]).fetchone()
        assert kept is not None
        assert str(kept[0]).startswith("SCRAM-SHA-256$")


@pytest.mark.slow
def test_a_reader_reads_what_is_made_later_and_writes_nothing(place: Place, opened: Work) -> None:
    from vector_pipeline.project import Project

    work = opened(place.environment())
    work.provision(work.provision_plan())
    with Project(work.config, work.base, "prod") as project:
        project.build("handbook")
        project.push("handbook")
    assert opened(place.environment()).provision_plan().empty
    with psycopg.connect(place.url(place.reader), autocommit=True) as reader:
        (table,) = reader.execute("SELECT table_name FROM vector_pipeline.namespaces").fetchone() or ("",)
        for name in (f'vector_pipeline."{table}"', "public.vp_versions", "public.ducklake_snapshot"):
            counted = reader.execute(f"SELECT count(*) FROM {name}").fetchone()  # type: ignore[call-overload]
            assert counted is not None
            assert counted[0] > 0
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"DELETE FROM {name}")  # type: ignore[call-overload]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("CREATE TABLE public.mine (a int)")


@pytest.mark.slow
def test_whatever_it_was_stopped_after_it_goes_on(place: Place, opened: Work) -> None:
    class Killed(BaseException):
        pass

    environment = place.environment()
    runs = 0
    while True:
        work = opened(environment)
        plan = work.provision_plan()
        if plan.empty:
            break
        runs += 1

        def stop(_: object) -> None:
            raise Killed

        with pytest.raises(Killed):
            work.provision(plan, stop)
        work.close()
    assert runs > 5
    assert opened(environment).provision_plan().empty


@pytest.mark.slow
def test_without_an_administrator_the_plan_says_what_one_runs(place: Place, opened: Work) -> None:
    environment = place.environment(provision={"reader": place.reader})
    plan = opened(environment).provision_plan()
    (nobody,) = {one for one in plan.blocked if one.kind == "postgresql role"}
    assert "CREATE ROLE" in nobody.fix
    run(place.postgres, f"CREATE ROLE {place.writer} LOGIN")
    work = opened(environment)
    plan = work.provision_plan()
    assert {one.kind for one in plan.blocked} == {"postgresql role", "postgresql database", "postgresql extension"}
    (database,) = (one for one in plan.blocked if one.kind == "postgresql database")
    assert f'CREATE DATABASE "{place.database}" OWNER "{place.writer}"' in database.fix
    with pytest.raises(RefusedError, match="nothing was made"):
        work.provision(plan)
    # What it says is enough: the administrator runs it, and the writer makes the rest.
    for one in plan.blocked:
        who, _, statement = one.fix.partition(": ")
        url = place.url("postgres") if "in vectors" in who else place.postgres
        run(url, statement.partition(";")[0])
    work = opened(environment)
    work.provision(work.provision_plan())
    assert opened(environment).provision_plan().empty


@pytest.mark.slow
def test_a_schema_that_the_writer_may_not_make_is_said(place: Place, opened: Work) -> None:
    run(place.postgres, f"CREATE ROLE {place.writer} LOGIN", f"CREATE DATABASE {place.database}")
    run(place.url("postgres"), "CREATE EXTENSION vector", f"GRANT CREATE ON SCHEMA public TO {place.writer}")
    environment = place.environment(provision={})
    work = opened(environment)
    (schema,) = work.provision_plan().blocked
    assert (schema.kind, schema.note) == ("postgresql schema", f"{place.writer} may not make it")
    run(place.url("postgres"), schema.fix.partition(": ")[2].partition(";")[0])
    work = opened(environment)
    work.provision(work.provision_plan())
    assert opened(environment).provision_plan().empty


@pytest.mark.slow
def test_an_administrator_who_is_no_superuser(place: Place, opened: Work) -> None:
    admin = f"admin_{place.number}"
    run(place.postgres, f"CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB")
    # Of an extension PostgreSQL asks more: where it is a service, its administrators have that by another way.
    environment = place.environment(targets={"local": {}})
    environment["provision"]["admin"] = place.url(admin, "postgres")
    work = opened(environment)
    plan = work.provision_plan()
    assert not plan.blocked
    work.provision(plan)
    assert opened(environment).provision_plan().empty
    work.close()
    run(place.postgres, f"DROP DATABASE {place.database} WITH (FORCE)", f"DROP OWNED BY {admin}",
        f"DROP ROLE {place.reader}, {place.writer}", f"DROP ROLE {admin}")  # fmt: skip


@pytest.mark.slow
def test_a_right_that_went_is_given_again(place: Place, opened: Work) -> None:
    work = opened(place.environment())
    work.provision(work.provision_plan())
    run(place.url("postgres"), f"ALTER DEFAULT PRIVILEGES FOR ROLE {place.writer} IN SCHEMA public REVOKE SELECT ON TABLES"
        f" FROM {place.reader}", f"REVOKE SELECT ON vp_versions FROM {place.reader}")  # fmt: skip
    work = opened(place.environment())
    plan = work.provision_plan()
    (grants,) = plan.pending
    assert (grants.action, grants.kind) == (Action.CHANGE, "postgresql grants")
    assert "SELECT on 1 tables, SELECT on tables to come" in grants.note
    work.provision(plan)
    assert opened(place.environment()).provision_plan().empty


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("ALTER ROLE {reader} SUPERUSER", "superuser"),
        ("ALTER ROLE {reader} NOLOGIN", "may not log in"),
        ("GRANT {writer} TO {reader}", "member of"),
        ("GRANT CREATE ON SCHEMA public TO {reader}", "may make tables"),
        ("GRANT DELETE ON vp_versions TO {reader}", "may write 1 tables"),
    ],
)
def test_a_reader_that_could_write_is_in_the_way(place: Place, opened: Work, wrong: str, said: str) -> None:
    work = opened(place.environment())
    work.provision(work.provision_plan())
    run(place.url("postgres"), wrong.format(reader=place.reader, writer=place.writer))
    plan = opened(place.environment()).provision_plan()
    assert any(said in one.note for one in plan.blocked), [one.note for one in plan.things]


@pytest.mark.slow
@pytest.mark.parametrize("writer", [True, False])
def test_in_a_database_of_somebody_elses_the_writer_gets_what_it_lacks(
    place: Place, opened: Work, writer: bool
) -> None:
    run(place.postgres, f"CREATE DATABASE {place.database}", *([f"CREATE ROLE {place.writer} LOGIN"] if writer else []))
    # Not even everybody's rights: without them PostgreSQL would refuse, or grant nothing and only warn.
    run(place.url("postgres"), "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    environment = place.environment(targets={"local": {}})
    work = opened(environment)
    plan = work.provision_plan()
    (database,) = (one for one in plan.things if one.kind == "postgresql database")
    assert (database.action, dict(database.facts)["owner"]) == (Action.EXISTS, "postgres")
    assert f"{place.writer} writes" in next(one.name for one in plan.pending if one.kind == "postgresql grants")
    work.provision(plan)
    assert opened(environment).provision_plan().empty
    run(place.url("postgres"), f"REVOKE CREATE ON SCHEMA public FROM {place.writer}")
    work = opened(environment)
    work.provision(work.provision_plan())
    assert opened(environment).provision_plan().empty
    assert reads(place, "vp_versions")


@pytest.mark.slow
def test_a_table_of_others_in_the_schema_stays_theirs(place: Place, opened: Work) -> None:
    run(place.postgres, f"CREATE ROLE {place.writer} LOGIN", f"CREATE DATABASE {place.database} OWNER {place.writer}")
    run(place.url("postgres"), "CREATE TABLE public.theirs (a int)")
    run(place.url(place.writer), "CREATE TABLE public.ours (a int)")
    environment = place.environment(targets={"local": {}})
    work = opened(environment)
    work.provision(work.provision_plan())
    assert opened(environment).provision_plan().empty
    assert [reads(place, table) for table in ("ours", "vp_versions", "theirs")] == [True, True, False]


@pytest.mark.slow
def test_two_writers_in_one_schema_are_both_read(place: Place, opened: Work) -> None:
    other = f"{place.writer}_registry"
    run(place.postgres, f"CREATE ROLE {place.writer} LOGIN", f"CREATE ROLE {other} LOGIN",
        f"CREATE DATABASE {place.database} OWNER {place.writer}")  # fmt: skip
    environment = place.environment(targets={"local": {}}, registry=place.url(other))
    try:
        work = opened(environment)
        work.provision(work.provision_plan())
        assert opened(environment).provision_plan().empty
        assert reads(place, "vp_versions")
        assert reads(place, "ducklake_metadata")
        work.close()
    finally:
        run(place.postgres, f"DROP DATABASE {place.database} WITH (FORCE)", f"DROP ROLE {other}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("LOGIN SUPERUSER", "superuser"),
        ("LOGIN IN ROLE {writer}", "member of"),
        ("LOGIN IN ROLE pg_write_all_data", "member of pg_write_all_data"),
        ("NOLOGIN", "log in"),
    ],
)
def test_a_reader_that_is_none_is_in_the_way_before_anything_is_made(
    place: Place, opened: Work, role: str, said: str
) -> None:
    run(place.postgres, f"CREATE ROLE {place.writer} LOGIN")
    run(place.postgres, f"CREATE ROLE {place.reader} {role.format(writer=place.writer)}")
    work = opened(place.environment())
    plan = work.provision_plan()
    assert any(said in one.note for one in plan.blocked), [one.note for one in plan.things]
    with pytest.raises(RefusedError, match="nothing was made"):
        work.provision(plan)


@pytest.mark.slow
def test_a_wrong_password_opens_no_seal(place: Place, opened: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEAL, "the-secret")
    environment = place.environment(sealed=f"${{env:{SEAL}}}")
    work = opened(environment)
    work.provision(work.provision_plan())
    work.close()
    run(place.url("postgres"), f"REVOKE SELECT ON vp_versions FROM {place.reader}")
    monkeypatch.delenv(SEAL)
    del environment["sealed"]
    with scram(place):
        work = opened(environment)
        with pytest.raises(RefusedError, match="seal"):
            work.provision(work.provision_plan())
        work.close()
        monkeypatch.setenv("WRITER_PASSWORD", "amiss-7")
        work = opened(environment)
        plan = work.provision_plan()
        assert {one.kind for one in plan.blocked} == {"postgresql role", "registry", "lake"}
        assert "is not let in" in plan.blocked[0].note
        assert "amiss-7" not in str(plan.to_json())
        with pytest.raises(RefusedError, match="nothing was made"):
            work.provision(plan)
    assert not reads(place, "vp_versions")
    # Nor does another name for the writer: what it would be given stands already, and is somebody's.
    environment["registry"] = place.url(f"{place.writer}_new")
    with pytest.raises(RefusedError, match="nothing was made"):
        (work := opened(environment)).provision(work.provision_plan())


def test_a_server_that_is_not_there(place: Place, opened: Work) -> None:
    environment = place.environment(registry="postgresql://anybody@127.0.0.1:1/nothing")
    with pytest.raises(Exception, match="does not answer") as caught:
        opened(environment).provision_plan()
    assert "\n" not in str(caught.value)


def test_a_whole_url_by_reference_and_one_that_is_none(
    place: Place, opened: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG", place.url(place.writer))
    environment = place.environment(lake={"catalog": "${env:CATALOG}", "data": str(place.folder / "data")})
    assert actions(opened(environment).provision_plan())["lake"] == "create"
    monkeypatch.delenv("CATALOG")
    with pytest.raises(ConfigError, match="CATALOG"):
        opened(environment).provision_plan()


def test_one_truth_of_a_readers_rights() -> None:
    ours = reader_grants("vectors", "vector_pipeline", "pipeline", "onlooker")
    assert "; ".join(ours[1:]) == letting_in("vector_pipeline", "pipeline", "onlooker")


def test_the_variables_are_of_one_database(place: Place, opened: Work) -> None:
    targets = {
        "local": {"kind": "pgvector", "url": place.url(place.writer), "db_schema": "here"},
        "other": {"kind": "pgvector", "url": place.url(place.writer, "elsewhere"), "db_schema": "there"},
        "third": {"kind": "pgvector", "url": place.url("somebody"), "db_schema": "theirs"},
    }
    found = variables(opened(place.environment(targets=targets)))
    assert (found["database"], found["writer"], found["vector_schemas"]) == (place.database, place.writer, ["here"])
