"""Records as Chroma gives them, judged: whoever else can write to a collection can change half of a record.

Laws
----
1. A record is told as its native keys say: those are what Chroma's own users read and ``where`` compares. The exact JSON beside
   them, and the keys that our filters compare, count as long as they say the same.
2. What does not agree with itself has no ``metadata_hash``: an audit sees it in the listing, and a repair writes it again.
3. Where an interval's marks are missing or no numbers, no version sees the record, here as in ``where``, and it has no
   ``content_hash``: nothing of it proves anything, and a repair writes over it.
4. Nothing that Chroma can hold raises here.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from vector_pipeline.targets.base import LIVE, RESERVED_PREFIX
from vector_pipeline.targets.chroma.values import EXACT, OTHER_KEY, TOKENS, encode_value, is_users, native_key

MARKS = ("document_id", "content_hash", "metadata_hash", "space", "added_in", "removed_in")
ADDED, REMOVED = f"{RESERVED_PREFIX}added_in", f"{RESERVED_PREFIX}removed_in"
_NOBODYS = (0, 0)
"""An interval that no version is in."""
_CLOSE = 1e-12
"""Chroma reads floats with an error in the last digits. What our filters compare is compared to the bit (``vp_number:``)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """User metadata of one record."""

    value: dict[str, Any]
    text: str
    """The same as JSON."""
    sound: bool
    """Everything that is held about it agrees."""


def metadata_of(native: Mapping[str, Any]) -> Metadata:
    """User metadata as it was written, or as another hand has left it (law 1)."""
    exact = native.get(EXACT)
    if isinstance(exact, str):
        value = _parsed(exact)
        if value is not None and _agrees(native, value, exact):
            return Metadata(value, exact, sound=True)
    plain = _natively(native)
    text = json.dumps(plain, ensure_ascii=False)
    return Metadata(plain, text, sound=exact is None and _agrees(native, plain, text))


def interval_of(native: Mapping[str, Any]) -> tuple[int, int]:
    """The versions that see the record: from the first number to below the second."""
    added, removed = (_bound(native.get(key)) for key in (ADDED, REMOVED))
    return _NOBODYS if added is None or removed is None else (added, removed)


def _bound(value: Any) -> int | None:
    """Chroma compares numbers of both kinds with each other: a version is on the same side of a float and of its ceiling."""
    if isinstance(value, float) and math.isfinite(value):
        return min(max(math.ceil(value), -LIVE), LIVE)
    return value if type(value) is int else None


def marks_of(native: Mapping[str, Any], metadata: Metadata | None = None) -> dict[str, Any]:
    """Columns of ``MARK_SCHEMA`` but the id. ``metadata``: where that has been read already."""
    found = {name: native.get(f"{RESERVED_PREFIX}{name}") for name in MARKS}
    marks = {name: value if type(value) is str else "" for name, value in found.items()}
    added, removed = interval_of(native)
    if any(type(found[name]) is not int for name in ("added_in", "removed_in")):
        marks["content_hash"] = ""
    if not (metadata_of(native) if metadata is None else metadata).sound:
        marks["metadata_hash"] = ""
    return {**marks, "added_in": added, "removed_in": removed}


def _parsed(text: str) -> dict[str, Any] | None:
    """None for what no write of ours has left there."""
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(value, dict) or any(key.startswith(RESERVED_PREFIX) for key in value):
        return None
    return value


def _natively(native: Mapping[str, Any]) -> dict[str, Any]:
    """What Chroma's own users see, as a strict JSON object."""
    found = {}
    for name, value in native.items():
        key = name.removeprefix(OTHER_KEY)
        if native_key(key) == name and not key.startswith(RESERVED_PREFIX) and value is not None:
            found[key] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Chroma holds more than JSON does: sparse vectors, and numbers that are none."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _agrees(native: Mapping[str, Any], value: Mapping[str, Any], text: str) -> bool:
    """Whether the record holds what a write of this metadata leaves there."""
    wanted = encode_value(value, text)
    found = {key: one for key, one in native.items() if is_users(key) and one is not None}
    for some in (found, wanted):
        if isinstance(tokens := some.get(TOKENS), list):  # in the order of the keys, and Chroma has its own
            some[TOKENS] = sorted(map(str, tokens))
    return found.keys() == wanted.keys() and all(_same(found[key], one) for key, one in wanted.items())


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_same(*pair) for pair in zip(found, wanted, strict=True))
        )
    if type(wanted) is float:
        return type(found) is float and math.isclose(found, wanted, rel_tol=_CLOSE, abs_tol=1e-300)
    return type(found) is type(wanted) and bool(found == wanted)
