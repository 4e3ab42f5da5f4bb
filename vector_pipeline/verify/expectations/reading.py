"""Read suites: YAML files beside the configuration, or the defaults that come along. A mistake is one line with file and line."""

import difflib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from vector_pipeline.config import GateConfig
from vector_pipeline.config.tree import read_tree
from vector_pipeline.errors import ConfigError, InputError
from vector_pipeline.verify.expectations.meaning import ARGUMENTS
from vector_pipeline.verify.expectations.suite import (
    METADATA,
    PARAMETER,
    PARAMETERS,
    SEVERITIES,
    Expectation,
    Kind,
    Suite,
)
from vector_pipeline.verify.facts import COLUMNS, TEXT

_KEYS = ("type", "kwargs", "meta", "severity", "description", "notes", "id")
_SUITE_KEYS = ("name", "expectations", "meta", "notes", "id")
_FIX = "Write: - {type: expect_column_values_to_not_be_null, kwargs: {column: document_id}}"
_DEFAULTS = Path(__file__).parent / "defaults"


def suite_of(kind: Kind, gates: GateConfig, base: Path) -> Suite:
    """The dataset's suite: its own file where there is one, else the default. ``ConfigError`` names file and line."""
    path = suite_path(kind, gates, base)
    if path is not None and path.is_file():
        return read_suite(kind, path)
    return default_suite(kind)


def suite_path(kind: Kind, gates: GateConfig, base: Path) -> Path | None:
    """Where a dataset's own suite stands, or would stand; None where no folder is configured."""
    return base / gates.expectations / f"{kind}.yaml" if gates.expectations is not None else None


def default_text(kind: Kind) -> str:
    """The default suite as a file."""
    return (_DEFAULTS / f"{kind}.yaml").read_text(encoding="utf-8")


@lru_cache
def default_suite(kind: Kind) -> Suite:
    """The suite of a dataset that has none of its own."""
    return Suite(kind, tuple(_expectations(kind, _DEFAULTS / f"{kind}.yaml", default_text(kind))))


def read_suite(kind: Kind, path: Path) -> Suite:
    """A suite from a file. ``ConfigError`` names file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: the suite cannot be read: {reason}", fix="Check `gates: expectations:`") from None
    found = tuple(_expectations(kind, path, text))
    if not found:
        raise ConfigError(
            f"{path}:1: the suite holds no expectation", fix=f"{_FIX}; or remove the file: the default suite holds then"
        )
    return Suite(kind, found, path)


def _expectations(kind: Kind, path: Path, text: str) -> Iterator[Expectation]:
    for line, value in _items(path, text):
        where = f"{path}:{line}"
        one = _expectation(where, line, value)
        try:
            check(kind, one)
        except InputError as error:
            raise ConfigError(f"{where}: {one.type}: {error.what}", fix=error.fix) from None
        yield one


def _items(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    tree, data = read_tree(path, text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if isinstance(data, dict) and isinstance(tree, yaml.MappingNode):
        for key, node in tree.value:
            if key.value not in _SUITE_KEYS:
                known = ", ".join(_SUITE_KEYS)
                raise ConfigError(f"{path}:{key.start_mark.line + 1}: unknown key {key.value}; known here: {known}")
            if key.value == "expectations":
                tree, data = node, data["expectations"]
                break
    if data is None:
        return
    if not isinstance(data, list) or not isinstance(tree, yaml.SequenceNode):
        raise ConfigError(f"{path}:1: the file must hold a list of expectations", fix=_FIX)
    for node, item in zip(tree.value, data, strict=True):
        yield node.start_mark.line + 1, item


def _expectation(where: str, line: int, value: Any) -> Expectation:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ConfigError(f"{where}: an expectation must be a mapping with a `type:`", fix=_FIX)
    unknown = [str(key) for key in value if key not in _KEYS]
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]}; known here: {', '.join(_KEYS)}")
    kwargs, meta, severity = value.get("kwargs") or {}, value.get("meta") or {}, value.get("severity", "critical")
    if not isinstance(kwargs, dict) or not isinstance(meta, dict):
        raise ConfigError(f"{where}: kwargs and meta must be mappings", fix=_FIX)
    if severity not in SEVERITIES:
        raise ConfigError(f"{where}: severity must be {', '.join(SEVERITIES[:-1])} or {SEVERITIES[-1]}")
    if isinstance(value.get("description"), str):
        meta = {"description": value["description"], **meta}
    return Expectation(value["type"], kwargs, meta, severity, line)


def check(kind: Kind, one: Expectation) -> None:
    """``InputError`` for what cannot be evaluated over rows of a kind."""
    for parameter in one.parameters():
        if parameter not in PARAMETERS:
            raise InputError(f"unknown {PARAMETER} {parameter}{_near(parameter, PARAMETERS)}")
    for column in one.columns:
        _column(kind, one, column)
    bounds = (one.kwargs.get("min_value"), one.kwargs.get("max_value"))
    numbers = all(bound is None or isinstance(bound, int | float | Mapping) for bound in bounds)
    if one.type in ARGUMENTS and set(one.kwargs) <= {*ARGUMENTS[one.type]} and numbers:
        _arguments(one)
        return
    from vector_pipeline.verify.expectations import engine

    with engine.quiet():
        engine.make(one)


def _column(kind: Kind, one: Expectation, column: str) -> None:
    if column.startswith(METADATA) and column != METADATA and kind != "embeddings":
        return
    if column not in COLUMNS[kind]:
        raise InputError(f"{kind} have no column {column}{_near(column, tuple(COLUMNS[kind]))}")
    if column == TEXT and (one.type not in _TEXTS or len(one.columns) > 1):
        raise InputError(
            "the column text is for lengths, patterns and nulls only", fix="Take chars, content_hash or duplicate"
        )


_TEXTS = (
    "expect_column_values_to_not_be_null", "expect_column_values_to_be_null", "expect_column_value_lengths_to_be_between",
    "expect_column_value_lengths_to_equal", "expect_column_values_to_match_regex", "expect_column_values_to_not_match_regex",
)  # fmt: skip


def _arguments(one: Expectation) -> None:
    """What Great Expectations would say of them, for the types that need not wait for its import."""
    given = {key: value for key, value in one.kwargs.items() if value is not None}
    needed = [
        key
        for key in ("column", "column_list", "value_set", "regex", "value", "type_", "type_list")
        if key in ARGUMENTS[one.type]
    ]
    if missing := [key for key in needed if key not in given]:
        raise InputError(f"{missing[0]} is missing")
    if "min_value" in ARGUMENTS[one.type]:
        bounds = [given.get("min_value"), given.get("max_value")]
        if bounds == [None, None]:
            raise InputError("min_value or max_value is missing")
        if all(isinstance(bound, int | float) for bound in bounds) and bounds[0] > bounds[1]:  # type: ignore[operator]
            raise InputError("min_value is greater than max_value")
    mostly = given.get("mostly", 1)
    if not isinstance(mostly, Mapping) and not (isinstance(mostly, int | float) and 0 <= mostly <= 1):
        raise InputError("mostly must be a share between 0 and 1")
    for key in ("value_set", "type_list", "column_list"):
        if key in given and not isinstance(given[key], list | Mapping):
            raise InputError(f"{key} must be a list")
    for key in ("column", "regex", "type_"):
        if key in given and not isinstance(given[key], str):
            raise InputError(f"{key} must be text")


def _near(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
