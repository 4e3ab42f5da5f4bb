"""The one file of provisioning that talks to PostgreSQL: who connects where, and what its errors mean.

Laws
----
1. No password is in a statement, a message or a field: roles get the digest that the server would make of it.
2. Statements are each their own transaction (databases cannot be made in one), and made twice they do no harm.
3. Looking writes nothing.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from vector_pipeline.config import SecretTemplate, scrub
from vector_pipeline.errors import ConfigError, NotFoundError, UnavailableError, VectorPipelineError
from vector_pipeline.provision.access import quoted

Connection = psycopg.Connection[Any]
_NO_DATABASE = re.compile(r'database ".*" does not exist')
_NO_ENTRY = re.compile(
    r'role ".*" does not exist|password authentication failed|no password supplied|not permitted to log in|pg_hba\.conf',
    re.I,
)
_THERE_ALREADY = (psycopg.errors.DuplicateObject, psycopg.errors.DuplicateDatabase, psycopg.errors.DuplicateSchema,
                  psycopg.errors.UniqueViolation)  # fmt: skip
_MAINTENANCE = "postgres"


class NoDatabaseError(NotFoundError):
    """The server is there, and the database is not."""


class NoEntryError(ConfigError):
    """The server is there, and lets this user not in: no such role, or another password."""


@dataclass(frozen=True)
class Login:
    """A URL taken apart. ``parts`` hold the password: never shown."""

    template: SecretTemplate

    @property
    def parts(self) -> dict[str, Any]:
        scheme, _, rest = self.template.resolve_url().partition("://")
        if scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise ConfigError(
                f"{self.template} is no address of PostgreSQL", fix="Write postgresql://user@host/database"
            )
        try:
            found = conninfo_to_dict(f"postgresql://{rest}")
        except psycopg.Error:
            # What the library says is not repeated: it may quote a password.
            raise ConfigError(f"{self.template} cannot be read", fix="Write postgresql://user@host/database") from None
        return {key: value for key, value in found.items() if value is not None}

    @property
    def server(self) -> tuple[str, str]:
        """Host and port."""
        parts = self.parts
        return str(parts.get("host") or "localhost"), str(parts.get("port") or 5432)

    @property
    def database(self) -> str:
        parts = self.parts
        return str(parts.get("dbname") or parts.get("user") or _MAINTENANCE)

    @property
    def user(self) -> str:
        return str(self.parts.get("user") or _MAINTENANCE)

    @property
    def password(self) -> str | None:
        return self.parts.get("password") or None

    @property
    def where(self) -> str:
        """For messages: host, port and database."""
        host, port = self.server
        return scrub(f"{host}:{port}/{self.database}", self.template)

    @contextmanager
    def connect(self, database: str | None = None) -> Iterator[Connection]:
        """A connection to a database (default: the URL's own). What goes wrong inside comes out as ours."""
        name = database or self.database
        try:
            connection = psycopg.connect(
                make_conninfo(
                    **{**self.parts, "dbname": name, "connect_timeout": 10, "application_name": "vector-pipeline"}
                ),
                autocommit=True,
            )
        except psycopg.Error as error:
            raise self._told(error, name) from None
        with connection:
            try:
                yield connection
            except psycopg.Error as error:
                raise self._told(error, name) from None

    def eye(self, database: str) -> str:
        """The database to look from: the one itself, or where it is not there, one that always is."""
        for name in (database, _MAINTENANCE):
            try:
                with self.connect(name):
                    return name
            except NoDatabaseError:
                continue
        with self.connect("template1"):
            return "template1"

    def run(self, statement: str, database: str | None = None) -> None:
        """One statement (law 2). ``ConfigError`` names the statement where this user may not."""
        with self.connect(database) as connection:
            self._execute(connection, statement, "do that", statement)

    def make_role(self, name: str, password: str | None) -> None:
        """A role that may log in; one that is there stays as it is. Law 1."""
        with self.connect(_MAINTENANCE) as connection:
            made = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name))
            if password is not None:
                digest = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
                made = sql.SQL("{} PASSWORD {}").format(made, sql.Literal(digest))
            self._execute(connection, made, "make roles", f"CREATE ROLE {quoted(name)} LOGIN")

    def _execute(self, connection: Connection, statement: str | sql.Composed, what: str, shown: str) -> None:
        """``shown``: the statement for people. What is there already is no error (law 2)."""
        try:
            connection.execute(statement)
        except _THERE_ALREADY:
            return
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigError(
                f"{self.where}: {self.user} may not {what}: {self._said(error)}",
                fix=f"As an administrator: {shown}; or name one in `provision: {{admin: …}}`",
            ) from None

    def _told(self, error: psycopg.Error, database: str) -> VectorPipelineError:
        said, where = self._said(error), f"PostgreSQL ({self.where})"
        if error.sqlstate == "3D000" or _NO_DATABASE.search(said):
            return NoDatabaseError(f"{where} has no database {database}", fix="vector-pipeline provision")
        if error.sqlstate in ("28000", "28P01") or (error.sqlstate is None and _NO_ENTRY.search(said)):
            return NoEntryError(
                f"{where} lets {self.user} not in: {said}", fix="Check the user and the password in the URL"
            )
        if error.sqlstate == "42501":
            return ConfigError(
                f"{where}: {said}", fix=f"Grant it to {self.user}, or name an administrator in `provision:`"
            )
        if error.sqlstate is None:
            return UnavailableError(
                f"{where} does not answer: {said}", fix="Check host and port, and that it is running"
            )
        return UnavailableError(f"{where}: {said}", fix="Look at the server's log, then run it again")

    def _said(self, error: psycopg.Error) -> str:
        line = (str(error).strip().splitlines() or [type(error).__name__])[-1 if error.sqlstate is None else 0]
        for noise in ("connection failed: ", "FATAL:  ", "ERROR:  "):
            line = line.replace(noise, "")
        return scrub(line, self.template)


def value(connection: Connection, query: str, *arguments: object) -> Any:
    """The one value of a query; None where there is no row."""
    row = connection.execute(query, arguments).fetchone()
    return None if row is None else row[0]
