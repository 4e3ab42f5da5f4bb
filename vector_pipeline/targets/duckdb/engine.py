"""One in-memory DuckDB that reads the immutable files of every namespace.

Laws
----
1. An operation works on one ``View``: one manifest with all its files attached (READ_ONLY) from begin to end.
2. A file is detached when no view needs it. An attached file stays readable after it was unlinked.
3. A view follows ``CURRENT``; when a file that it names is gone, ``CURRENT`` is read again. It never waits for a writer.
"""

import re
import shutil
import threading
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from vector_pipeline.errors import CorruptError, InputError, NotFoundError, UnavailableError
from vector_pipeline.lake.extensions import load_extensions, unsigned
from vector_pipeline.lake.whole import WHOLE
from vector_pipeline.targets.duckdb.failures import VanishedError, lost_files, translated
from vector_pipeline.targets.duckdb.folder import Folder
from vector_pipeline.targets.duckdb.manifest import Manifest
from vector_pipeline.targets.stopping import stopped_by

_OPEN_NAMESPACES = 8
_ATTEMPTS = 100
FOUND = 1_024
"""Records of a segment that one statement finds by their places; for more it reads all that lies between them."""
_LEAST = 128_000_000
"""Bytes that DuckDB keeps, whatever is held beside it."""


def quoted(value: str | Path) -> str:
    """An SQL string literal. For our own paths only: values are always bound."""
    return "'" + str(value).replace("'", "''") + "'"


def bytes_in(size: str) -> int:
    """What DuckDB understands by ``2GB`` or ``512 MiB``."""
    match = re.fullmatch(r"([\d.]+)\s*([KMGT]?)(i?)B", size.strip(), re.IGNORECASE)
    if match is None:
        raise InputError(f"{size!r} is no size", fix="A number with a unit: 512MB, 2GB")
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(unit.upper() or " "))


@dataclass(slots=True)
class View:
    """A manifest whose files are attached."""

    folder: Folder
    pointer: str
    manifest: Manifest
    users: int = 0
    retired: bool = False

    def table(self, file: str, table: str) -> str:
        """Qualified name of a table in one of the manifest's files."""
        return f"{alias(file)}.{table}"


def alias(file: str) -> str:
    """Name of an attached file. File names hold a UUID, so the name is unique over all namespaces."""
    return file.removesuffix(".duckdb").replace("-", "_")


