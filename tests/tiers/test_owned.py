"""A target behind its owner keeps every law of targets, and refuses what is another registry's at whatever verb."""

from dataclasses import replace

import pyarrow as pa
import pytest

from vector_pipeline.errors import RefusedError
from vector_pipeline.release.owned import OwnedTarget
from vector_pipeline.targets.base import Target
from vector_pipeline.testing.memory_store import MemoryStore
from vector_pipeline.testing.memory_target import MemoryTarget
from vector_pipeline.testing.target_records import Namespace, make_derived, make_metadata, make_records
from vector_pipeline.testing.target_suite import TargetConformance

MINE, THEIRS = "1111222233334444/prod", "aaaabbbbccccdddd/dev"
IDS = ["a#1", "b#1"]


class TestOwned(TargetConformance):
    """The whole suite, but for its laws of owners: here everything is somebody's."""

    test_a_namespace_says_whose_it_is = None  # type: ignore[assignment]
    test_no_write_changes_whose_it_is = None  # type: ignore[assignment]
    test_another_writer_of_its_records_leaves_the_owner = None  # type: ignore[assignment]
    test_what_is_nobodys_is_taken_and_what_is_somebodys_is_not = None  # type: ignore[assignment]
    test_the_next_of_its_name_is_its_makers = None  # type: ignore[assignment]

    @pytest.fixture
    def target(self) -> Target:
        return OwnedTarget(MemoryTarget(aliases_namespaces=True), lambda: MINE)


def test_nothing_of_anothers_is_touched() -> None:
    store = MemoryStore()
    theirs = OwnedTarget(MemoryTarget(store=store, aliases_namespaces=True), lambda: THEIRS)
    mine = OwnedTarget(MemoryTarget(store=store, aliases_namespaces=True), lambda: MINE)
    space = Namespace(theirs)
    space.create()
    space.upsert(make_records(IDS))
    theirs.point_alias("live", space.name)
    own = Namespace(mine)
    own.create()
    before, ids = store.get(space.name), pa.array(IDS, pa.string())
    for verb in (
        lambda: mine.ensure_namespace(space.spec),
        lambda: mine.upsert(space.name, make_records(IDS)),
        lambda: mine.set_removed(space.name, ids, 2),
        lambda: mine.derive(space.name, make_derived({"c#1": "a#1"})),
        lambda: mine.set_metadata(space.name, make_metadata({"a#1": {"n": 2}})),
        lambda: mine.delete(space.name, ids),
        lambda: mine.purge(space.name),
        lambda: mine.drop_namespace(space.name),
        lambda: mine.importer(space.spec, "content"),
        lambda: mine.point_alias("mine", space.name),
        lambda: mine.point_alias("live", own.name),
        lambda: mine.drop_alias("live"),
    ):
        with pytest.raises(
            RefusedError, match=r"belongs to another registry, aaaabbbbccccdddd \(environment dev there\)"
        ):
            verb()
    assert store.get(space.name) is before
    assert theirs.native_aliases() == {"live": space.name}


def test_no_line_is_begun_beside_anothers() -> None:
    store = MemoryStore()
    theirs = OwnedTarget(MemoryTarget(store=store), lambda: THEIRS)
    mine = OwnedTarget(MemoryTarget(store=store), lambda: MINE)
    spec = replace(Namespace(theirs).spec, name="handbook--minilm--12345678")
    theirs.ensure_namespace(spec)
    with pytest.raises(
        RefusedError, match=r"namespace handbook--minilm--12345678 of target memory .* belongs to another"
    ):
        mine.ensure_namespace(replace(spec, name=f"{spec.name}--v2"))
    for free in ("handbook--minilm--87654321", "handbook_2--minilm--12345678"):
        assert mine.ensure_namespace(replace(spec, name=free)).spec.owner == MINE
