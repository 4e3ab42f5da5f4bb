"""One canary: a fixed query with the documents that it must retrieve, and how a file writes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from vector_pipeline.config.fields import Model
from vector_pipeline.hashing import canonical_json, content_hash
from vector_pipeline.targets.base import Filter

DEEPEST = 1000
"""Most documents that a canary looks at."""
_EXPECT = "write a document's id, or {document: its-id, within: 3}"


def not_blank(query: str) -> str:
    """A question as it is; ``ValueError`` where it asks nothing."""
    if not query.strip():
        raise ValueError("a query must not be blank")
    return query


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
    within: tuple[int | None, ...] = ()
    """For each of ``expect`` the last rank at which it may come (from 1); None, or nothing: ``k``."""
    critical: bool = False
    """It must pass, whatever the share that does."""
    notes: str = ""

    def bound(self, number: int) -> int:
        """The last rank at which the ``number``-th expectation may come."""
        given = self.within[number] if number < len(self.within) else None
        return self.k if given is None else given

    @property
    def depth(self) -> int:
        """Documents that must be seen to judge it."""
        return max([self.k, *(bound for bound in self.within if bound is not None)])


class _ExpectModel(Model):
    document: str = Field(min_length=1)
    within: int | None = Field(default=None, ge=1, le=DEEPEST)


class CanaryEntry(Model):
    """A canary as a file writes it."""

    query: str
    expect: list[_ExpectModel] = Field(default_factory=list)
    match: Literal["any", "all"] = "any"
    k: int = Field(default=5, ge=1, le=DEEPEST)
    forbid: list[str] = Field(default_factory=list)
    filter: dict[str, Any] | None = None
    tags: list[str] = Field(default_factory=list)
    id: str | None = Field(default=None, min_length=1)
    critical: bool = False
    notes: str = ""

    @field_validator("forbid", "tags", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("expect", mode="before")
    @classmethod
    def _documents(cls, value: Any) -> Any:
        if not isinstance(value, list):
            value = [value]
        if any(not isinstance(one, str | dict) for one in value):
            raise ValueError(_EXPECT)
        return [{"document": one} if isinstance(one, str) else one for one in value]

    _asks = field_validator("query")(not_blank)

    @field_validator("filter")
    @classmethod
    def _json(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            canonical_json(value)
        except (TypeError, ValueError):
            raise ValueError("a filter holds strings, numbers, booleans and lists: put dates in quotes") from None
        return value

    @model_validator(mode="after")
    def _judges(self) -> "CanaryEntry":
        if not self.expect and not self.forbid:
            raise ValueError("a canary needs `expect:` (or at least `forbid:`)")
        return self

    def canary(self) -> Canary:
        """Named by its ``id``, or by its query and a digest of what decides its verdict."""
        expect, within = [one.document for one in self.expect], tuple(one.within for one in self.expect)
        slug = re.sub(r"[^a-z0-9]+", "-", self.query.lower()).strip("-")[:40].strip("-")
        digest = content_hash(canonical_json(self._decides(expect, within)))[:6]
        return Canary(
            id=self.id or (f"{slug}-{digest}" if slug else digest), query=self.query, expect=tuple(expect),
            match=self.match, k=self.k, forbid=tuple(self.forbid), filter=self.filter, tags=tuple(self.tags),
            within=within if any(within) else (), critical=self.critical, notes=self.notes,
        )  # fmt: skip

    def _decides(self, expect: list[str], within: tuple[int | None, ...]) -> Mapping[str, Any]:
        """What came later than the first release of this format counts only where it is used: names stay what they were."""
        old = {
            "query": self.query, "expect": expect, "match": self.match, "k": self.k, "forbid": self.forbid,
            "filter": self.filter, "tags": self.tags, "id": self.id,
        }  # fmt: skip
        return old | ({"within": list(within)} if any(within) else {})


def known_keys(location: tuple[Any, ...]) -> str:
    """The keys that are known where a mistake was made."""
    inner = len(location) > 1 and location[0] == "expect"
    return ", ".join((_ExpectModel if inner else CanaryEntry).model_fields)
