"""User metadata as Chroma holds it; ``decoding`` reads it.

Laws
----
1. What Chroma gives back as it was is held natively, under its own keys; where any of it would come back otherwise, the exact JSON
   stands beside it in ``vp_metadata``.
2. Native numbers are for Chroma's own users: Chroma hands floats on as JSON and reads them back with an error in the last digit.
   Our filters compare ``vp_number:<key>``, of lists ``vp_largest:<key>`` and ``vp_smallest:<key>``: 64-bit floats as whole numbers
   in the same order.
3. What else ``where`` could not tell has tokens in ``vp_tokens``: every key that is there, and every element of every list.
4. A write replaces: Chroma merges metadata, so keys that a record had and shall not keep are set to None, which removes them.
"""

import json
import math
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from vector_pipeline.targets.base import RESERVED_PREFIX

TOKENS = f"{RESERVED_PREFIX}tokens"
EXACT = f"{RESERVED_PREFIX}metadata"
_NUMBER, OTHER_KEY = f"{RESERVED_PREFIX}number:", f"{RESERVED_PREFIX}key:"
_LARGEST, _SMALLEST = f"{RESERVED_PREFIX}largest:", f"{RESERVED_PREFIX}smallest:"
_USERS = (_NUMBER, OTHER_KEY, _LARGEST, _SMALLEST)
_EXACT_INTEGERS = 2**53
_EXACT_POWER = 22
"""serde_json, with which Chroma reads numbers, is exact up to these."""

_dumps = json.JSONEncoder(ensure_ascii=False).encode
"""``json.dumps`` would make an encoder each time: a listing asks for tokens of every record."""

Native = dict[str, Any]
"""Metadata of one record as Chroma takes it."""


def native_key(key: str) -> str:
    """The key under which Chroma holds a user's key: its own, unless Chroma refuses it or reads it otherwise."""
    return OTHER_KEY + key if not key or key[0] in "$#" or key.startswith("chroma:") else key


def number_key(key: str) -> str:
    return _NUMBER + key


def largest_key(key: str) -> str:
    return _LARGEST + key


def smallest_key(key: str) -> str:
    return _SMALLEST + key


def whole(number: float) -> int:
    """A 64-bit float as a whole number in the same order: its bits, mirrored below zero."""
    bits: int = struct.unpack("<q", struct.pack("<d", number + 0.0))[0]
    return bits if bits >= 0 else -(bits + 2**63)


def token(key: str, *value: Any) -> str:
    """Of a key that is there, or of one value that is under it. Numbers are 64-bit floats, whatever they look like."""
    return _dumps([key, *(whole(_float(one)) if _is_number(one) else [one] for one in value)])


def list_token(key: str) -> str:
    """Of a key under which there is a list."""
    return _dumps([key, []])


def encode_metadata(text: str) -> Native:
    """A JSON object of user metadata as Chroma's."""
    return encode_value(from_json(text), text)


def encode_value(metadata: Mapping[str, Any], text: str) -> Native:
    """The same of metadata that is a value already; ``text``: its JSON."""
    native: Native = {}
    tokens: list[str] = []
    exact = True
    for key, value in metadata.items():
        if value is None:
            exact = False
            continue
        tokens.append(token(key))
        name, held = native_key(key), _held(value)
        exact = exact and name == key and held is not None and _comes_back(held, value)
        if held is not None:
            native[name] = held
        if isinstance(value, list):
            tokens += [list_token(key), *(token(key, one) for one in value if isinstance(one, str | int | float))]
            numbers = [_float(one) for one in value if _is_number(one)]
            if numbers:
                native[largest_key(key)], native[smallest_key(key)] = whole(max(numbers)), whole(min(numbers))
        elif _is_number(value):
            native[number_key(key)] = whole(_float(value))
    if tokens:
        native[TOKENS] = list(dict.fromkeys(tokens))
    if not exact:
        native[EXACT] = text
    return native


def _held(value: Any) -> Any:
    """What Chroma holds for a value; None where it holds nothing."""
    if isinstance(value, str | bool):
        return value
    if not isinstance(value, list):
        return _number(value)
    if all(isinstance(one, str) for one in value) or all(isinstance(one, bool) for one in value):
        return value or None
    numbers = [number for one in value if (number := _number(one)) is not None]
    if len(numbers) < len(value):
        return None
    return numbers if len({type(one) for one in numbers}) == 1 else [float(one) for one in numbers]


def _number(value: Any) -> int | float | None:
    """A number as Chroma holds it; None for what is no number, or is beyond 64-bit floats."""
    if not _is_number(value):
        return None
    if isinstance(value, int) and abs(value) <= _EXACT_INTEGERS:
        return value
    number = _float(value)
    return number if math.isfinite(number) else None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _comes_back(held: Any, value: Any) -> bool:
    """Whether Chroma gives back the value from what it holds (law 2)."""
    if isinstance(value, list):
        return all(_comes_back(*pair) for pair in zip(held, value, strict=True))
    if type(held) is not type(value) or repr(held) != repr(value):
        return False
    if not isinstance(value, float):
        return True
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    return (
        int("".join(map(str, digits))) <= _EXACT_INTEGERS
        and isinstance(exponent, int)
        and abs(exponent) <= _EXACT_POWER
        and repr(value) != "-0.0"
    )


def is_users(key: str) -> bool:
    """Whether a native key is there because of user metadata."""
    return not key.startswith(RESERVED_PREFIX) or key in (TOKENS, EXACT) or key.startswith(_USERS)


def replacing(new: Native, old: Mapping[str, Any] | None) -> Native:
    """The new metadata, and None for every key that a record had before and shall not keep."""
    return new if not old else {**dict.fromkeys(old.keys() - new.keys()), **new}


def replacing_users(new: Native, old: Mapping[str, Any]) -> Native:
    """New user metadata; marks and whatever else is ours stay."""
    theirs = {key for key in old if is_users(key)}
    return {**dict.fromkeys(theirs - new.keys()), **new}
