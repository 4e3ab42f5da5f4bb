"""User metadata as Pinecone can hold it: native keys where its own filters work, the exact JSON and tokens beside them.

Laws
----
1. What is native: strings, booleans, numbers as 64-bit floats, lists of strings. What filters must see and Pinecone cannot hold
   (lists of other things, nested objects) becomes tokens: strings in ``vp_tokens`` that a filter can test for (``conditions``).
2. ``vp_metadata`` holds the original text, only where native keys alone do not give back the same JSON value: with null, nested
   objects, other lists, ``$`` keys, integers beyond 2**53, and floats without a fraction (3.0 comes back as 3).
3. A foreign hand is seen: where native keys are no longer those of ``vp_metadata``, they are believed, not it.

Source: https://docs.pinecone.io/guides/index-data/indexing-overview#metadata-format (November 2026).
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import RESERVED_PREFIX

METADATA, TOKENS = "vp_metadata", "vp_tokens"
_EXACT = 2**53
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Held:
    """A metadata object, taken apart."""

    native: dict[str, Any]
    tokens: list[str]
    whole: bool
    """Native keys alone give back the same JSON value."""


def held(metadata: Mapping[str, Any]) -> Held:
    """How Pinecone holds a metadata object."""
    native: dict[str, Any] = {}
    tokens: set[str] = set()
    whole = True
    for key, value in metadata.items():
        if not key or key[0] == "$":
            # No filter can name such a key.
            whole = False
        elif value.__class__ is str or value.__class__ is bool:
            native[key] = value
        elif isinstance(value, int | float):
            native[key], same = _number(value)
            whole = whole and same
        elif isinstance(value, list) and value and all(one.__class__ is str for one in value):
            native[key] = value
        else:
            whole = False
            tokens.update(_tokens(key, value))
    return Held(native, sorted(tokens), whole)


def text_of(metadata: Mapping[str, Any]) -> str:
    """User metadata as JSON, from what a record holds."""
    native = {key: _back(value) for key, value in metadata.items() if not key.startswith(RESERVED_PREFIX)}
    original = metadata.get(METADATA)
    if not isinstance(original, str):
        return canonical_json(native)
    try:
        value = from_json(original)
    except ValueError:
        return original
    expected = {key: _back(one) for key, one in held(value).native.items()} if isinstance(value, dict) else native
    if expected == native:
        return original
    # Law 3.
    return canonical_json({**{key: one for key, one in value.items() if key not in expected}, **native})


def value_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """User metadata, from what a record holds."""
    if isinstance(metadata.get(METADATA), str):
        value = from_json(text_of(metadata))
        return value if isinstance(value, dict) else {}
    return {key: _back(value) for key, value in metadata.items() if not key.startswith(RESERVED_PREFIX)}


def token(field: str, *value: str | bool | float) -> str:
    """What stands in ``vp_tokens`` for a field that is there, or for one element of it."""
    return canonical_json([field, *(one if isinstance(one, str | bool) else float(one) + 0.0 for one in value)])


def _tokens(field: str, value: Any) -> list[str]:
    """Law 1. A null is a missing field."""
    if value is None:
        return []
    elements = value if isinstance(value, list) else []
    scalars = [one for one in elements if isinstance(one, str | bool) or _finite(one)]
    return [token(field), *(token(field, one) for one in scalars)]


def _number(value: float) -> tuple[int | float, bool]:
    """A number as it is sent, and whether it comes back as it was."""
    if isinstance(value, int):
        return (value, True) if -_EXACT <= value <= _EXACT else (_clipped(value), False)
    return _clipped(value), not value.is_integer() and math.isfinite(value)


def _clipped(value: float) -> float:
    try:
        return max(-_LARGEST, min(_LARGEST, float(value)))
    except OverflowError:
        return _LARGEST if value > 0 else -_LARGEST


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and -_LARGEST <= value <= _LARGEST


def _back(value: Any) -> Any:
    """Numbers without a fraction come back as integers (law 2)."""
    return int(value) if value.__class__ is float and value.is_integer() else value
