"""Read canaries: fixed queries with the documents that they must retrieve.

A YAML file holds a list under ``canaries:``; a ``.jsonl`` file holds one canary a line. Every mistake is one line that
begins with file and line number.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from vector_pipeline.config.fields import Model
from vector_pipeline.errors import ConfigError
from vector_pipeline.hashing import canonical_json, content_hash
from vector_pipeline.targets.base import Filter

_FIX = "Write: canaries: [{query: how do I …, expect: [a-document.md]}]"


@dataclass(frozen=True, slots=True)
class Canary:
    """One fixed query. ``expect`` and ``forbid`` hold document ids, or patterns with ``*``, ``?`` and ``[…]``."""

    id: str
    query: str
    expect: tuple[str, ...]
    match: Literal["any", "all"] = "any"
    k: int = 5
    """Documents (not chunks) that are looked at."""
    forbid: tuple[str, ...] = ()
    filter: Filter | None = None
    tags: tuple[str, ...] = ()


class _CanaryModel(Model):
    query: str
    expect: list[str] = Field(default_factory=list)
    match: Literal["any", "all"] = "any"
    k: int = Field(default=5, ge=1, le=1000)
    forbid: list[str] = Field(default_factory=list)
    filter: dict[str, Any] | None = None
    tags: list[str] = Field(default_factory=list)
    id: str | None = Field(default=None, min_length=1)

    @field_validator("expect", "forbid", "tags", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("query")
    @classmethod
    def _asks(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("a query must not be blank")
        return value

    @field_validator("filter")
    @classmethod
    def _json(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            canonical_json(value)
        except (TypeError, ValueError):
            raise ValueError("a filter holds strings, numbers, booleans and lists: put dates in quotes") from None
        return value

    @model_validator(mode="after")
    def _judges(self) -> "_CanaryModel":
        if not self.expect and not self.forbid:
            raise ValueError("a canary needs `expect:` (or at least `forbid:`)")
        return self

    def canary(self) -> Canary:
        digest = content_hash(canonical_json(self.model_dump(mode="json")))[:6]
        slug = re.sub(r"[^a-z0-9]+", "-", self.query.lower()).strip("-")[:40].strip("-")
        name = self.id or (f"{slug}-{digest}" if slug else digest)
        lists = (tuple(self.expect), self.match, self.k, tuple(self.forbid), self.filter, tuple(self.tags))
        return Canary(name, self.query, *lists)


def load_canaries(path: Path) -> tuple[Canary, ...]:
    """Canaries of a ``.yaml`` or ``.jsonl`` file, in its order. ``ConfigError`` names file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: canaries cannot be read: {reason}", fix="Check `gates: canaries:`") from None
    items = _json_lines(path, text) if path.suffix in (".jsonl", ".ndjson") else _yaml_items(path, text)
    lines: dict[str, int] = {}
    canaries = []
    for line, value, node in items:
        canary = _canary(path, line, value, node)
        if canary.id in lines:
            raise ConfigError(f"{path}:{line}: canary {canary.id} stands on line {lines[canary.id]} too")
        lines[canary.id] = line
        canaries.append(canary)
    if not canaries:
        raise ConfigError(f"{path}:1: the file holds no canary", fix=_FIX)
    return tuple(canaries)


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Any, None]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line), None
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: not JSON: {error}", fix="Put one object on each line") from None


def _yaml_items(path: Path, text: str) -> Iterator[tuple[int, Any, yaml.Node]]:
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(
            f"{path}:{line}: not YAML: {error.problem}", fix="Check indentation and quotes there"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}:1: not YAML: {error}") from None
    if not isinstance(data, dict) or not isinstance(tree, yaml.MappingNode):
        raise ConfigError(f"{path}:1: the file must hold a mapping", fix=_FIX)
    for key, value in tree.value:
        line = key.start_mark.line + 1
        if key.value != "canaries":
            raise ConfigError(f"{path}:{line}: unknown key {key.value}; known here: canaries")
        if not isinstance(value, yaml.SequenceNode):
            raise ConfigError(f"{path}:{line}: canaries must be a list", fix=_FIX)
        for node, item in zip(value.value, data["canaries"], strict=True):
            yield node.start_mark.line + 1, item, node


def _canary(path: Path, line: int, value: Any, node: yaml.Node | None) -> Canary:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:{line}: a canary must be a mapping", fix=_FIX)
    try:
        return _CanaryModel.model_validate(value).canary()
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    key = str(problem["loc"][0]) if problem["loc"] else ""
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = f"unknown key; known here: {', '.join(_CanaryModel.model_fields)}"
    elif problem["type"] == "missing":
        message = "missing key: add it"
    raise ConfigError(f"{path}:{_key_line(node, key, line)}: {key + ': ' if key else ''}{message}")


def _key_line(node: yaml.Node | None, key: str, line: int) -> int:
    """Line of a canary's key, or of the canary where the key is missing."""
    if isinstance(node, yaml.MappingNode):
        return next((name.start_mark.line + 1 for name, _ in node.value if name.value == key), line)
    return line
