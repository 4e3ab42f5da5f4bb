"""Credentials of readers cannot write, whatever the configuration says: a PostgreSQL role that may only read, and no seal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from tests.conftest import page
from tests.registry.conftest import postgres, postgres_url  # noqa: F401 (fixtures)
from tests.tiers.conftest import Open, files, tier, write
from vector_pipeline.errors import ConflictError, RefusedError, VectorPipelineError
from vector_pipeline.project import Project

GRANTS = """
    GRANT USAGE ON SCHEMA public, vector_pipeline TO {role};
    GRANT SELECT ON ALL TABLES IN SCHEMA public, vector_pipeline TO {role};
"""


@dataclass(frozen=True)
class Shared:
    """One production on PostgreSQL: its owner's configuration, its reader's, and the database."""

    owner: Path
    reader: Path
    url: str

    def tables(self) -> dict[str, str]:
        """A digest of every table of the database."""
        with psycopg.connect(self.url) as connection:
            names = connection.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'vector_pipeline')"
            ).fetchall()
            digest = "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {} t"
            return {name: str(connection.execute(digest.format(name)).fetchone()) for (name,) in names}


@pytest.fixture
def shared(tmp_path: Path, postgres_url: str, opened: Open) -> Iterator[Shared]:  # noqa: F811
    def environment(url: str) -> dict[str, object]:
        return {
            "prod": {
                "lake": {"catalog": url, "data": str(tmp_path / "data")}, "registry": url,
                "targets": {"local": {"kind": "pgvector", "url": url, "hnsw": False}},
            }
        }  # fmt: skip

    owner = write(tmp_path / "owner", environment(postgres_url))
    with opened(owner, "prod") as project:
        project.build("handbook")
        project.push("handbook")
        # A second version, for whoever would push it.
        (owner.parent / "documents" / "new.md").write_text(page(9, 2), encoding="utf-8")
        project.build("handbook")
    role = f"reader_{tmp_path.name[-8:]}".replace("-", "_").lower()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN")
        connection.execute(GRANTS.format(role=role))
    reader = write(tmp_path / "reader", environment(postgres_url.replace("postgres:@", f"{role}:@")), pages=2)
    yield Shared(owner, reader, postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_role_that_reads_writes_nothing_anywhere(shared: Shared, opened: Open) -> None:
    project = opened(shared.reader, "prod")
    before = shared.tables()
    namespace = project.target("handbook", read_only=True).namespaces()[0]
    verbs: tuple[Callable[[Project], object], ...] = (
        lambda one: one.build("handbook"),
        lambda one: one.push("handbook"),
        lambda one: one.verify("handbook"),
        lambda one: one.promote("handbook", by="reader"),
        lambda one: one.pin("handbook", 1, True),
        lambda one: one.target("handbook").drop_namespace(namespace),
        lambda one: one.target("handbook").delete(namespace, pa.array(["any"])),
        lambda one: one.registry().let_in("reader", by="reader"),
    )
    for number, verb in enumerate(verbs):
        with pytest.raises(VectorPipelineError) as caught:
            pytest.fail(f"verb {number} went through: {verb(project)}")
        assert "\n" not in str(caught.value)
        assert shared.tables() == before
    # And it reads all of it.
    assert project.status("handbook").newest is not None
    assert project.documents("handbook")
    assert project.target("handbook", read_only=True).describe(namespace) is not None
    assert project.tiers()[0].registry == project.registry(read_only=True).id


@pytest.mark.slow
def test_what_is_opened_read_only_writes_nothing(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path / "team", {"dev": tier(tmp_path / "dev")})
    with opened(file, "dev") as project:
        project.build("handbook")
        project.push("handbook")
    project = opened(file, "dev")
    before = files(tmp_path / "dev")
    target, lake = project.target("handbook", read_only=True), project.lake(read_only=True)
    (namespace,) = target.namespaces()
    for verb in (
        lambda: target.drop_namespace(namespace),
        lambda: target.delete(namespace, pa.array(["any"])),
        lambda: target.purge(namespace),
    ):
        with pytest.raises(RefusedError, match="read"):
            verb()
    with pytest.raises(ConflictError, match="opened for reading"):
        lake.take("f" * 16)
    with pytest.raises(VectorPipelineError, match="read-only"):
        lake.run(f"DELETE FROM {project.tables('handbook').chunks}")
    assert files(tmp_path / "dev") == before


def test_a_catalogue_of_before_there_were_owners(shared: Shared, opened: Open) -> None:
    project = opened(shared.owner, "prod")
    (namespace,) = project.target("handbook").namespaces()
    with psycopg.connect(shared.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE vector_pipeline.namespaces DROP COLUMN owner")
    target = project.target("handbook", read_only=True)
    state = target.describe(namespace)
    assert state is not None
    assert state.spec.owner == ""
    project.target("handbook").ensure_namespace(state.spec, fence=100)
    taken = target.describe(namespace)
    assert taken is not None
    assert taken.spec.owner == f"{project.registry().id}/prod"
    assert (taken.records, taken.mark) == (state.records, state.mark)
