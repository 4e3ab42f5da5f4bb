"""Whose a dataset is: owners and tags, by the rules that Dagster has for them.

What is accepted here is accepted there (Dagster 1.13: ``is_valid_owner``, ``normalize_tags(strict=True)``), so that a wrong address
is a line of the file and not a trouble of the code location.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

_ADDRESS = re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Z|a-z]{2,7}\b")
_TEAM = re.compile(r"team:[^\r\n]*\S")
_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_RESERVED = ("dagster/", ".dagster/", "vector_pipeline/")


def _owner(value: str) -> str:
    if not (_ADDRESS.fullmatch(value) or _TEAM.fullmatch(value)):
        raise ValueError(f"an owner is an e-mail address, or team:name: {value!r} is neither")
    return value


def _key(value: str) -> str:
    if not _KEY.fullmatch(value):
        raise ValueError("a tag's name has letters, digits, _, - and ., at most 63; one / may stand after a first part")
    if value.startswith(_RESERVED):
        raise ValueError(f"tags that begin with {value.partition('/')[0]}/ are set by the program")
    return value


def _value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ValueError("a tag's value has letters, digits, _, - and ., at most 63 of them")
    return value


Owner = Annotated[str, AfterValidator(_owner)]
TagKey = Annotated[str, AfterValidator(_key)]
TagValue = Annotated[str, AfterValidator(_value)]


def owners_in(value: object) -> tuple[str, ...]:
    """The owners that a dataset's settings name, as they stand in the file: of one that is wrong otherwise, too."""
    named = value.get("owners") if isinstance(value, dict) else None
    words = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
    return tuple(one for one in words if _ADDRESS.fullmatch(one) or _TEAM.fullmatch(one))
