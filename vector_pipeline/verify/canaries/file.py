"""Read canaries: fixed queries with the documents that they must retrieve.

A YAML file holds a list under ``canaries:``, and may demand rates of tags under ``pass_rates:``; a ``.jsonl`` file holds one canary
a line, and may hold a line ``{"pass_rates": {…}}``. Every mistake is one line that begins with file and line number.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vector_pipeline.config import GateConfig
from vector_pipeline.config.tree import read_tree
from vector_pipeline.errors import ConfigError
from vector_pipeline.verify.canaries.entry import Canary, CanaryEntry, known_keys

__all__ = ["Canary", "CanaryFile", "canaries_of", "json_values", "load_canaries", "read_canaries"]

_FIX = "Write: canaries: [{query: how do I …, expect: [a-document.md]}]"
_RATES = "pass_rates"


@dataclass(frozen=True, slots=True)
class CanaryFile:
    """What a file of canaries says."""

    canaries: tuple[Canary, ...] = ()
    pass_rates: Mapping[str, float] = field(default_factory=dict)
    """Tag to the share of its canaries that must pass."""
    lines: tuple[int, ...] = ()
    """Where each canary begins."""


@dataclass(frozen=True, slots=True)
class _Item:
    line: int
    value: Any
    node: yaml.Node | None = None
    rates: bool = False
    """These are rates, not a canary."""


def load_canaries(path: Path, *, may_be_empty: bool = False) -> tuple[Canary, ...]:
    """Canaries of a ``.yaml`` or ``.jsonl`` file, in its order. ``ConfigError`` names file and line."""
    return read_canaries(path, may_be_empty=may_be_empty).canaries


def canaries_of(gates: GateConfig, base: Path) -> CanaryFile:
    """What the file holds that ``gates`` name; nothing where they name none. ``base``: folder of the configuration."""
    return read_canaries(base / gates.canaries) if gates.canaries is not None else CanaryFile()


def read_canaries(path: Path, *, may_be_empty: bool = False) -> CanaryFile:
    """A whole ``.yaml`` or ``.jsonl`` file. ``ConfigError`` names file and line, of one without any canary too unless
    ``may_be_empty``: a gate whose questions are gone must not pass.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: canaries cannot be read: {reason}", fix="Check `gates: canaries:`") from None
    return parse_canaries(path, text, may_be_empty=may_be_empty)


def parse_canaries(path: Path, text: str, *, may_be_empty: bool = False) -> CanaryFile:
    """The same of a text that ``path`` holds, or is to hold."""
    text = text.removeprefix("\ufeff")  # Some editors begin every file with it.
    if may_be_empty and not text.strip():
        return CanaryFile()
    items = (
        _json_lines(path, text)
        if path.suffix in (".jsonl", ".ndjson")
        else _yaml_items(path, text, may_be_empty=may_be_empty)
    )
    lines: dict[str, int] = {}
    canaries: list[Canary] = []
    rates: dict[str, tuple[int, float]] = {}
    for item in items:
        if item.rates:
            rates |= _rates(path, item)
            continue
        canary = _canary(path, item.line, item.value, item.node)
        if canary.id in lines:
            raise ConfigError(f"{path}:{item.line}: canary {canary.id} stands on line {lines[canary.id]} too")
        lines[canary.id] = item.line
        canaries.append(canary)
    if not canaries and not may_be_empty:
        raise ConfigError(f"{path}:1: the file holds no canary", fix=_FIX)
    tags = {tag for canary in canaries for tag in canary.tags}
    for tag, (line, _) in rates.items():
        if tag not in tags:
            raise ConfigError(
                f"{path}:{line}: {_RATES}: no canary has the tag {tag}", fix="Check its spelling, or tag some"
            )
    return CanaryFile(tuple(canaries), {tag: rate for tag, (_, rate) in rates.items()}, tuple(lines.values()))


def _rates(path: Path, item: _Item) -> dict[str, tuple[int, float]]:
    """Each rate with its line."""
    if not isinstance(item.value, dict):
        raise ConfigError(
            f"{path}:{item.line}: {_RATES} must be a mapping of tags", fix=f"Write: {_RATES}: {{a-tag: 0.95}}"
        )
    found = {}
    for tag, rate in item.value.items():
        line = _key_line(item.node, str(tag), item.line)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ConfigError(f"{path}:{line}: {_RATES}: {tag} must be a number from 0 to 1", fix="Write 0.95 for 95%")
        found[str(tag)] = (line, float(rate))
    return found


def _json_lines(path: Path, text: str) -> Iterator[_Item]:
    for number, value in json_values(path, text):
        if isinstance(value, dict) and list(value) == [_RATES]:
            yield _Item(number, value[_RATES], rates=True)
        else:
            yield _Item(number, value)


def json_values(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """Each line's number and what stands on it; blank lines are skipped. ``ConfigError`` names file and line."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        yield number, json_value(f"{path}:{number}", line)


def json_value(where: str, line: str) -> Any:
    """What stands on a line. ``ConfigError`` begins with ``where``."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ConfigError(f"{where}: not JSON: {said}", fix="Put one object on each line") from None


def _yaml_items(path: Path, text: str, *, may_be_empty: bool) -> Iterator[_Item]:
    tree, data = read_tree(path, text)
    if not isinstance(data, dict) or not isinstance(tree, yaml.MappingNode):
        raise ConfigError(f"{path}:1: the file must hold a mapping", fix=_FIX)
    for key, value in tree.value:
        line = key.start_mark.line + 1
        if key.value == _RATES:
            yield _Item(line, data[_RATES], value, rates=True)
            continue
        if key.value != "canaries":
            raise ConfigError(f"{path}:{line}: unknown key {key.value}; known here: canaries, {_RATES}")
        if may_be_empty and data["canaries"] is None:
            continue
        if not isinstance(value, yaml.SequenceNode):
            raise ConfigError(f"{path}:{line}: canaries must be a list", fix=_FIX)
        for node, item in zip(value.value, data["canaries"], strict=True):
            yield _Item(node.start_mark.line + 1, item, node)


def _canary(path: Path, line: int, value: Any, node: yaml.Node | None) -> Canary:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:{line}: a canary must be a mapping", fix=_FIX)
    try:
        return CanaryEntry.model_validate(value).canary()
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    key = str(problem["loc"][0]) if problem["loc"] else ""
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        # Below `expect:` the key is that of the expectation.
        key = key if len(problem["loc"]) == 1 else f"{key}: {problem['loc'][-1]}"
        message = f"unknown key; known here: {known_keys(problem['loc'])}"
    elif problem["type"] == "missing":
        message = "missing key: add it"
    at = _key_line(node, key.split(":")[0], line)
    raise ConfigError(f"{path}:{at}: {key + ': ' if key else ''}{message}")


def _key_line(node: yaml.Node | None, key: str, line: int) -> int:
    """Line of a mapping's key, or of the mapping where the key is missing."""
    if isinstance(node, yaml.MappingNode):
        return next((name.start_mark.line + 1 for name, _ in node.value if name.value == key), line)
    return line
