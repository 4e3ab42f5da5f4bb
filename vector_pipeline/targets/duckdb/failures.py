"""The border of DuckDB and of the file system: their errors become ours here, and nowhere else in this package."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from vector_pipeline.corpus.streams import told
from vector_pipeline.errors import CorruptError, UnavailableError, VectorPipelineError

_BROKEN = ("not a valid duckdb", "could not read enough bytes", "checksum", "corrupt", "no magic bytes")


class VanishedError(Exception):
    """A file of an older manifest is gone: compaction or a drop was faster. Reload and try again; never leaves the package."""


@contextmanager
def translated(where: Path) -> Iterator[None]:
    """Errors of DuckDB and the file system that come out of the block, as errors of ours that name ``where``."""
    try:
        yield
    except duckdb.Error as error:
        raise _from_duckdb(error, where) from error
    except MemoryError as error:
        raise _out_of_memory(where) from error
    except OSError as error:
        said = told(error)
        raise (unavailable(where, error) if said is None else _from_duckdb(said, where)) from error


def unavailable(where: Path, error: OSError) -> UnavailableError:
    """A file system that does not do what it must, as an error that names the path."""
    reason = error.strerror or type(error).__name__
    return UnavailableError(
        f"{error.filename or where}: {reason}", fix="Check the folder, its permissions and free space"
    )


def lost_files(where: Path) -> CorruptError:
    """A namespace whose state names files that are not there."""
    return CorruptError(f"{where} lacks files that its state names", fix="Drop the namespace and push it again")


def _out_of_memory(where: Path) -> UnavailableError:
    return UnavailableError(f"{where}: out of memory", fix="Raise the target's memory_limit or send smaller batches")


def _from_duckdb(error: duckdb.Error, where: Path) -> VectorPipelineError | VanishedError:
    message = str(error).splitlines()[0] if str(error) else type(error).__name__
    lowered = message.lower()
    if isinstance(error, duckdb.OutOfMemoryException):
        return _out_of_memory(where)
    if "database does not exist" in lowered or "no such file" in lowered:
        return VanishedError(message)
    if isinstance(error, duckdb.InterruptException):
        return UnavailableError(f"{where}: the question was stopped: nobody waits for it any more", kind="timeout")
    if isinstance(error, duckdb.SerializationException) or any(sign in lowered for sign in _BROKEN):
        return CorruptError(f"{where}: {message}", fix="Drop the namespace and push it again")
    if isinstance(error, duckdb.ConnectionException) and "closed" in lowered:
        return UnavailableError(f"{where}: the target is closed")
    return UnavailableError(f"{where}: {message}")
