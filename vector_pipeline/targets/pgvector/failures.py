"""The border of psycopg: its errors become ours here, one line each, with the remedy and without a secret.

Laws
----
1. ``transient`` errors prove that the transaction did not commit, or end before COMMIT was sent: trying again is safe.
2. COMMIT is the one statement whose failure may leave its work behind: see ``Engine``.
"""

import re
from dataclasses import dataclass

import psycopg
from psycopg import sql

from vector_pipeline.config.secrets import SecretTemplate, scrub
from vector_pipeline.errors import ConfigError, CorruptError, InputError, UnavailableError, VectorPipelineError

_LOST = ("57P01", "57P02", "57P03", "57P05", "25P03")
"""The server ends the session, or does not begin one: shutdown, crash, start-up, idleness."""
_AGAIN = {
    "40001": "serialization",
    "40P01": "deadlock",
    "55P03": "lock",
    "53300": "connections",
    "57P03": "starting",
}
_CONNECTING = (
    # What a server says while nobody is logged in has no code, only text.
    (re.compile(r"password authentication failed|no password supplied|fe_sendauth|no pg_hba\.conf entry", re.IGNORECASE),
     "PostgreSQL refuses this user or password", "Check the user and the password that `url` refers to"),
    (re.compile(r'role ".*" does not exist'), "the user does not exist", "Check the user in `url`"),
    (re.compile(r'database ".*" does not exist'), "the database does not exist", "createdb it, or check `url`"),
    (re.compile(r"\bssl\b|certificate", re.IGNORECASE), "", "Check `sslmode` and the certificates in `url`"),
)  # fmt: skip
_UNREACHABLE = "Check host and port in `url`, and that PostgreSQL is running and may be reached from here"
_CHANGED = "Somebody changed the tables: drop the namespace and push it again"


@dataclass(frozen=True, slots=True)
class Border:
    """What messages say of one target."""

    target: str
    where: str
    """Host, port and database: no secret."""
    url: SecretTemplate
    timeout_s: float
    letting_in: str = ""
    """Statements that let the user of ``url`` read; none: not known."""

    def __str__(self) -> str:
        return f"target {self.target} ({self.where})"

    def translated(self, error: psycopg.Error, *, reading: bool = False) -> VectorPipelineError:
        """The error as ours; ``reading``: nothing more was wanted."""
        said = scrub(_first_line(error), self.url)
        code = error.sqlstate
        if code is None:
            return self._without_code(error, said)
        if code == "57014":
            return UnavailableError(
                f"{self}: a statement took longer than {self.timeout_s:g} s", fix="Raise `timeout_s`"
            )
        if code == "55P03":
            return UnavailableError(
                f"{self}: somebody else's transaction holds the table",
                fix="End it (pg_stat_activity), then run the same command again",
            )
        if code in ("28000", "28P01"):
            return ConfigError(f"{self}: {said}", fix="Check the user and the password that `url` refers to")
        if code == "3D000":
            return ConfigError(f"{self}: {said}", fix="createdb it, or check `url`")
        if code == "42501" and reading and self.letting_in:
            return ConfigError(f"{self}: {said}", fix=f"As the tables' owner: {self.letting_in}")
        if code == "42501":
            return ConfigError(f"{self}: {said}", fix="Grant it to the user of `url`, or have its owner do it")
        if code == "25006":
            return ConfigError(f"{self}: {said}", fix="This server only reads: give the primary's address in `url`")
        if code.startswith(("22", "54")):
            return InputError(f"{self}: {said}")
        if code.startswith(("42", "3F", "XX001", "XX002")):
            return CorruptError(f"{self}: {said}", fix=_CHANGED)
        if code.startswith("53"):
            return UnavailableError(f"{self}: {said}", fix="Free space, memory or connections of the server")
        return UnavailableError(f"{self}: {said}")

    def _without_code(self, error: psycopg.Error, said: str) -> VectorPipelineError:
        if isinstance(error, psycopg.DataError):
            return InputError(f"{self}: {said}")
        if not isinstance(error, psycopg.OperationalError):
            return UnavailableError(f"{self}: {said}")
        for pattern, what, fix in _CONNECTING:
            if pattern.search(said):
                return ConfigError(f"{self}: {what or said}", fix=fix)
        return UnavailableError(f"{self}: {said}", fix=_UNREACHABLE)


def letting_in(schema: str, owner: str | None, reader: str) -> str:
    """Statements for the owner: what there is may be read, and what will be made. ``owner`` None: not known."""
    return (
        sql.SQL(
            "GRANT USAGE ON SCHEMA {schema} TO {reader}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader};"
            " ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}"
        )
        .format(
            schema=sql.Identifier(schema),
            owner=sql.Identifier(owner) if owner else sql.SQL("…"),
            reader=sql.SQL("PUBLIC") if reader == "PUBLIC" else sql.Identifier(reader),
        )
        .as_string(None)
    )


def reason_to_retry(error: BaseException) -> str | None:
    """Why the transaction may be tried again, in a word; None where it may not. Never ask about a COMMIT."""
    if not isinstance(error, psycopg.Error):
        return None
    code = error.sqlstate
    if code is None:
        connecting = any(pattern.search(str(error)) for pattern, _, _ in _CONNECTING)
        return "connection" if isinstance(error, psycopg.OperationalError) and not connecting else None
    return _AGAIN.get(code) or ("connection" if code.startswith("08") or code in _LOST else None)


def is_definite(error: psycopg.Error) -> bool:
    """Whether a COMMIT that failed so has surely not landed: the server refused it and the session goes on."""
    code = error.sqlstate
    return code is not None and not code.startswith("08") and code not in _LOST


def _first_line(error: psycopg.Error) -> str:
    text = str(error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    for noise in ("connection failed: ", "FATAL:  ", "ERROR:  "):
        line = line.replace(noise, "")
    return line
