"""The conformance suite fails adapters that are wrong: each mistake here is one that a real adapter could make."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import Filter, Match, NamespaceSpec, NamespaceState, Vector, WriteReceipt
from vector_pipeline.targets.filters import All, Any_, AnyOf, Exists, Node, Order, matches, parse_filter
from vector_pipeline.testing import memory_search
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.testing.target_records import Namespace
from vector_pipeline.testing.target_suite import TargetConformance

Meaning = Callable[[Node, Mapping[str, Any]], bool]


def leaf(node: Node, metadata: Mapping[str, Any], test: Meaning) -> bool:
    match node:
        case All(parts):
            return all(leaf(part, metadata, test) for part in parts)
        case Any_(parts):
            return any(leaf(part, metadata, test) for part in parts)
        case _:
            return test(node, metadata)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def elements(metadata: Mapping[str, Any], node: Any) -> list[Any]:
    value = metadata.get(node.field)
    return value if isinstance(value, list) else [value]


def equality(same: Callable[[Any, Any], bool]) -> Meaning:
    def meaning(node: Node, metadata: Mapping[str, Any]) -> bool:
        if not isinstance(node, AnyOf):
            return matches(node, metadata)
        return any(same(one, value) for one in elements(metadata, node) for value in node.values) != node.negated

    return meaning


def plainly(a: Any, b: Any) -> bool:
    return matches(AnyOf("k", (b,)), {"k": a})


def null_exists(node: Node, metadata: Mapping[str, Any]) -> bool:
    return (node.field in metadata) == node.present if isinstance(node, Exists) else matches(node, metadata)


def number_lists_never_match(node: Node, metadata: Mapping[str, Any]) -> bool:
    if isinstance(node, AnyOf) and isinstance(metadata.get(node.field), list):
        metadata = {**metadata, node.field: [one for one in metadata[node.field] if isinstance(one, str)]}
    return matches(node, metadata)


def lists_never_ordered(node: Node, metadata: Mapping[str, Any]) -> bool:
    return not (isinstance(node, Order) and isinstance(metadata.get(node.field), list)) and matches(node, metadata)


def at_most_is_below(node: Node, metadata: Mapping[str, Any]) -> bool:
    if isinstance(node, Order) and node.operator == "lte":
        node = replace(node, operator="lt")
    return matches(node, metadata)


def later_values_ignored(node: Node, metadata: Mapping[str, Any]) -> bool:
    return matches(replace(node, values=node.values[:2]) if isinstance(node, AnyOf) else node, metadata)


FILTERS: dict[str, Meaning] = {
    "true equals 1": equality(
        lambda a, b: a == b if type(a) in (bool, int) and type(b) in (bool, float) else plainly(a, b)
    ),
    "strings ignore case": equality(
        lambda a, b: a.lower() == b.lower() if isinstance(a, str) and isinstance(b, str) else plainly(a, b)
    ),
    "numbers are 32-bit": equality(
        lambda a, b: (
            bool(np.float32(a) == np.float32(b)) if number(a) and number(b) and abs(a) < 1e30 else plainly(a, b)
        )
    ),
    "text equals number": equality(lambda a, b: a == "1" if b == 1.0 and isinstance(a, str) else plainly(a, b)),
    "null exists": null_exists,
    "numbers in lists never match": number_lists_never_match,
    "lists are never ordered": lists_never_ordered,
    "$lte is $lt": at_most_is_below,
    "later values are ignored": later_values_ignored,
}


@pytest.mark.parametrize("mistake", FILTERS)
def test_wrong_filters_are_caught(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_search, "matches", lambda node, metadata: leaf(node, metadata, FILTERS[mistake]))
    with pytest.raises(AssertionError):
        TargetConformance().test_filters_of_every_kind(fresh(MemoryTarget()))


class BytesIgnored(MemoryTarget):
    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        declared = self._capabilities
        self._capabilities = replace(declared, max_batch_bytes=2**60, max_metadata_bytes=None)
        try:
            return super().upsert(namespace, records, fence=fence)
        finally:
            self._capabilities = declared


class TextOfNothing(MemoryTarget):
    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        column = records.schema.get_field_index("text")
        texts = pa.array([text or "" for text in records.column("text").to_pylist()], pa.string())
        return super().upsert(namespace, records.set_column(column, "text", texts), fence=fence)


class MarksBeginAgain(MemoryTarget):
    """As if each namespace counted from nought: what is dropped and made again shows old marks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.counts: dict[str, int] = {}

    def _marked(self, state: NamespaceState) -> NamespaceState:
        return replace(state, mark=f"{self.counts.setdefault(state.spec.name, 0)}")

    def ensure_namespace(self, spec: NamespaceSpec, *, fence: int = 0) -> NamespaceState:
        return self._marked(super().ensure_namespace(spec, fence=fence))

    def describe(self, namespace: str) -> NamespaceState | None:
        state = super().describe(namespace)
        return None if state is None else self._marked(state)

    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        self.counts[namespace] = self.counts.get(namespace, 0) + 1
        return replace(super().upsert(namespace, records, fence=fence), mark=None)

    def drop_namespace(self, namespace: str, *, fence: int = 0) -> None:
        super().drop_namespace(namespace, fence=fence)
        self.counts.pop(namespace, None)


class FiltersAfterwards(MemoryTarget):
    """Takes the nearest 200 and filters those."""

    def query(
        self, namespace: str, vectors: Vector, *, top_k: int, version: int | None = None, filter: Filter | None = None,
        exact: bool = True, include_text: bool = True,
    ) -> list[list[Match]]:  # fmt: skip
        node = None if filter is None else parse_filter(filter)
        found = super().query(namespace, vectors, top_k=max(200, top_k), version=version, include_text=include_text)
        return [[hit for hit in hits if node is None or matches(node, hit.metadata)][:top_k] for hits in found]


class LessThanDeclared(MemoryTarget):
    def upsert(self, namespace: str, records: pa.Table, *, fence: int = 0) -> WriteReceipt:
        if records.num_rows > 400:
            raise InputError("too many records")
        return super().upsert(namespace, records, fence=fence)


class TopKIsLess(MemoryTarget):
    def query(self, namespace: str, vectors: Vector, *, top_k: int, **options: Any) -> list[list[Match]]:  # type: ignore[override]
        if top_k > 9_000:
            raise InputError("too many hits")
        return super().query(namespace, vectors, top_k=top_k, **options)


ADAPTERS: dict[str, tuple[MemoryTarget, str]] = {
    "bytes of a batch are not counted": (
        BytesIgnored(max_batch_bytes=200_000), "test_a_batch_of_too_many_bytes_is_refused_whole",
    ),
    "bytes of metadata are not counted": (BytesIgnored(max_metadata_bytes=4_000), "test_metadata_to_the_last_byte"),
    "no text becomes an empty one": (TextOfNothing(), "test_no_text_is_no_text"),
    "marks begin again": (MarksBeginAgain(), "test_marks_are_never_used_again"),
    "filters come after the top k": (FiltersAfterwards(), "test_filters_come_before_any_over_fetch"),
    "a smaller batch than declared": (LessThanDeclared(), "test_a_full_batch_is_taken"),
    "a smaller top k than declared": (TopKIsLess(), "test_the_largest_top_k"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", ADAPTERS)
def test_wrong_adapters_are_caught(mistake: str) -> None:
    target, law = ADAPTERS[mistake]
    with pytest.raises((AssertionError, InputError, pytest.fail.Exception)):
        getattr(TargetConformance(), law)(fresh(target))


def fresh(target: MemoryTarget) -> Namespace:
    space = Namespace(target)
    space.create()
    return space
