"""Laws of ``derive``: records that take all but id, metadata and marks from records that are there."""

import pyarrow as pa
import pytest

from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.targets.base import LIVE, Target
from vector_pipeline.testing.target_records import (
    NOT_STRICT,
    Namespace,
    make_derived,
    make_records,
    unit_vectors,
    with_metadata,
)

IDS = [f"doc{index % 3}#{index:02d}" for index in range(10)]
TAKEN = ("document_id", "content_hash", "space", "text", "vector")


class DeriveLaws:
    """Mixed into ``TargetConformance``."""

    @pytest.fixture
    def deriving(self, target: Target) -> Namespace:
        if not target.capabilities.derives:
            pytest.skip("records are not derived")
        namespace = Namespace(target)
        namespace.create()
        namespace.upsert(make_records(IDS))
        return namespace

    def test_a_derived_record_takes_all_but_what_is_given(self, deriving: Namespace) -> None:
        before = deriving.fetched(IDS)
        new = {f"{name}~4": name for name in IDS[:3]}
        receipt = deriving.derive(make_derived(new, added_in=4, removed_in=9, metadata={"ü": [1, "x"]}))
        assert receipt.records == 3
        found = deriving.fetched([*IDS, *new])
        assert {name: found[name] for name in IDS} == before
        for name, source in new.items():
            assert {key: found[name][key] for key in TAKEN} == {key: before[source][key] for key in TAKEN}
            assert (found[name]["added_in"], found[name]["removed_in"]) == (4, 9)
            assert (found[name]["metadata"], found[name]["metadata_hash"]) == ({"ü": [1, "x"]}, "derived")
        assert deriving.ids() == sorted([*IDS, *new])

    def test_a_closed_record_is_a_source(self, deriving: Namespace) -> None:
        deriving.set_removed(IDS[:1], 3)
        new = f"{IDS[0]}~5"
        deriving.derive(make_derived({new: IDS[0]}, added_in=5))
        found = deriving.fetched([IDS[0], new])
        assert (found[IDS[0]]["removed_in"], found[new]["added_in"], found[new]["removed_in"]) == (3, 5, LIVE)
        assert found[new]["vector"] == found[IDS[0]]["vector"]
        if deriving.target.capabilities.numeric_filters:
            hits = [deriving.hits(unit_vectors(1), top_k=100, version=version) for version in (2, 4, 5)]
            assert [(IDS[0] in seen, new in seen) for seen in hits] == [(True, False), (False, False), (False, True)]

    def test_derive_is_idempotent(self, deriving: Namespace) -> None:
        records = make_derived({f"{name}~2": name for name in IDS}, metadata={"n": 7})
        deriving.derive(records)
        ids = deriving.ids()
        once = deriving.fetched(ids)
        deriving.derive(records)
        assert (deriving.ids(), deriving.fetched(ids)) == (ids, once)
        state = deriving.target.describe(deriving.name)
        assert state is not None
        assert state.records == 2 * len(IDS)

    def test_derive_replaces_a_record(self, deriving: Namespace) -> None:
        source = deriving.fetched([IDS[5]])[IDS[5]]
        deriving.set_removed(IDS[:2], 3)
        deriving.derive(make_derived({IDS[0]: IDS[5], IDS[1]: IDS[1]}, added_in=6, metadata={"new": True}))
        assert deriving.ids() == sorted(IDS)
        found = deriving.fetched(IDS[:2])
        assert {key: found[IDS[0]][key] for key in TAKEN} == {key: source[key] for key in TAKEN}
        assert found[IDS[1]]["text"] == f"text of {IDS[1]}"
        assert {(row["added_in"], row["removed_in"]) for row in found.values()} == {(6, LIVE)}
        assert [row["metadata"] for row in found.values()] == [{"new": True}] * 2

    def test_derived_records_are_found(self, deriving: Namespace) -> None:
        deriving.derive(make_derived({f"{name}~2": name for name in IDS}, metadata={"lang": "de"}))
        assert sorted(deriving.hits(unit_vectors(1), top_k=100, filter={"lang": "de"})) == [
            f"{n}~2" for n in sorted(IDS)
        ]
        deriving.delete(IDS)
        best = deriving.hits(unit_vectors(1), top_k=1)
        assert best == [f"{IDS[0]}~2"]

    def test_an_unknown_source_is_refused_whole(self, deriving: Namespace) -> None:
        mark = deriving.mark()
        with pytest.raises(RefusedError, match="nowhere#1"):
            deriving.derive(make_derived({"new#1": IDS[0], IDS[1]: "nowhere#1", "new#2": IDS[2]}))
        deriving.delete(IDS[3:4])
        after = deriving.mark()
        with pytest.raises(RefusedError, match=IDS[3]):
            deriving.derive(make_derived({"new#1": IDS[3]}))
        assert deriving.ids() == sorted(set(IDS) - {IDS[3]})
        assert (deriving.mark(), mark != after) == (after, True)

    def test_bad_derivations(self, deriving: Namespace) -> None:
        good = make_derived({"new#1": IDS[0], "new#2": IDS[1]})
        marks = good.schema.get_field_index("added_in")
        bad = [
            pa.concat_tables([good, good]),
            make_derived({"naïve": IDS[0]}),
            make_derived({"": IDS[0]}),
            make_derived({"new#1": IDS[0], "new#2": "new#1"}),
            good.drop_columns(["metadata"]),
            good.append_column("text", pa.array(["a", "b"])),
            good.set_column(marks, "added_in", pa.array([-1, 1])),
            good.set_column(marks, "added_in", pa.array([None, 1], pa.int64())),
            *(with_metadata(good, text) for text in NOT_STRICT),
        ]
        for table in bad:
            with pytest.raises(InputError):
                deriving.derive(table)
        assert deriving.ids() == sorted(IDS)

    def test_derive_keeps_the_fence_and_the_limits(self, deriving: Namespace) -> None:
        limits = deriving.target.capabilities
        if limits.max_batch_records <= 200_000:
            many = {f"n#{index}": IDS[0] for index in range(limits.max_batch_records + 1)}
            with pytest.raises(InputError):
                deriving.derive(make_derived(many))
        assert deriving.derive(make_derived({})).records == 0
        if limits.fencing:
            deriving.derive(make_derived({"new#1": IDS[0]}), fence=4)
            with pytest.raises(ConflictError):
                deriving.derive(make_derived({"new#2": IDS[0]}), fence=3)
            with pytest.raises(ConflictError):
                deriving.upsert(make_records(["new#2"]), fence=3)
            assert deriving.ids() == sorted([*IDS, "new#1"])

    def test_derive_needs_its_namespace(self, deriving: Namespace) -> None:
        with pytest.raises(NotFoundError):
            Namespace(deriving.target).derive(make_derived({"new#1": IDS[0]}))
