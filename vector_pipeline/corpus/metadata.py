"""Metadata of a document: whatever a format brings, made flat and plain.

Laws
----
1. Values are strings, numbers, booleans or lists of strings. Nested mappings are flattened with dots, nulls are dropped,
   dates become ISO 8601 strings, anything else its text.
2. Keys that begin with ``vp_`` (ours, inside an index) or ``$`` (filter operators) are refused.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from vector_pipeline.corpus.model import Reason
from vector_pipeline.errors import InputError
from vector_pipeline.hashing import canonical_json

RESERVED_PREFIXES = ("vp_", "$")
_MOST_VALUES = 2_000
"""A front matter with more is an accident or an attack (YAML aliases multiply)."""


class ParseError(Exception):
    """Why bytes could not become a document. Caught by ``parsing``; never leaves the corpus."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = " ".join(detail.split())[:500]
        super().__init__(self.detail)


def refuse_reserved(key: str) -> None:
    """Raises ``InputError`` for a key that belongs to the index or to its filters."""
    if key.startswith(RESERVED_PREFIXES):
        raise InputError(f"metadata key {key!r} begins with a reserved prefix", fix="Rename it: vp_ and $ are reserved")


def flatten(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """Plain metadata by law 1. Raises ``ParseError`` (bad-metadata) for reserved keys, cycles and floods."""
    flat: dict[str, Any] = {}
    for count, (key, value) in enumerate(_walk(metadata, "", 0)):
        if count >= _MOST_VALUES:
            raise ParseError(Reason.BAD_METADATA, f"more than {_MOST_VALUES} metadata values: shorten the front matter")
        try:
            refuse_reserved(key)
            canonical_json([key, value]).encode("utf-8")
        except InputError as error:
            raise ParseError(Reason.BAD_METADATA, str(error)) from None
        except UnicodeEncodeError:
            raise ParseError(
                Reason.BAD_METADATA, f"metadata key {key!r} holds half a character: fix its escape"
            ) from None
        flat[key] = value
    return flat


def _walk(metadata: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > 20:
        raise ParseError(Reason.BAD_METADATA, "metadata is nested more than 20 deep: flatten it")
    for raw, value in metadata.items():
        key = f"{prefix}{raw}"
        if isinstance(value, Mapping):
            yield from _walk(value, f"{key}.", depth + 1)
        elif isinstance(value, list | tuple | set | frozenset):
            yield key, _texts(value)
        elif value is not None:
            yield key, _plain(value)


def _texts(values: Any) -> list[str]:
    """A list of strings. Members that are themselves collections are left out of the text, never spelled out: see aliases."""
    members = sorted(values, key=str) if isinstance(values, set | frozenset) else list(values)
    if len(members) > _MOST_VALUES:
        raise ParseError(Reason.BAD_METADATA, f"a metadata list holds more than {_MOST_VALUES} values: shorten it")
    if any(isinstance(member, Mapping | list | tuple | set) for member in members):
        raise ParseError(Reason.BAD_METADATA, "a metadata list holds lists or mappings: only plain values can be kept")
    return [member if isinstance(member, str) else str(_plain(member)) for member in members if member is not None]


def _plain(value: Any) -> str | int | float | bool:
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
