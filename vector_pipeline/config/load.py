"""Read ``vector_pipeline.yaml``: every mistake is one line with file, line number and what to do."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from vector_pipeline.config.models import Config
from vector_pipeline.errors import ConfigError

CONFIG_NAME = "vector_pipeline.yaml"
_EXTRA = "extra_forbidden"


def find_config(start: Path | None = None) -> Path:
    """The configuration file: ``$VECTOR_PIPELINE_CONFIG``, else the nearest one in ``start`` or a folder above it."""
    named = os.environ.get("VECTOR_PIPELINE_CONFIG")
    if named and start is None:
        return Path(named)
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    raise ConfigError(f"no {CONFIG_NAME} in {begin} or above", fix="Make one: vector-pipeline init")


def load_config(path: Path) -> Config:
    """Parse and validate. Raises ``ConfigError`` whose message begins ``file:line:``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}", fix="Make one: vector-pipeline init") from None
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not YAML: {error.problem}", fix="Check indentation and quotes there") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: the file must hold a mapping", fix="Begin with `datasets:`")
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(path, tree, error)) from None


def _explain(path: Path, tree: yaml.Node | None, error: ValidationError) -> str:
    """The first mistake in the file's order as one line, and how many more there are."""
    found = sorted(
        ((_line(tree, problem["loc"]), problem) for problem in error.errors(include_input=False, include_url=False)),
        # An unknown key often explains the missing one beside it: name it first.
        key=lambda item: (item[0], item[1]["type"] != _EXTRA),
    )
    line, problem = found[0]
    place = ".".join(str(part) for part in _visible(tree, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == _EXTRA:
        message = f"unknown key{_suggest(problem['loc'])}"
    elif problem["type"] == "missing":
        message = "missing key: add it"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{path}:{line}: {place + ': ' if place else ''}{message}{more}"


def _visible(tree: yaml.Node | None, loc: Sequence[int | str]) -> list[int | str]:
    """The location without pydantic's own steps (names of union members), which stand nowhere in the file."""
    shown: list[int | str] = []
    node = tree
    for index, part in enumerate(loc):
        child = _child(node, part)
        if child is not None:
            node = child
            shown.append(part)
        elif index == len(loc) - 1:
            shown.append(part)
    return shown


def _child(node: yaml.Node | None, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child: yaml.Node = node.value[part]
        return child
    return None


def _line(tree: yaml.Node | None, loc: Sequence[int | str]) -> int:
    """Line (from 1) of the key at ``loc``, or of the nearest thing around it that is in the file."""
    node, line = tree, 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            key = next((key for key, _ in node.value if key.value == part), None)
            if key is not None:
                line = key.start_mark.line + 1
        child = _child(node, part)
        if child is not None:
            if isinstance(node, yaml.SequenceNode):
                line = child.start_mark.line + 1
            node = child
    return line


def _suggest(loc: Sequence[int | str]) -> str:
    """The known key nearest to an unknown one."""
    known = _fields(Config, [part for part in loc[:-1] if isinstance(part, str)])
    close = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Field names of the model that stands at ``path``."""
    current: Any = model
    for part in path:
        models = _models_in(current)
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        tagged = [m for m in models if part in _tags(m)]
        current = fields[0] if fields else (tagged[0] if tagged else current)
    return [name for m in _models_in(current) for name in m.model_fields][:40]


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    kind = model.model_fields.get("kind")
    return tuple(getattr(kind.annotation, "__args__", ())) if kind else ()


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]
