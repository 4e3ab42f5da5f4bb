"""What a database's error means: repeat, or one line in our own words. Knows the codes of SQLite and of PostgreSQL."""

import sqlite3

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, StatementError

from vector_pipeline.config import scrub
from vector_pipeline.errors import ConflictError, CorruptError, InputError, UnavailableError, VectorPipelineError

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_UNIQUE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
_SQLITE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# serialization_failure, deadlock_detected, lock_not_available; unique_violation
_POSTGRES_CONFLICT = {"40001", "40P01", "55P03"}
_POSTGRES_UNIQUE = "23505"


def own_error(error: SQLAlchemyError, where: str, url: str) -> VectorPipelineError:
    """The error of ours for one of SQLAlchemy's. ``where``: ``url`` without its passwords, which are cut from any
    text.
    """
    cause = getattr(error, "orig", None) or error
    reason = scrub(str(cause), url)
    if _is_conflict(error):
        return ConflictError(f"others kept the registry {where} busy for long", fix="repeat the command")
    if isinstance(error, DataError) or (not isinstance(error, DBAPIError) and isinstance(error, StatementError)):
        return InputError(f"the registry cannot hold a value: {reason}")
    if _sqlite_code(error) in _SQLITE_DAMAGED:
        return CorruptError(f"the registry {where} is damaged: {reason}", fix="restore it from a backup")
    fix = "check the URL and the server"
    if "does not exist" in reason:  # In PostgreSQL's words, of a role or a database: a refused login has no SQLSTATE.
        fix += "; what is not made yet is made by: vector-pipeline provision"
    return UnavailableError(f"the registry {where} does not answer: {reason}", fix=fix)


def _sqlite_code(error: BaseException) -> int:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code if code in _SQLITE_UNIQUE else code & 0xFF


def _is_conflict(error: BaseException) -> bool:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return (
        _sqlite_code(error) in _SQLITE_BUSY | _SQLITE_UNIQUE or state in _POSTGRES_CONFLICT or state == _POSTGRES_UNIQUE
    )


def did_not_happen(error: BaseException) -> bool:
    # A lost connection reaches this only from before the commit: law 3.
    return isinstance(error, DBAPIError) and (_is_conflict(error) or error.connection_invalidated)
