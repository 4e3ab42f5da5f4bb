"""Documents from records: one row, one document. DuckDB reads the files, joins the texts and finds what is wrong.

Laws
----
1. A row that cannot become a document is quarantined and never stops the others: a line that is no JSON, a CSV row with other
   columns, a null or repeated id (the first wins), no text, too much text, HTML too deep to read, a number that JSON has not.
2. What is wrong with the source as a whole is an error: no file, no such column, a query that fails.
3. A user's query runs alone: one SELECT, against its database opened read-only; with ``path`` it cannot touch other files.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape, glob
from pathlib import Path

import duckdb
import pyarrow as pa

from vector_pipeline.config import RecordSourceConfig, scrub
from vector_pipeline.corpus import record_sql as sql
from vector_pipeline.corpus.metadata import refuse_reserved
from vector_pipeline.corpus.model import Reason
from vector_pipeline.corpus.record_csv import csv_relation, csv_types
from vector_pipeline.corpus.record_lines import json_lines
from vector_pipeline.corpus.record_rows import RECORD_ROWS, finished
from vector_pipeline.corpus.streams import next_batch
from vector_pipeline.errors import ConfigError, InputError, UnavailableError, VectorPipelineError
from vector_pipeline.hashing import fingerprint

__all__ = ["CHANGED_ROWS", "RECORD_ROWS", "RecordSource"]

CHANGED_ROWS = RECORD_ROWS.append(pa.field("revision", pa.string(), nullable=False))

_MEMORY = "1GB"
_SHOWN_COLUMNS = 30
_NO_ROOM = f"Rows beyond {_MEMORY} wait in files: is there room for them? TMPDIR names another folder"


class RecordSource:
    """Rows of JSONL, CSV or Parquet files, or of a DuckDB query. ``base`` is the folder of the configuration file.

    Raises ``ConfigError`` for a reserved metadata key.
    """

    def __init__(self, config: RecordSourceConfig, base: Path) -> None:
        self.config = config
        self.base = base
        for column in config.metadata:
            try:
                refuse_reserved(column)
            except InputError as error:
                raise ConfigError(f"source: {error.what}", fix=error.fix) from None

    def revision(self) -> str | None:
        """Name of the files' sizes and times: equal revisions mean equal rows. None for a query: ask it."""
        if self.config.kind == "duckdb":
            return None
        stats = {str(path): (status := path.stat()) and [status.st_size, status.st_mtime_ns] for path in self._files()}
        return fingerprint(stats)

    def batches(self, rows_per_batch: int = 8192) -> Iterator[pa.RecordBatch]:
        """Record batches of ``RECORD_ROWS``, in the order of the source.

        Raises ``ConfigError`` (no file, no such column, a bad query) or ``UnavailableError`` (a file that cannot be read).
        """
        with tempfile.TemporaryDirectory(prefix="vp-records-") as scratch, self._connection(scratch) as connection:
            with _errors(self._describe()):
                connection.execute(sql.CREATE_ROWS)
                self._fill(connection)
                connection.execute(sql.MARK_DUPLICATES)
            for batch in _read(connection, sql.SELECT_ROWS, rows_per_batch, self._describe()):
                yield finished(batch, self.config.media_type)

    @contextmanager
    def compared(self, known: pa.Table, secret: str) -> Iterator["Compared"]:
        """JSON lines against ``known`` [id, revision]: what is listed now, and rows whose line is not as it was. Of others no
        more than the id is parsed. ``secret``: what revisions are made with, beside the line; with another one, every line has
        changed.

        Raises what ``batches`` does.
        """
        with tempfile.TemporaryDirectory(prefix="vp-records-") as scratch, self._connection(scratch) as connection:
            with _errors(self._describe()):
                connection.execute(sql.CREATE_LISTED)
                connection.register("known", known)
                for path in self._files():
                    first = _last(connection, "listed")
                    with _errors(str(path)):
                        connection.register("lines", json_lines(path))
                        connection.execute(sql.list_lines(self.config, "lines", self._place(path), first, secret))
                        connection.unregister("lines")
                connection.execute(sql.MARK_REPEATED)
                connection.execute(sql.CREATE_ROWS)
                connection.execute(sql.insert_changed(self.config))
                connection.execute(sql.MARK_REPEATED_ROWS)
                self._check_json_columns(connection, some=bool(known.num_rows))
            yield Compared(connection, self.config.media_type, self._describe())

    @contextmanager
    def _connection(self, scratch: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as connection:
            connection.execute(f"SET temp_directory = {sql.quoted(scratch)}")
            connection.execute(f"SET memory_limit = '{_MEMORY}'")
            # Times with a zone are written as UTC, whatever the machine's zone; nothing is fetched from a network.
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET autoinstall_known_extensions = false")
            yield connection

    def _fill(self, connection: duckdb.DuckDBPyConnection) -> None:
        if self.config.kind == "duckdb":
            self._fill_from_query(connection)
            return
        for path in self._files():
            first = _last(connection)
            if self.config.kind == "jsonl":
                with _errors(str(path)):
                    connection.register("lines", json_lines(path))
                    connection.execute(sql.insert_lines(self.config, "lines", self._place(path), first))
                    connection.unregister("lines")
            else:
                self._fill_from_table(connection, path, first)
        if self.config.kind == "jsonl":
            self._check_json_columns(connection)

    def _fill_from_table(self, connection: duckdb.DuckDBPyConnection, path: Path, first: int) -> None:
        relation = f"read_parquet({sql.file_name(path)})"
        if self.config.kind == "csv":
            with _errors(str(path)):
                relation, known = csv_relation(path, rejects=True)
                wanted = [column for column in dict.fromkeys(self.config.metadata) if column in known]
                typed = [
                    f"{sql.named(c)}::{t} AS {sql.named(c)}" for c, t in csv_types(connection, path, wanted).items()
                ]
            relation = f"(SELECT * {f'REPLACE ({chr(44).join(typed)})' if typed else ''} FROM {relation})"
        types = self._columns(connection, relation, path)
        with _errors(str(path)):
            connection.execute(sql.insert_table(self.config, relation, types, self._place(path), first))
            if self.config.kind == "csv":
                self._keep_rejects(connection, path)

    def _keep_rejects(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        """Rows that DuckDB could not read, by line."""
        connection.execute(
            f"""INSERT INTO rows
            SELECT {_last(connection)} + row_number() OVER (ORDER BY line), $place || line, NULL, '', '', '{{}}', 0,
                   '{Reason.UNPARSABLE}', 'the line is not a row of this CSV: ' || detail
            FROM (SELECT line, min(split_part(error_message, chr(10), 1)) AS detail FROM reject_errors GROUP BY line)""",
            {"place": f"{self._place(path)}:"},
        )
        connection.execute("DELETE FROM reject_errors")

    def _fill_from_query(self, connection: duckdb.DuckDBPyConnection) -> None:
        query = self._one_select(connection)
        if self.config.path is not None:
            path = self.base / self.config.path
            if not path.is_file():
                raise ConfigError(f"source database {path} does not exist", fix="Correct `path:` of the source")
            connection.execute(f"ATTACH {sql.quoted(str(path))} AS source (READ_ONLY)")
            connection.execute("USE source")
            connection.execute("SET enable_external_access = false")
        else:
            connection.execute(f"SET file_search_path = {sql.quoted(str(self.base))}")
        # As a view, the query may end in a semicolon and comments.
        with _errors(self._describe()):
            connection.execute(f"CREATE TEMP VIEW vp_query AS {query}")
        relation = "vp_query"
        types = self._columns(connection, relation, None)
        connection.execute(sql.insert_table(self.config, relation, types, "query", 0))

    def _one_select(self, connection: duckdb.DuckDBPyConnection) -> str:
        query = self.config.query or ""
        statements = connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise ConfigError("the source's query is not one SELECT", fix="Write one SELECT that returns the rows")
        return query

    def _columns(self, connection: duckdb.DuckDBPyConnection, relation: str, path: Path | None) -> dict[str, str]:
        """Names and types of a relation. Raises ``ConfigError`` where a named column is not among them."""
        with _errors(str(path) if path else self._describe()):
            described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        types = {str(name): str(kind) for name, kind, *_ in described}
        missing = [column for column in sql.columns_of(self.config) if column not in types]
        if missing:
            raise _missing(missing, list(types), str(path) if path else self._describe())
        return types

    def _check_json_columns(self, connection: duckdb.DuckDBPyConnection, *, some: bool = False) -> None:
        """A column that no line has is a mistake; one that some lines lack is null there. ``some``: ``rows`` has not all lines."""
        bits, rows = _one(
            connection,
            f"SELECT bit_or(columns), count(*) FROM rows WHERE reason IS DISTINCT FROM '{Reason.UNPARSABLE}'",
        )
        wanted = sql.columns_of(self.config)
        every = (1 << len(wanted)) - 1
        if not rows or bits == every:
            return
        for path in self._files() if some else ():
            connection.register("lines", json_lines(path))
            bits |= _one(connection, sql.columns_there(self.config, "lines"))[0]
            if bits == every:
                return
        missing = [column for number, column in enumerate(wanted) if not bits & 1 << number]
        connection.register("lines", json_lines(self._files()[0]))
        keys = connection.execute(
            "SELECT DISTINCT unnest(json_keys(CASE WHEN json_valid(body) THEN body END)) FROM (SELECT * FROM lines LIMIT 1000)"
        ).fetchall()
        raise _missing(missing, sorted(str(key) for (key,) in keys), self._describe())

    def _files(self) -> list[Path]:
        # Only what the user wrote is a pattern: the project's folder may be called anything.
        wanted = Path(self.config.path or "").expanduser()
        found = glob(str(Path(escape(str(self.base))) / wanted), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        files = [Path(name) for name in sorted(found) if Path(name).is_file()]
        if not files:
            raise ConfigError(f"source: no file matches {self.base / wanted}", fix="Correct `path:` of the source")
        return files

    def _place(self, path: Path) -> str:
        return path.relative_to(self.base).as_posix() if path.is_relative_to(self.base) else path.as_posix()

    def _describe(self) -> str:
        return "the source's query" if self.config.kind == "duckdb" else str(self.base / (self.config.path or ""))


class Compared:
    """What ``RecordSource.compared`` found; to be read while its block lasts, one stream after the other. Raises what it does."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, media_type: str, where: str) -> None:
        self._connection, self._media_type, self._where = connection, media_type, where

    def listed(self, rows_per_batch: int = 131_072) -> Iterator[pa.RecordBatch]:
        """Batches of [document_id] of every row, whether it changed or not."""
        yield from _read(self._connection, sql.SELECT_LISTED, rows_per_batch, self._where)

    def changed(self, rows_per_batch: int = 8192) -> Iterator[pa.RecordBatch]:
        """Batches of ``RECORD_ROWS`` with their ``revision``, in the order of the source."""
        for batch in _read(self._connection, sql.SELECT_CHANGED, rows_per_batch, self._where):
            rows = finished(batch, self._media_type)
            yield pa.record_batch([*rows.columns, batch.column("revision")], schema=CHANGED_ROWS)


def _missing(missing: list[str], known: list[str], where: str) -> ConfigError:
    shown = ", ".join(known[:_SHOWN_COLUMNS]) + (", …" if len(known) > _SHOWN_COLUMNS else "")
    return ConfigError(f"{where} has no column {', '.join(missing)}", fix=f"Columns there are: {shown or 'none'}")


def _last(connection: duckdb.DuckDBPyConnection, table: str = "rows") -> int:
    return int(_one(connection, f"SELECT coalesce(max(seq), 0) FROM {table}")[0])


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None, "an aggregate gives one row"
    return row


def _read(
    connection: duckdb.DuckDBPyConnection, query: str, rows_per_batch: int, where: str
) -> Iterator[pa.RecordBatch]:
    """A query's batches while it runs. Its errors are told as such, and not those of whoever takes the batches."""
    with _errors(where):
        reader = connection.execute(query).to_arrow_reader(rows_per_batch)
    while True:
        with _errors(where):
            batch = next_batch(reader)
        if batch is None:
            return
        yield batch


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """DuckDB's and the system's errors as one line each."""
    try:
        yield
    except VectorPipelineError:
        raise
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        full = isinstance(error, duckdb.OutOfMemoryException) or "no space left" in what.lower()
        raise UnavailableError(
            f"{where} cannot be read: {scrub(what)}", fix=_NO_ROOM if full else "Check the file and its permissions"
        ) from None
    except (duckdb.Error, pa.ArrowException) as error:
        raise ConfigError(f"{where}: {scrub(str(error).partition(chr(10))[0])}", fix="Correct the source") from None
