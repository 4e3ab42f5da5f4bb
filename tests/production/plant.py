"""A whole small production of real processes: PostgreSQL, S3, Redis, a Pinecone-protocol server, and Dagster's webserver, daemon,
code server and workers. Dagster's storage, the lake's catalog and the registry are on that PostgreSQL, all data on that S3.
"""

import json
import os
import shutil
import sys
import urllib.error
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.production.asking import BIN, Plant
from tests.production.processes import Processes, free_port, listens
from tests.shared.conftest import KEYS, Bucket
from tests.ui.dagster_ui import Ui

ROOT = Path(__file__).parents[2]
BUCKET = "company-vectors"
KEY = "a-key-of-tests"
HOME_FILES = ("dagster.yaml", "run_launcher.yaml")
"""Of ``deploy/dagster``, one below the other: the home's ``dagster.yaml``."""


def missing() -> str | None:
    """Why nothing of this can run here; None when it can."""
    if shutil.which("redis-server") is None:
        return "no Redis: redis-server is absent (Debian's package redis-server)"
    try:
        import dagster_celery  # noqa: F401
        import redis  # noqa: F401
    except ImportError:
        return "no dagster-celery: pip install 'vector-pipeline[celery]'"
    return None


@contextmanager
def plant(
    folder: Path,
    postgres: str,
    config: str,
    *,
    workers: Sequence[str],
    module: str = "vector_pipeline.definitions",
    before: Callable[["Plant"], None] = lambda _: None,
    variables: Mapping[str, str] | None = None,
    home: Sequence[str] = HOME_FILES,
    app: str = "vector_pipeline.resources.workers",
) -> Iterator[Plant]:
    """Start everything. ``postgres``: URL of its first database. ``config``: the project's, with ``{url}`` of a database,
    ``{bucket}`` and ``{pinecone}``. ``before``: what is done before Dagster is there.
    """
    vectors, records = (_database(postgres, name) for name in ("vectors", "dagster"))
    ports = {name: free_port() for name in ("s3", "pinecone", "redis", "code", "web")}
    root = _home(folder / "home", home, ports["code"])
    environment = _environment(root, folder, records, ports)
    # One process makes the tables; all that come after it find them.
    _make_tables(environment["DAGSTER_POSTGRES_URL"])
    (folder / "vector_pipeline.yaml").write_text(
        config.format(url=vectors, bucket=BUCKET, pinecone=f"http://127.0.0.1:{ports['pinecone']}")
    )
    with Processes(folder / "logs", {**environment, **(variables or {})}) as processes:
        made = Plant(
            folder,
            processes,
            Bucket(BUCKET, environment["AWS_ENDPOINT_URL"]),
            Ui(f"http://127.0.0.1:{ports['web']}"),
            app,
        )
        _start_storage(processes, ports, folder)
        code = [BIN / "dagster", "code-server", "start", "-h", "127.0.0.1", "-p", str(ports["code"]), "-m", module]
        processes.start("code", code)
        for name in workers:
            made.start_worker(name)
        for name in ("redis", "s3", "pinecone"):
            processes.until(name, partial(listens, ports[name]))
        with made.bucket.client() as client:
            client.create_bucket(Bucket=BUCKET)
        before(made)
        processes.until("code", partial(listens, ports["code"]))
        workspace = ["-w", root / "workspace.yaml"]
        processes.start("web", [BIN / "dagster-webserver", "-h", "127.0.0.1", "-p", str(ports["web"]), *workspace])
        processes.start("daemon", [BIN / "dagster-daemon", "run", *workspace])
        processes.until("web", partial(_is_loaded, made.ui))
        made.wait_for_workers(*workers)
        yield made


def _database(postgres: str, kind: str) -> str:
    import psycopg

    name = f"{kind}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.replace("/postgres?", f"/{name}?")


def _home(home: Path, files: Sequence[str], code_port: int) -> Path:
    """Dagster's home, of the files in ``deploy``: monitored more often, so that nobody waits for a minute."""
    home.mkdir(parents=True)
    deploy = ROOT / "deploy" / "dagster"
    settings = "\n".join((deploy / name).read_text() for name in files)
    for before, after in (
        ("poll_interval_seconds: 60", "poll_interval_seconds: 2"),
        ("silence_s: 60.0", "silence_s: 20.0"),
    ):
        assert before in settings or len(files) == 1
        settings = settings.replace(before, after)
    (home / "dagster.yaml").write_text(settings)
    workspace = (deploy / "workspace.yaml").read_text()
    assert "port: 4000" in workspace
    (home / "workspace.yaml").write_text(workspace.replace("port: 4000", f"port: {code_port}"))
    return home


def _environment(home: Path, folder: Path, records: str, ports: dict[str, int]) -> dict[str, str]:
    redis = f"redis://127.0.0.1:{ports['redis']}"
    given = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DAGSTER_", "PYTEST_"))}
    return {
        **given,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "DAGSTER_HOME": str(home),
        "DAGSTER_TELEMETRY_DISABLED": "1",
        "DAGSTER_POSTGRES_URL": records.replace("postgresql://", "postgresql+psycopg2://"),
        "DAGSTER_LOGS_BUCKET": BUCKET,
        "DAGSTER_CELERY_BROKER": f"{redis}/0",
        "DAGSTER_CELERY_BACKEND": f"{redis}/1",
        "VECTOR_PIPELINE_CONFIG": str(folder / "vector_pipeline.yaml"),
        "VECTOR_PIPELINE_CODE_HOST": "127.0.0.1",
        "VECTOR_PIPELINE_PLANT": uuid.uuid4().hex,
        "PINECONE_API_KEY": KEY,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
        "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
        "AWS_DEFAULT_REGION": KEYS["region_name"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }  # fmt: skip


def _start_storage(processes: Processes, ports: dict[str, int], folder: Path) -> None:
    processes.start("s3", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(ports["s3"])])
    processes.start(
        "pinecone",
        [sys.executable, "-m", "vector_pipeline.cli", "dev", "pinecone", "--port", str(ports["pinecone"]),
         "--data", folder / "pinecone", "--key", KEY],
    )  # fmt: skip
    processes.start(
        "redis",
        ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    )


def _make_tables(url: str) -> None:
    from dagster_postgres import DagsterPostgresStorage

    DagsterPostgresStorage(url, should_autocreate_tables=True)


def _is_loaded(ui: Ui) -> bool:
    query = """{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError {
        __typename ... on PythonError { message } } } } } }"""
    try:
        entries = ui.ask(query)["workspaceOrError"]["locationEntries"]
    except (urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError):
        return False
    found = [one["locationOrLoadError"] for one in entries if one["loadStatus"] == "LOADED"]
    assert not [one for one in found if one["__typename"] == "PythonError"], found
    return bool(found) and len(found) == len(entries)
