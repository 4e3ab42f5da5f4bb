"""Documents from files. Listing costs one stat a file; a file is read only if asked for, parsed only if its bytes changed."""

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from vector_pipeline.config import FileSourceConfig
from vector_pipeline.corpus.globs import GlobSet, Position
from vector_pipeline.corpus.model import Item, Parsed, Seen
from vector_pipeline.corpus.reading import Reading, unreadable
from vector_pipeline.errors import ConfigError, UnavailableError

_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


class FileSource:
    """Files below a folder. ``base`` is the folder of the configuration file."""

    def __init__(self, config: FileSourceConfig, base: Path) -> None:
        self.config = config
        self.root = base / config.root.expanduser()
        self._reading = Reading(config.max_file_size)
        self._include = GlobSet(config.include)
        self._exclude = GlobSet(config.exclude, hidden=True)

    def list(self) -> Iterator[Item]:
        """Every file that matches, in the order of its path.

        Raises ``ConfigError`` where root is no folder, ``UnavailableError`` where a folder cannot be read: leaving it out
        would look like a mass deletion.
        """
        if not self.root.is_dir():
            what = "is not a folder" if self.root.exists() else "does not exist"
            raise ConfigError(f"source folder {self.root} {what}", fix="Correct `root:` of the source")
        yield from self._walk(str(self.root), "", self._include.start(), self._exclude.start(), ())

    def is_current(self, item: Item, seen: Seen | None) -> bool:
        """Whether an item needs no reading."""
        return self._reading.is_current(item, seen)

    def parsers(self) -> frozenset[str]:
        """Every ``Seen.parser`` that is current."""
        return self._reading.parsers()

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.root)

    def read(self, items: Iterable[Item], seen: Mapping[str, Seen]) -> Iterator[Parsed]:
        """One outcome for each item, as it is ready; nothing for a file that vanished meanwhile."""
        for item in items:
            parsed = self._read(item, seen.get(item.id))
            if parsed is not None:
                yield parsed

    def _walk(
        self, folder: str, prefix: str, include: Position, exclude: Position, above: tuple[tuple[int, int], ...]
    ) -> Iterator[Item]:
        here = self._identity(folder)
        if here is None or here in above:
            return  # Vanished, or a link back to a folder that contains it.
        for entry in self._scan(folder):
            wanted, unwanted = self._include.step(include, entry.name), self._exclude.step(exclude, entry.name)
            if unwanted.matched:
                continue
            if self._is_folder(entry):
                if wanted.alive:
                    yield from self._walk(entry.path, f"{prefix}{entry.name}/", wanted, unwanted, (*above, here))
            elif wanted.matched:
                item = self._item(entry, f"{prefix}{entry.name}")
                if item is not None:
                    yield item

    @staticmethod
    def _identity(folder: str) -> tuple[int, int] | None:
        try:
            status = Path(folder).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _scan(self, folder: str) -> Sequence[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                # A folder sorts as its path does: `a/b` after `a-b`.
                return sorted(entries, key=lambda entry: entry.name + "/" * self._is_folder(entry))
        except OSError as error:
            if error.errno in _VANISHED:
                return []
            raise UnavailableError(
                f"folder {folder} cannot be read: {error.strerror}",
                fix="Allow it, or name it in `exclude:` of the source",
            ) from None

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_symlink() and not self.config.follow_links:
                return entry.is_dir(follow_symlinks=False)
            return entry.is_dir()
        except OSError:
            return False

    @staticmethod
    def _item(entry: os.DirEntry[str], path: str) -> Item | None:
        try:
            status = entry.stat()
        except OSError:
            return None  # Vanished, or a link to nothing.
        return Item(_id(path), _revision(status)) if stat.S_ISREG(status.st_mode) else None

    def _read(self, item: Item, seen: Seen | None) -> Parsed | None:
        path = self.root / item.id
        try:
            if not os.path.lexists(path):
                return self._bad_name(item)
            with path.open("rb") as file:
                # Of the open file, before its bytes: a change while reading is seen next time.
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return None
                if not self._reading.is_read(item.id, status.st_size):
                    return self._reading.unread(item.id, _revision(status))
                data = file.read()
        except OSError as error:
            if error.errno in _VANISHED:
                return None
            return unreadable(item, f"cannot be read: {error.strerror}; allow it or exclude it")
        return self._reading.parsed(item.id, _revision(status), data, seen)

    def _bad_name(self, item: Item) -> Parsed | None:
        """Quarantine of a file whose name is not UTF-8 (its id is the escaped name); None for one that vanished."""
        raw = _ESCAPE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), item.id)
        if raw == item.id or not os.path.lexists(self.root / raw):
            return None
        return self._reading.bad_name(
            item, "the file's name is not UTF-8, so no document id can be made of it: rename it"
        )


def _revision(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _id(path: str) -> str:
    """The path as valid UTF-8: bytes of a name that are not are escaped as ``\\xff``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
