"""The files of a configuration: the one that is named, and those that it includes, each with datasets of its own.

Laws
----
1. An included file has ``datasets:`` and nothing else: environments belong to the file that includes it, as secrets and targets do.
2. Paths in it are relative to its own folder.
3. What is wrong with an included file is its datasets' trouble and nobody else's. A name that stands in two files is nobody's:
   which one is meant is not guessed.
4. What is included lies below the folder of the main file: a pattern that leads out of it is the main file's mistake, a link that
   does is the trouble of the datasets behind it.
"""

import os.path
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from vector_pipeline.config.models import DatasetConfig, EmbedderConfig, RecordSourceConfig
from vector_pipeline.config.people import owners_in
from vector_pipeline.config.tree import read_tree
from vector_pipeline.errors import ConfigError

_WILD = "*?["
_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class BrokenDataset:
    """A dataset whose part of the configuration cannot be used."""

    name: str
    """As it is written; of a file that cannot be read at all, its path from the folder of the main file."""
    reason: str
    """One line: ``file:line: key: what is wrong``."""
    owners: tuple[str, ...]
    """Those that could be read."""
    file: Path
    others: tuple[Path, ...] = ()
    """Further files in which its name stands."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file in which its name stands."""
        return self.file, *self.others


@dataclass(slots=True)
class Piece:
    """One file, and the datasets in it as they are written."""

    path: Path
    tree: yaml.Node | None
    datasets: dict[str, Any] = field(default_factory=dict)


def included(
    main: Path, tree: yaml.Node | None, patterns: list[str]
) -> Iterator[tuple[Path, Piece | list[BrokenDataset]]]:
    """Every file that ``include`` names, in order, each once: its piece, or what is broken by it (law 3). ``tree``: of ``main``.

    ``ConfigError`` for a pattern that cannot be one (law 4).
    """
    for number, pattern in enumerate(patterns):
        wrong = _fault(pattern)
        if wrong is not None:
            where = f"{main}:{_line_of_item(tree, 'include', number)}: include.{number}"
            raise ConfigError(
                f"{where}: {pattern!r} {wrong}", fix="Name files below the folder of this one: */dataset.yaml"
            )
    base, seen = _real(main.parent), {_real(main)}
    for pattern in patterns:
        for path in _matches(main.parent, pattern):
            real = _real(path)
            if real in seen:
                continue
            seen.add(real)
            try:
                yield path, _read(path, real, base)
            except ConfigError as error:
                yield path, _broken_file(path, main.parent, str(error))


def _fault(pattern: str) -> str | None:
    """What is wrong with a pattern, whatever files there are."""
    parts = PurePath(pattern).parts
    if PurePath(pattern).is_absolute():
        return "is an absolute path"
    if ".." in parts:
        return "leads out of this file's folder"
    # Whether pathlib takes such a pattern depends on Python's version.
    if any("**" in part and part != "**" for part in parts):
        return "has ** beside other letters: it stands for whole folders, alone between slashes"
    return "is no path" if "\0" in pattern else None


def _real(path: Path) -> Path:
    """With links followed; of a link that leads to itself the path, where ``Path.resolve`` would raise."""
    return Path(os.path.realpath(path))


def _matches(base: Path, pattern: str) -> list[Path]:
    if not any(mark in pattern for mark in _WILD):
        return [base / pattern]
    return sorted(path for path in base.glob(pattern) if path.is_file())


def _read(path: Path, real: Path, base: Path) -> Piece:
    if not real.is_relative_to(base):
        raise ConfigError(f"{path} is a link out of {base}", fix="Put the file itself there")
    tree, data = read_tree(path, _text(path))
    if not isinstance(data, dict) or not isinstance(data.get("datasets"), dict):
        raise ConfigError(f"{path}:1: an included file must hold a mapping `datasets:`", fix="Begin with `datasets:`")
    unknown = next((key for key in data if key != "datasets"), None)
    if unknown is not None:
        line = _line_of(tree, unknown)
        raise ConfigError(
            f"{path}:{line}: {unknown}: an included file has `datasets:` alone",
            fix="Put it into the file that includes this one",
        )
    return Piece(path, tree, {str(name): value for name, value in data["datasets"].items()})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}", fix="Correct `include:`, or the file") from None


def _line_of(tree: yaml.Node | None, name: object) -> int:
    pairs = tree.value if isinstance(tree, yaml.MappingNode) else []
    return next((key.start_mark.line + 1 for key, _ in pairs if key.value == str(name)), 1)


def _line_of_item(tree: yaml.Node | None, name: str, number: int) -> int:
    pairs = tree.value if isinstance(tree, yaml.MappingNode) else []
    items: list[yaml.Node] = next((value.value for key, value in pairs if key.value == name), [])
    return items[number].start_mark.line + 1 if number < len(items) else 1


def _broken_file(path: Path, base: Path, reason: str) -> list[BrokenDataset]:
    """Whose file it is, as far as it can be read: up to the mistake, else its path from ``base``, which no other file has."""
    named = {str(name): value for name, value in _readable(path).items()}
    if not named:
        below = os.fsencode(os.path.relpath(path, base)).decode("utf-8", "backslashreplace")
        return [BrokenDataset(below, reason, (), path)]
    return [BrokenDataset(name, reason, owners_in(value), path) for name, value in named.items()]


def _readable(path: Path) -> Mapping[Any, Any]:
    """Datasets in the beginning of a file: its lines up to where it can be read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    try:
        data = read_tree(path, "\n".join(lines))[1]
    except ConfigError as error:
        found = str(error).removeprefix(f"{path}:").partition(":")[0]
        last = min(int(found), len(lines)) if found.isdecimal() else len(lines)
        data = next((one for end in range(last, 0, -1) if (one := _parsed(path, lines[:end])) is not None), None)
    datasets = data.get("datasets") if isinstance(data, dict) else None
    return datasets if isinstance(datasets, dict) else {}


def _parsed(path: Path, lines: list[str]) -> Any:
    try:
        return read_tree(path, "\n".join(lines))[1]
    except ConfigError:
        return None


def rebased(dataset: DatasetConfig, folder: PurePath) -> DatasetConfig:
    """Law 2: the same dataset, whose relative paths lead from the folder above ``folder`` into it."""
    return dataset if folder == PurePath() else _moved(dataset, folder)


def _moved(model: _M, folder: PurePath) -> _M:
    new: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            new[name] = Path(_joined(folder, str(value)))
        elif isinstance(value, BaseModel):
            new[name] = _moved(value, folder)
        elif isinstance(value, dict):
            new[name] = {key: _moved(one, folder) if isinstance(one, BaseModel) else one for key, one in value.items()}
    if isinstance(model, RecordSourceConfig) and model.path is not None and "://" not in model.path:
        new["path"] = _joined(folder, model.path)
    if isinstance(model, EmbedderConfig) and model.model.startswith(("./", "../")):
        new["model"] = _joined(folder, model.model)
    changed = {name: value for name, value in new.items() if value != getattr(model, name)}
    return model.model_copy(update=changed) if changed else model


def _joined(folder: PurePath, path: str) -> str:
    if PurePath(path).is_absolute() or path.startswith("~"):
        return path
    return os.path.normpath(folder / path)
