"""Look a file of canaries over, held against a version: what can never pass, and what was meant otherwise.

Laws
----
1. An error is a canary that cannot do its work: it expects or filters by what the version does not have, or contradicts itself.
2. A warning is what a person should look at: two canaries that ask the same, something forbidden that is not there, too few.
3. Nothing is asked of an index or a model: the lake says what a version has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from vector_pipeline.errors import InputError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import Filter
from vector_pipeline.targets.filters import All, Any_, Node, parse_filter
from vector_pipeline.verify.canaries.file import Canary, CanaryFile, read_canaries
from vector_pipeline.verify.canaries.names import absent, near
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.filtering import condition
from vector_pipeline.verify.intervals import wilson
from vector_pipeline.verify.suggest.log import normal

ENOUGH = 20
"""Fewer canaries prove little."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is wrong, or may be."""

    level: Literal["error", "warning"]
    line: int
    """Where the canary begins in its file."""
    canary: str
    """Its id; empty for the whole file."""
    query: str
    says: str

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "line": self.line, "canary": self.canary, "query": self.query, "says": self.says}


@dataclass(frozen=True, slots=True)
class Looked:
    """A file that was looked over."""

    path: Path
    file: CanaryFile
    version: int
    remarks: tuple[Remark, ...]
    """In the file's order."""

    @property
    def errors(self) -> int:
        return sum(one.level == "error" for one in self.remarks)

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path), "version": self.version, "canaries": len(self.file.canaries), "errors": self.errors,
            "warnings": len(self.remarks) - self.errors, "remarks": [one.to_json() for one in self.remarks],
        }  # fmt: skip


def look_over(context: GateContext, path: Path) -> Looked:
    """Read a file of canaries and hold it against the candidate. ``ConfigError`` where it cannot be read at all."""
    file = read_canaries(path)
    found = [*_of_documents(context, file), *_of_filters(context, file), *_twice(file), *_few(file)]
    return Looked(path, file, context.version.number, tuple(sorted(found, key=lambda one: (one.line, one.level))))


def _of_documents(context: GateContext, file: CanaryFile) -> Iterator[Remark]:
    canaries, version = file.canaries, context.version.number
    gone = absent(
        context.lake, context.candidate.chunks, [one for canary in canaries for one in (*canary.expect, *canary.forbid)]
    )
    like = near(context.lake, context.candidate.chunks, gone)
    for line, canary in zip(file.lines, canaries, strict=True):
        for one in canary.expect:
            if one in gone:
                says = f"expects {one}, which version {version} does not have{_or(like.get(one, []))}"
                spare = canary.match == "any" and any(other not in gone for other in canary.expect)
                yield Remark("warning" if spare else "error", line, canary.id, canary.query, says)
            if one in canary.forbid:
                yield Remark("error", line, canary.id, canary.query, f"both expects and forbids {one}")
        for one in canary.forbid:
            if one in gone:
                says = f"forbids {one}: version {version} has no such document, so it cannot come"
                yield Remark("warning", line, canary.id, canary.query, says)


def _or(like: Sequence[str]) -> str:
    return f": is {' or '.join(like)} meant?" if like else ""


def _of_filters(context: GateContext, file: CanaryFile) -> Iterator[Remark]:
    filtered: dict[str, list[int]] = {}
    for number, canary in enumerate(file.canaries):
        if canary.filter:
            filtered.setdefault(canonical_json(canary.filter), []).append(number)
    if not filtered:
        return
    known = _metadata_keys(context)
    for numbers in filtered.values():
        restriction = file.canaries[numbers[0]].filter
        assert restriction is not None
        says, left = _filter_trouble(context, restriction, known)
        for number in numbers:
            line, canary = file.lines[number], file.canaries[number]
            yield from (Remark("error", line, canary.id, canary.query, one) for one in says)
            if not says:
                yield from _shut_out(canary, line, left)


def _filter_trouble(context: GateContext, restriction: Filter, known: Sequence[str]) -> tuple[list[str], set[str]]:
    """What is wrong with a filter; and the documents that pass it."""
    try:
        keys = _keys(parse_filter(restriction))
    except InputError as error:
        return [error.what], set()
    unknown = sorted(keys - set(known))
    if unknown:
        return [f"its filter asks for {key}, which no record has{_meant(key, known)}" for key in unknown], set()
    where = condition(restriction, "f")
    rows = context.lake.rows(
        f"SELECT DISTINCT document_id FROM {context.candidate.chunks} c WHERE {where.sql}",
        dict(where.parameters),
    )
    left = {str(row[0]) for row in rows}
    return ([] if left else [f"no record of version {context.version.number} passes its filter"]), left


def _shut_out(canary: Canary, line: int, left: set[str]) -> Iterator[Remark]:
    for one in canary.expect:
        if not left & {one} and not any(sign in one for sign in "*?["):
            yield Remark("error", line, canary.id, canary.query, f"expects {one}, which its own filter shuts out")


def _metadata_keys(context: GateContext) -> list[str]:
    return [
        str(row[0])
        for row in context.lake.rows(
            f"""SELECT DISTINCT unnest(json_keys(metadata)) FROM (SELECT DISTINCT metadata FROM {context.candidate.chunks})
                ORDER BY 1"""
        )
    ]


def _keys(node: Node) -> set[str]:
    """Fields that a filter asks for."""
    if isinstance(node, All | Any_):
        return {key for part in node.parts for key in _keys(part)}
    return {node.field}


def _meant(key: str, known: Sequence[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f": is {near[0]} meant?" if near else f"; records have: {', '.join(known) or 'none'}"


def _twice(file: CanaryFile) -> Iterator[Remark]:
    """Canaries that ask the same: each counts, and the question counts twice."""
    seen: dict[str, int] = {}
    for line, canary in zip(file.lines, file.canaries, strict=True):
        name = canonical_json([normal(canary.query), canary.filter])
        if name in seen:
            yield Remark("warning", line, canary.id, canary.query, f"asks the same as the canary on line {seen[name]}")
        else:
            seen[name] = line


def _few(file: CanaryFile) -> Iterator[Remark]:
    count = len(file.canaries)
    if count < ENOUGH:
        low = wilson(count, count).low
        says = f"{count} canaries prove little: all passed, the true rate may still be {low:.0%}; {ENOUGH} or more are better"
        yield Remark("warning", 0, "", "", says)
