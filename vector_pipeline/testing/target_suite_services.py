"""Laws of what services do differently: other hands, several ways of closing, names of their own, read-only clients."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.targets.base import LIVE, Target, WriteReceipt
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

IDS = [f"doc{index % 3}#{index:02d}" for index in range(10)]


class ServiceLaws:
    """Mixed into ``TargetConformance``."""

    def meddle(self, target: Target, namespace: str) -> str | None:
        raise NotImplementedError

    def read_only(self, target: Target) -> Target | None:
        raise NotImplementedError

    def test_another_hand_moves_the_mark(self, space: Namespace) -> None:
        space.upsert(make_records(IDS))
        before = space.mark()
        changed = self.meddle(space.target, space.name)
        if changed is None:
            pytest.skip("nothing writes past this adapter")
        if space.target.capabilities.sees_foreign_writes:
            assert space.mark() != before
        assert changed in IDS

    def test_a_receipt_tells_the_mark_that_follows(self, space: Namespace) -> None:
        writes: list[Callable[[], WriteReceipt]] = [
            lambda: space.upsert(make_records(IDS)),
            lambda: space.set_removed(IDS[:2], 4),
            lambda: space.delete(IDS[:1]),
        ]
        for write in writes:
            receipt = write()
            assert receipt.mark in (None, space.mark())
            assert all(count > 0 for count in receipt.retried.values())

    def test_every_ending_closes_alike(self, space: Namespace) -> None:
        names = [one.name for one in space.target.capabilities.endings] or [""]
        for version, name in enumerate(names, start=4):
            space.upsert(make_records(IDS, metadata=[{"n": index, "l": ["a", 1, None]} for index in range(len(IDS))]))
            before = space.fetched(IDS)
            ids = pa.array([*IDS[:4], "unknown#1"], pa.string())
            receipt = space.target.set_removed(space.name, ids, version, ending=name)
            space.target.wait_until_fresh(space.name, receipt)
            assert space.fetched([*IDS, "unknown#1"]) == {
                one: {**row, "removed_in": version if one in IDS[:4] else LIVE} for one, row in before.items()
            }, name
            assert space.ids() == sorted(IDS), name
            if space.target.capabilities.numeric_filters:
                assert sorted(space.hits(unit_vectors(1), top_k=50, version=version)) == sorted(IDS[4:]), name

    def test_an_ending_that_there_is_not(self, space: Namespace) -> None:
        if not space.target.capabilities.endings:
            pytest.skip("there is one way of closing")
        space.upsert(make_records(IDS[:1]))
        with pytest.raises(InputError, match="by-magic"):
            space.target.set_removed(space.name, pa.array(IDS[:1], pa.string()), 3, ending="by-magic")

    def test_names_of_its_own(self, space: Namespace) -> None:
        target = space.target
        if not target.capabilities.aliases_namespaces:
            with pytest.raises(RefusedError):
                target.point_alias("suite-alias", space.name)
            assert target.native_aliases() == {}
            pytest.skip("namespaces have no other names")
        other = Namespace(target)
        other.create()
        name = f"{space.name}-alias"
        for place in (space, space, other):
            target.point_alias(name, place.name)
            assert target.native_aliases()[name] == place.name
            assert name not in target.namespaces()
        with pytest.raises(NotFoundError):
            target.point_alias(name, "nowhere")
        with pytest.raises(RefusedError, match=name):
            target.drop_namespace(other.name)
        target.drop_alias(name)
        target.drop_alias(name)
        assert name not in target.native_aliases()
        target.drop_namespace(other.name)

    def test_a_read_only_target_writes_nothing(self, space: Namespace) -> None:
        reader = self.read_only(space.target)
        if reader is None:
            pytest.skip("there is no read-only form")
        space.upsert(make_records(IDS))
        ids = pa.array(IDS, pa.string())
        try:
            for call in (
                lambda: reader.upsert(space.name, make_records(IDS)),
                lambda: reader.set_removed(space.name, ids, 3),
                lambda: reader.delete(space.name, ids),
                lambda: reader.drop_namespace(space.name),
                lambda: reader.ensure_namespace(Namespace(space.target).spec),
            ):
                with pytest.raises(RefusedError, match=r"read.only"):
                    call()
            assert len(reader.query(space.name, unit_vectors(1), top_k=100)[0]) == len(IDS)
        finally:
            reader.close()
