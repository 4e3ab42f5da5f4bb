"""Samples of versions: what is in them, and that nothing but contents decides it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.verify.given_vectors import Part, VectorWorld, directions
from vector_pipeline.hashing import content_hash
from vector_pipeline.verify import sampling
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.sampling import VectorSample, sample_vectors

KEPT, NEW, OLD = directions(60, 8, 1), directions(20, 8, 2), directions(10, 8, 3)
SMALL = {"sample": 100}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VectorWorld]:
    made = VectorWorld(tmp_path)
    yield made
    made.close()


def rows(sample: VectorSample) -> dict[str, list[float]]:
    assert len(sample.document_ids) == len(sample.shards) == len(sample.vectors) == len(sample)
    assert sample.vectors.dtype == np.float32
    return {name: vector.tolist() for name, vector in zip(sample.document_ids, sample.vectors, strict=True)}


def named(name: str, vectors: np.ndarray) -> dict[str, list[float]]:
    return {f"{name}{n}": vector.tolist() for n, vector in enumerate(vectors)}


def candidate_of(context: GateContext, limit: int) -> VectorSample:
    return sample_vectors(context, context.candidate, limit)


def two_versions(world: VectorWorld) -> GateContext:
    old = world.version(Part("kept", KEPT), Part("old", OLD))
    new = world.version(Part("kept", KEPT), Part("new", NEW))
    return world.context(new, old, embedding_shift=SMALL)


def test_contents_are_told_apart_and_come_with_their_own_vectors(world: VectorWorld) -> None:
    context = two_versions(world)
    assert sampling.shares_vectors(context)
    assert rows(sampling.added(context, 100)) == named("new", NEW)
    assert rows(sampling.removed(context, 100)) == named("old", OLD)
    assert rows(sampling.unchanged(context, 100)) == named("kept", KEPT)
    assert rows(candidate_of(context, 100)) == named("kept", KEPT) | named("new", NEW)
    assert context.production is not None
    sample = sample_vectors(context, context.production, 100)
    assert rows(sample) == named("kept", KEPT) | named("old", OLD)
    assert sample.total == 70


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(world: VectorWorld) -> None:
    context = two_versions(world)
    whole = candidate_of(context, 100)
    for limit in (0, 1, 7, 79):
        part = candidate_of(context, limit)
        assert part.content_hashes == whole.content_hashes[:limit]
        assert part.total == 80
        np.testing.assert_array_equal(part.vectors, whole.vectors[:limit])
    assert sampling.added(world.context(context.version, None, embedding_shift=SMALL), 200).content_hashes == (
        whole.content_hashes
    )


def test_more_than_is_usual_is_drawn_where_it_is_asked_for(world: VectorWorld) -> None:
    big = directions(150, 8, 5)
    context = world.context(world.version(Part("big", big)), None, embedding_shift=SMALL)
    assert len(sampling.added(context, 100)) == 100
    assert rows(sampling.added(context, 150)) == named("big", big)


def test_shards_and_the_order_of_rows_have_no_say(world: VectorWorld) -> None:
    back = np.arange(59, -1, -1)
    one = candidate_of(world.context(world.version(Part("a", KEPT, shards=[n % 4 for n in range(60)]))), 20)
    world.empty()
    other = candidate_of(
        world.context(world.version(Part("a", KEPT[back], shards=[0] * 60, numbers=back.tolist()))), 20
    )
    assert one.document_ids == other.document_ids
    assert one.document_ids != tuple(sorted(one.document_ids))
    np.testing.assert_array_equal(one.vectors, other.vectors)
    assert set(other.shards.tolist()) == {0}


def test_a_content_that_stands_in_many_documents_counts_once(world: VectorWorld) -> None:
    copy = Part("a", KEPT[:2], shards=[3, 3], documents="copy")
    sample = candidate_of(world.context(world.version(Part("a", KEPT[:2], shards=[1, 2]), copy)), 10)
    assert rows(sample) == named("a", KEPT[:2])
    assert sorted(zip(sample.document_ids, sample.shards.tolist(), strict=True)) == [("a0", 1), ("a1", 2)]
    assert sample.total == 2


def test_two_embedders_have_two_vectors_of_one_content(world: VectorWorld) -> None:
    other = directions(60, 12, 9)
    old = world.version(Part("kept", KEPT), Part("old", OLD))
    new = world.version(Part("kept", other), Part("new", directions(20, 12, 4)), space="other")
    context = world.context(new, old, embedding_shift=SMALL)
    assert context.production is not None
    assert not sampling.shares_vectors(context)
    assert rows(sampling.unchanged(context, 100)) == named("kept", other)
    assert rows(sampling.unchanged(context, 100, context.production)) == named("kept", KEPT)
    assert sampling.unchanged(context, 9).content_hashes == (
        sampling.unchanged(context, 9, context.production).content_hashes
    )
    assert rows(sampling.removed(context, 100)) == named("old", OLD)
    assert len(sampling.added(context, 100)) == 20


def test_vectors_that_are_none_are_left_out_and_nulls_are_not_numbers(world: VectorWorld) -> None:
    version = world.version(Part("a", KEPT[:5]))
    table = f"lake.words.{version.embedding_table}"
    key = f"content_hash = '{content_hash('text of a0')}'"
    other = f"content_hash = '{content_hash('text of a1')}'"

    def spoil() -> None:
        world.lake.run(f"UPDATE {table} SET vector = vector[:3] WHERE {key}")
        world.lake.run(
            f"UPDATE {table} SET vector = list_transform(vector, lambda x, i: if(i = 2, NULL, x)) WHERE {other}"
        )

    world.lake.transaction(spoil, "spoil")
    sample = candidate_of(world.context(version), 10)
    assert (len(sample), sample.total) == (4, 5)
    spoiled = sample.vectors[sample.document_ids.index("a1")]
    assert np.isnan(spoiled).tolist() == [False, True, *[False] * 6]


def test_nothing_is_in_a_sample_of_nothing(world: VectorWorld) -> None:
    version = world.version(Part("a", KEPT))
    context = world.context(version, version, embedding_shift=SMALL)
    for sample in (sampling.added(context, 10), sampling.removed(context, 10)):
        assert (len(sample), sample.vectors.shape, sample.total) == (0, (0, 8), 0)
    first = world.context(version)
    assert len(sampling.unchanged(first, 10)) == len(sampling.removed(first, 10)) == 0
