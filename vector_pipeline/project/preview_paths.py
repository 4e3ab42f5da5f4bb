"""Which datasets a change of files concerns: for a repository of several teams, where a pull request builds what it touches.

Laws
----
1. A dataset is concerned by its documents (what its source's patterns match), by files that its configuration names (canaries,
   golden texts, queries, judgements, suites, a folder of a model), and by the configuration file, where its own part, or what all
   datasets share, has changed.
2. Where that cannot be told it is concerned: better one preview too many than a change that nobody looked at. A source that is no
   file (a bucket, a database) is concerned by no document of the repository.
3. Whoever has code of their own (a parser, a component) names it: ``always``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from vector_pipeline.config import Config, DatasetConfig, FileSourceConfig, RecordSourceConfig
from vector_pipeline.config.models import gates_of
from vector_pipeline.corpus.globs import GlobSet


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
        found = {name: list(self._of(name, changed, root.resolve())) for name in self._config.datasets}
        return {name: files for name, files in found.items() if files}

    def _of(self, dataset: str, changed: Sequence[str], root: Path) -> Iterator[str]:
        settings = self._config.datasets[dataset]
        named = self._named(settings)
        for one in changed:
            path = (root / PurePosixPath(one)).resolve()
            if (
                (path == self._file and self._configured_anew(dataset))
                or self._is_document(settings, path)
                or any(path == file or path.is_relative_to(file) for file in named)
                or (self._always is not None and self._always.matches(one))
            ):
                yield one

    def _configured_anew(self, dataset: str) -> bool:
        """Laws 1 and 2."""
        now, before = self._config, self._before
        if before is None or dataset not in before.datasets:
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
