"""Laws of whose a namespace is: kept, told, and changed by nothing but the end of the namespace."""

from dataclasses import replace

import pyarrow as pa
import pytest

from vector_pipeline.targets.base import Target
from vector_pipeline.testing.target_records import Namespace, make_records

IDS = [f"doc{index % 3}#{index:02d}" for index in range(6)]
MINE, THEIRS = "1111222233334444/prod", "aaaabbbbccccdddd/dev"


class OwnerLaws:
    """Mixed into ``TargetConformance``."""

    def reopen(self, target: Target) -> Target | None:
        raise NotImplementedError

    @pytest.fixture
    def owned(self, target: Target) -> Namespace:
        """A fresh namespace that is somebody's."""
        namespace = Namespace(target)
        namespace.spec = replace(namespace.spec, owner=MINE)
        namespace.create()
        return namespace

    def test_a_namespace_says_whose_it_is(self, owned: Namespace, target: Target) -> None:
        assert owner_of(target, owned.name) == MINE
        other = self.reopen(target)
        if other is not None:
            assert owner_of(other, owned.name) == MINE
            other.close()

    def test_no_write_changes_whose_it_is(self, owned: Namespace) -> None:
        owned.upsert(make_records(IDS))
        owned.set_removed(IDS[:2], 3)
        owned.delete(IDS[:1])
        owned.target.purge(owned.name)
        assert owner_of(owned.target, owned.name) == MINE
        assert owned.ids() == sorted(IDS[1:])

    def test_another_writer_of_its_records_leaves_the_owner(self, owned: Namespace, target: Target) -> None:
        other = self.reopen(target)
        if other is None or getattr(other, "read_only", False):
            pytest.skip("nobody else writes to it")
        receipt = other.upsert(owned.name, make_records(IDS))
        other.wait_until_fresh(owned.name, receipt)
        receipt = other.delete(owned.name, pa.array(IDS[:1], pa.string()))
        other.wait_until_fresh(owned.name, receipt)
        assert owner_of(other, owned.name) == MINE
        other.close()
        assert owner_of(target, owned.name) == MINE

    def test_what_is_nobodys_is_taken_and_what_is_somebodys_is_not(self, target: Target) -> None:
        space = Namespace(target)
        space.create()
        space.upsert(make_records(IDS))
        assert owner_of(target, space.name) == ""
        before = space.fetched(IDS)
        for owner in (MINE, THEIRS):
            assert target.ensure_namespace(replace(space.spec, owner=owner)).spec.owner == MINE
            assert owner_of(target, space.name) == MINE
        space.create()  # Whoever says nothing changes nothing.
        assert owner_of(target, space.name) == MINE
        assert space.fetched(IDS) == before
        state = target.describe(space.name)
        assert state is not None
        assert state.records == len(IDS)

    def test_the_next_of_its_name_is_its_makers(self, owned: Namespace) -> None:
        owned.target.drop_namespace(owned.name)
        owned.target.ensure_namespace(replace(owned.spec, owner=THEIRS))
        assert owner_of(owned.target, owned.name) == THEIRS
        owned.target.drop_namespace(owned.name)
        owned.target.ensure_namespace(replace(owned.spec, owner=""))
        assert owner_of(owned.target, owned.name) == ""


def owner_of(target: Target, namespace: str) -> str:
    """As ``describe`` says it."""
    state = target.describe(namespace)
    assert state is not None
    return state.spec.owner
