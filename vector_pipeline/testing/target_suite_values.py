"""Laws of values: any JSON object survives as it was, and a filter selects what the reference meaning selects."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vector_pipeline.errors import InputError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.filters import All, Any_, Node, Order, matches, parse_filter
from vector_pipeline.testing.filter_table import ROWS, conditions
from vector_pipeline.testing.strategies import PLAIN_TEXTS, filters_of, metadata
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

_ROWS = st.lists(metadata(PLAIN_TEXTS), min_size=1, max_size=5)
# No database of examples: what failed for one adapter says nothing of another, and they share these methods.
_FEW = settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
"""Each example is several requests to a real service. The namespace is emptied of what the one before it wrote."""


def _orders(node: Node) -> set[str]:
    """Fields that a filter orders by."""
    match node:
        case All(parts) | Any_(parts):
            return {field for part in parts for field in _orders(part)}
        case Order(field, _, _):
            return {field}
        case _:
            return set()


def _written(space: Namespace, rows: list[dict[str, Any]]) -> list[str]:
    old = space.ids()
    ids = [f"row#{index}" for index in range(len(rows))]
    space.upsert(make_records(ids, metadata=rows))
    gone = sorted(set(old) - set(ids))
    if gone:
        space.delete(gone)
    return ids


class ValueLaws:
    """Mixed into ``TargetConformance``."""

    @_FEW
    @given(rows=_ROWS)
    def test_metadata_comes_back_as_it_was(self, space: Namespace, rows: list[dict[str, Any]]) -> None:
        ids = _written(space, rows)
        found = space.fetched(ids)
        assert {name: canonical_json(found[name]["metadata"]) for name in ids} == {
            name: canonical_json(row) for name, row in zip(ids, rows, strict=True)
        }

    @_FEW
    @given(data=st.data(), rows=_ROWS)
    def test_filters_select_what_the_reference_does(
        self, space: Namespace, data: st.DataObject, rows: list[dict[str, Any]]
    ) -> None:
        condition = data.draw(filters_of(rows, PLAIN_TEXTS))
        node = parse_filter(condition)
        lists = {key for row in rows for key, value in row.items() if isinstance(value, list)}
        assume(space.target.capabilities.orders_lists or not _orders(node) & lists)
        ids = _written(space, rows)
        found = sorted(space.hits(unit_vectors(1), top_k=100, filter=condition))
        assert found == [name for name, row in zip(ids, rows, strict=True) if matches(node, row)]

    def test_filters_of_every_kind(self, space: Namespace) -> None:
        ids = [f"r#{number:03d}" for number in range(len(ROWS))]
        near = np.repeat(unit_vectors(1), len(ids), axis=0)
        for begin in range(0, len(ids), 25):
            part = slice(begin, begin + 25)
            space.upsert(make_records(ids[part], near[part], metadata=ROWS[part]))
        selected = 0
        for condition in conditions(orders_lists=space.target.capabilities.orders_lists):
            node = parse_filter(condition)
            wanted = [name for name, row in zip(ids, ROWS, strict=True) if matches(node, row)]
            assert sorted(space.hits(near[0], top_k=len(ids), filter=condition)) == wanted, condition
            selected += 0 < len(wanted) < len(ids)
        assert selected > 60

    def test_a_nul_survives_or_is_refused_whole(self, space: Namespace) -> None:
        awkward = {"text": "a\x00b", "k\x00": 1}
        try:
            space.upsert(make_records(["a#1", "b#1"], metadata=[{}, awkward]))
        except InputError:
            assert space.ids() == []
            return
        assert space.fetched(["b#1"])["b#1"]["metadata"] == awkward

    def test_a_record_that_is_too_large_is_refused_whole(self, space: Namespace) -> None:
        limit = space.target.capabilities.max_record_bytes
        if limit is None:
            pytest.skip("records may be as large as they are")
        with pytest.raises(InputError, match=r"b#1.*bytes"):
            space.upsert(make_records(["a#1", "b#1"], metadata=[{}, {"long": "x" * limit}]))
        assert space.ids() == []
