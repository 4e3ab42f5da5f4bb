"""Environments on real services: PostgreSQL that pip brings, moto's S3, our Pinecone-protocol server. Nothing is made yet."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.registry.conftest import postgres
from tests.shared.conftest import endpoint, moto
from tests.support.pinecone import KEY_VARIABLE, pinecone_server
from tests.tiers.conftest import write
from vector_pipeline.provision.provisioning import Provisioning
from vector_pipeline.provision.things import ProvisionPlan
from vector_pipeline.testing.pinecone_server import PineconeServer

__all__ = ["endpoint", "moto", "postgres"]
_NUMBERS = itertools.count(1)
PASSWORDS = {"WRITER_PASSWORD": "writer-password-nobody-sees", "READER_PASSWORD": "reader-password-nobody-sees"}


@dataclass
class Place:
    """Names of an environment that is nowhere yet."""

    folder: Path
    postgres: str
    number: int = field(default_factory=lambda: next(_NUMBERS))

    @property
    def database(self) -> str:
        return f"vectors_{self.number}"

    @property
    def writer(self) -> str:
        return f"pipeline_{self.number}"

    @property
    def reader(self) -> str:
        return f"onlooker_{self.number}"

    def url(self, user: str, database: str | None = None, password: str = "") -> str:
        """On the test's server, as a user."""
        settings = self.postgres.partition("?")[2]
        return f"postgresql://{user}:{password}@/{database or self.database}?{settings}"

    def environment(self, **more: Any) -> dict[str, Any]:
        """Catalog, registry and pgvector in one database; documents and index files in a folder."""
        url = self.url(self.writer, password="${env:WRITER_PASSWORD}")
        return {
            "lake": {"catalog": url, "data": str(self.folder / "data")}, "registry": url,
            "targets": {"local": {"kind": "pgvector", "url": url}},
            "provision": {
                "admin": self.url("postgres", "postgres"), "reader": self.reader, "reader_password": "${env:READER_PASSWORD}",
            },
            **more,
        }  # fmt: skip


Work = Callable[..., Provisioning]


@pytest.fixture
def place(tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    import psycopg
    from psycopg import sql

    for name, value in PASSWORDS.items():
        monkeypatch.setenv(name, value)
    made = Place(tmp_path / "project", postgres)
    yield made
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(made.database)))
        for role in (made.reader, made.writer):
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Work]:
    """Opens a project of one environment; closed afterwards."""
    with ExitStack() as stack:

        def open_(environment: dict[str, Any], folder: Path | None = None, **dataset: object) -> Provisioning:
            file = write(folder or tmp_path / "project", {"prod": environment}, pages=2, **dataset)
            return stack.enter_context(Provisioning.load(file))

        yield open_


@pytest.fixture(scope="session")
def pinecone() -> Iterator[PineconeServer]:
    with pinecone_server() as running:
        yield running


@pytest.fixture
def cloud(pinecone: PineconeServer) -> Callable[..., dict[str, Any]]:
    """A Pinecone target with a prefix of its own."""

    def target(**more: Any) -> dict[str, Any]:
        number = next(_NUMBERS)
        return {
            "kind": "pinecone", "index": f"prov{number}", "api_key": f"${{env:{KEY_VARIABLE}}}", "host": pinecone.url,
            "retry_s": 5, **more,
        }  # fmt: skip

    return target


def actions(plan: ProvisionPlan) -> dict[str, str]:
    """What is done about each kind of thing; the worst where there are several."""
    order = ("exists", "unknown", "create", "change", "differs")
    found: dict[str, str] = {}
    for one in plan.things:
        found[one.kind] = max(found.get(one.kind, "exists"), str(one.action), key=order.index)
    return found