class Engine:
    """Connections, attached files and views. Thread-safe."""

    def __init__(self, root: Path, memory_limit: str, *, hnsw: bool) -> None:
        self._root = root
        self._memory_limit = memory_limit
        self.memory = bytes_in(memory_limit)
        """Most that this target may take, DuckDB and what is held beside it; but for HNSW indexes, which come on top: DuckDB
        cannot use one of which a part is missing, and ends the process where it has no room for it."""
        self._hnsw = hnsw
        self._temp = root / f".tmp-{uuid.uuid4().hex}"
        self._lock = threading.RLock()
        self._con: duckdb.DuckDBPyConnection | None = None
        self._closed = False
        self._views: OrderedDict[Path, View] = OrderedDict()
        self._attached: Counter[str] = Counter()
        self._held = 0
        self._graphs: dict[str, int] = {}
        """Bytes of the indexes of attached files."""
        self._making = 0
        """Bytes of indexes that are being made."""

    @contextmanager
    def cursor(self, *, streams: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own for one operation; errors that leave the block are ours. ``streams``: its results are read while
        they are made. Else they are held whole: that is what lets every query end (``lake.whole``).
        """
        with translated(self._root):
            with self._lock:
                cursor = self._connection().cursor()
            try:
                with stopped_by(cursor.interrupt):
                    if not streams:
                        cursor.execute(WHOLE)
                    yield cursor
            finally:
                cursor.close()

    def needs(self, file: str) -> bool:
        """Whether a view has that file."""
        return self._attached[file] > 0

    def leave(self, held: int) -> None:
        """Let DuckDB take what ``held`` bytes leave of the memory. Where it has taken more and needs it, it keeps that for now."""
        self._held = held
        self._bound()

    @contextmanager
    def room(self, graph: int) -> Iterator[None]:
        """While ``graph`` bytes of an index are made; 0: none is."""
        self._make(graph)
        try:
            yield
        finally:
            self._make(-graph)

    def _make(self, graph: int) -> None:
        if graph:
            with self._lock:
                self._making += graph
                self._bound()

    def _bound(self) -> None:
        """Tell DuckDB what it may take. On a cursor of no call: one that has ended must not leave the limit as it was."""
        with self._lock, suppress(duckdb.Error):
            rest = max(self.memory - self._held, min(self.memory, _LEAST)) + self._making + sum(self._graphs.values())
            cursor = self._connection().cursor()
            cursor.execute(f"SET GLOBAL memory_limit = '{rest} B'")
            cursor.close()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise duckdb.ConnectionException("the target is closed")
        if self._con is None:
            con = duckdb.connect(
                config={
                    "memory_limit": self._memory_limit,
                    "temp_directory": str(self._temp),
                    # A compressed vector must be unpacked by every search: three times slower, and no smaller.
                    "force_compression": "uncompressed",
                    # A new file is checkpointed at once: its write-ahead log would only be synced and thrown away.
                    "checkpoint_threshold": "0B",
                    "preserve_insertion_order": False,
                    # Of so many keys a join tells a scan which they are, so that it takes them from an index.
                    "dynamic_or_filter_threshold": FOUND,
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "allow_unsigned_extensions": self._hnsw and unsigned("vss"),
                }
            )
            if self._hnsw:
                load_extensions(con, "vss")
                con.execute("SET GLOBAL hnsw_enable_experimental_persistence = true")
            self._con = con
        return self._con

    @contextmanager
    def view(self, folder: Folder) -> Iterator[View]:
        """The namespace as it is now. ``NotFoundError`` when it does not exist."""
        view = self._acquire(folder)
        try:
            yield view
        except VanishedError as error:  # its files were open: this is something else that is missing
            raise UnavailableError(f"{folder.path}: {error}") from error
        finally:
            with self._lock:
                view.users -= 1
                self._release_if_idle(view)

    def _acquire(self, folder: Folder) -> View:
        for _ in range(_ATTEMPTS):
            pointer = folder.pointer()
            with self._lock:
                if pointer is None:
                    self._retire(folder)
                    raise NotFoundError(f"there is no namespace {folder.path.name} in {folder.path.parent}")
                view = self._views.get(folder.path)
                if view is None or view.pointer != pointer:
                    try:
                        view = self._open(folder, pointer)
                    except VanishedError:
                        if folder.pointer() == pointer:
                            raise lost_files(folder.path) from None
                        continue
                self._views.move_to_end(folder.path)
                view.users += 1
                return view
        raise CorruptError(f"{folder.path}: files vanish faster than they can be opened")

    def _open(self, folder: Folder, pointer: str) -> View:
        manifest = folder.load(pointer)
        opened: list[str] = []
        with self.cursor() as cursor, translated(folder.path):
            try:
                for file, size in manifest.files.items():
                    self._attach(cursor, folder, file, size)
                    opened.append(file)
            except BaseException:
                self._detach(opened)
                raise
            if self._hnsw and manifest.graphs:
                self._graphs |= manifest.graphs
                self._bound()
        self._retire(folder)
        view = self._views[folder.path] = View(folder, pointer, manifest)
        while len(self._views) > _OPEN_NAMESPACES:
            self._retire(next(iter(self._views.values())).folder)
        return view

    def _attach(self, cursor: duckdb.DuckDBPyConnection, folder: Folder, file: str, size: int) -> None:
        if not self._attached[file]:
            path = folder.path / file
            cursor.execute(f"ATTACH {quoted(path)} AS {alias(file)} (READ_ONLY)")
            found = path.stat().st_size if path.exists() else size  # unlinked since: still readable
            if found != size:
                cursor.execute(f"DETACH {alias(file)}")
                raise CorruptError(f"{path} has {found} bytes, its manifest says {size}")
        self._attached[file] += 1

    def _retire(self, folder: Folder) -> None:
        view = self._views.pop(folder.path, None)
        if view is not None:
            view.retired = True
            self._release_if_idle(view)

    def _release_if_idle(self, view: View) -> None:
        if view.retired and view.users == 0 and not self._closed:
            self._detach(view.manifest.files)

    def _detach(self, files: Iterable[str]) -> None:
        for file in files:
            self._attached[file] -= 1
            if not self._attached[file]:
                del self._attached[file]
                with suppress(duckdb.Error):
                    self._connection().execute(f"DETACH {alias(file)}")
                if self._graphs.pop(file, 0):
                    self._bound()

    def close(self) -> None:
        """Release every file. Closing twice is no error."""
        with self._lock:
            self._closed = True
            self._views.clear()
            self._attached.clear()
            if self._con is not None:
                self._con.close()
                self._con = None
            shutil.rmtree(self._temp, ignore_errors=True)
