"""Which datasets a change of files concerns: for a repository of several teams, where a pull request builds what it touches.

Laws
----
1. A dataset is concerned by its documents (what its source's patterns match), by files that its configuration names (canaries,
   golden texts, queries, judgements, suites, a folder of a model), and by the configuration file, where its own part, or what all
   datasets share, has changed.
2. Where that cannot be told it is concerned: better one preview too many than a change that nobody looked at. A source that is no
   file (a bucket, a database) is concerned by no document of the repository. Which files a dataset has that is not loaded nobody
   knows: every change below the folder of its file concerns it, and every change at all where that file names files elsewhere. So
   what came while it was broken is not passed over as if it were of nobody.
3. Whoever has code of their own (a parser, a component) names it: ``always``.
4. A path is whatever git knows a file by: letters of any alphabet, spaces, quotes, line breaks.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from vector_pipeline.config import Config, DatasetConfig, FileSourceConfig, RecordSourceConfig
from vector_pipeline.config.models import gates_of
from vector_pipeline.corpus.globs import GlobSet

_ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def listed(listing: bytes) -> list[str]:
    """Paths of what ``git diff --name-only`` wrote (law 4): with ``-z`` they end at NUL; else one stands on a line, and git writes
    one with letters outside of ASCII as a quoted string of C.
    """
    lines = (_unquoted(line.removesuffix(b"\r")) for line in listing.split(b"\n"))
    found = listing.split(b"\0") if b"\0" in listing else lines
    return [os.fsdecode(one) for one in found if one.strip()]


def _unquoted(line: bytes) -> bytes:
    # git quotes every name that begins with a quote: one that stands here is its own.
    if len(line) < 2 or not (line.startswith(b'"') and line.endswith(b'"')):
        return line
    return _ESCAPED.sub(lambda found: _LETTERS.get(found[1]) or _byte(found[1]), line[1:-1])


def _byte(escaped: bytes) -> bytes:
    return bytes([int(escaped, 8) & 0xFF]) if len(escaped) == 3 else escaped


def _real(path: Path) -> Path:
    """With links followed; of a link that leads to itself the path, where ``Path.resolve`` would raise."""
    return Path(os.path.realpath(path))


def _leads_out(file: Path) -> bool:
    """Whether a file may name files that do not lie below its folder. Of one that cannot be read nobody knows."""
    try:
        return ".." in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True


class Concerned:
    """Asks of each dataset whether changed files concern it."""

    def __init__(self, file: Path, config: Config, *, before: Config | None = None, always: Sequence[str] = ()) -> None:
        """``file``: of the configuration. ``before``: as it was, None where nobody knows. ``always``: patterns, relative to the
        root.
        """
        self._file, self._base, self._config, self._before = file.resolve(), file.resolve().parent, config, before
        self._always = GlobSet(always) if always else None

    def by(self, changed: Sequence[str], root: Path) -> dict[str, list[str]]:
        """Datasets that are concerned, each with the files that do, in order. ``changed``: paths relative to ``root``."""
        found = {name: list(self._of(name, changed, root.resolve())) for name in self._config.names}
        return {name: files for name, files in found.items() if files}

    def documents(self, dataset: str, changed: Sequence[str], root: Path) -> list[str]:
        """Ids of the dataset's documents that changed files are: of a source of files. Of rows of a file nobody knows."""
        settings = self._config.datasets.get(dataset)
        if settings is None or not isinstance(settings.source, FileSourceConfig):
            return []
        inside = (self._base / settings.source.root).resolve()
        paths = [(root.resolve() / PurePosixPath(one)).resolve() for one in changed]
        return [one.relative_to(inside).as_posix() for one in paths if self._is_document(settings, one)]

    def _of(self, dataset: str, changed: Sequence[str], root: Path) -> Iterator[str]:
        settings = self._config.datasets.get(dataset)
        named = self._named(settings) if settings is not None else list(self._around(dataset))
        own = self._config.file_of(dataset) or self._file
        for one in changed:
            path = _real(root / PurePosixPath(one))
            if (
                (path == self._file and self._configured_anew(dataset))
                or (path == _real(own) != self._file)
                or self._was_included(path)
                or (settings is not None and self._is_document(settings, path))
                or any(path == file or path.is_relative_to(file) for file in named)
                or (self._always is not None and self._always.matches(one))
            ):
                yield one

    def _around(self, dataset: str) -> Iterator[Path]:
        """Law 2: folders in which the files of a dataset lie that is not loaded."""
        held = self._config.broken.get(dataset)
        for file in [self._file] if held is None else held.files:
            folder = _real(file.parent)
            yield Path(folder.anchor) if _real(file) == self._file or _leads_out(file) else folder

    def _was_included(self, path: Path) -> bool:
        """Law 2: a team's file that is gone may have held a name that another one has too, which was not loaded for that."""
        if not self._config.include or not path.is_relative_to(self._base) or os.path.lexists(path):
            return False
        return GlobSet(self._config.include).matches(path.relative_to(self._base).as_posix())

    def _configured_anew(self, dataset: str) -> bool:
        """Laws 1 and 2."""
        now, before = self._config, self._before
        if before is None or dataset not in before.datasets or dataset not in now.datasets:
            return True
        return now.datasets[dataset] != before.datasets[dataset] or now.environments != before.environments

    def _is_document(self, settings: DatasetConfig, path: Path) -> bool:
        source = settings.source
        if isinstance(source, FileSourceConfig):
            root = (self._base / source.root).resolve()
            if not path.is_relative_to(root) or path == root:
                return False
            below = path.relative_to(root).as_posix()
            return GlobSet(source.include).matches(below) and not GlobSet(source.exclude, hidden=True).matches(below)
        if isinstance(source, RecordSourceConfig) and source.path is not None and "://" not in source.path:
            # A glob may stand in any part of it: what is below its fixed beginning counts.
            fixed = PurePosixPath(source.path).parts
            wild = next((at for at, part in enumerate(fixed) if any(mark in part for mark in "*?[{")), None)
            whole = self._base.joinpath(*(fixed if wild is None else fixed[:wild])).resolve()
            return path == whole or (wild is not None and path.is_relative_to(whole))
        return False

    def _named(self, settings: DatasetConfig) -> list[Path]:
        """Files and folders that its configuration names, in whatever environment."""
        found: list[Path] = []
        for environment in self._config.environments.values():
            gates = gates_of(settings, environment)
            found += gates.files()
            if gates.expectations is not None:
                found.append(gates.expectations)
        models = [one.embedder.model for one in settings.spaces.values()]
        found += [Path(model) for model in models if (self._base / model).exists()]
        return [(self._base / one).resolve() for one in found]
