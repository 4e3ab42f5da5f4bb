"""The index against the lake: what it finds, and whether its vectors are the lake's; on every adapter."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tests.conftest import MakeProject
from tests.engine.backends import adapters, opener
from tests.verify.vectors import Row, VectorLake
from vector_pipeline.config import GateConfig
from vector_pipeline.targets.base import Target
from vector_pipeline.testing.memory_target import MemoryStore, MemoryTarget
from vector_pipeline.verify import recall
from vector_pipeline.verify.context import Side
from vector_pipeline.verify.outcome import CheckResult, Status
from vector_pipeline.verify.recall import moved
from vector_pipeline.verify.sampling import sample_change

Vectors = npt.NDArray[np.float32]


def random_vectors(count: int, dimension: int = 8, seed: int = 1) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def rows(vectors: Vectors) -> list[Row]:
    return [Row(f"d{number // 2}", f"text {number}", vector) for number, vector in enumerate(vectors)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VectorLake]:
    made = VectorLake(tmp_path)
    yield made
    made.close()


@pytest.fixture
def memory() -> Target:
    return MemoryTarget("local", MemoryStore())


def judged(
    world: VectorLake, side: Side, target: Target, production: Side | None = None, **gates: object
) -> CheckResult:
    return recall.judge(world.context(side, production, gates=GateConfig.model_validate(gates), target=target))


def tamper(world: VectorLake, side: Side, target: Target, change: object) -> None:
    """Write other vectors under the ids that are there, past the pipeline."""
    assert side.deployment is not None
    ids = [name for batch in target.scan(side.deployment.namespace) for name in batch["id"].to_pylist()]
    held = target.fetch(side.deployment.namespace, ids).sort_by("id")
    vectors = np.array(held["vector"].to_pylist(), np.float32)
    column = pa.FixedSizeListArray.from_arrays(change(vectors).astype(np.float32).ravel(), world.dimension)  # type: ignore[operator]
    receipt = target.upsert(side.deployment.namespace, held.set_column(1, "vector", column))
    target.wait_until_fresh(side.deployment.namespace, receipt)


@pytest.mark.parametrize("adapter", adapters())
@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_a_true_index_passes_on_every_adapter(tmp_path: Path, adapter: str, metric: str) -> None:
    world = VectorLake(tmp_path, metric)
    target = opener(adapter, tmp_path, 200)()
    lengths = np.linspace(0.5, 2, 120, dtype=np.float32)[:, None]
    side = world.push(world.version(rows(random_vectors(120) * lengths)), target)
    result = judged(world, side, target)
    assert result.status is Status.PASSED, result.summary
    assert result.detail["recall"] >= 0.99
    assert (result.detail["compared"], result.detail["wrong"], result.detail["absent"]) == (120, 0, 0)
    (shares,) = result.detail["charts"]
    assert shares["edges"] == pytest.approx([(n - 0.5) / 10 for n in range(12)])
    assert sum(shares["series"]["candidate"]) == result.detail["queries"]
    assert result.detail["wrong_at_most"] == pytest.approx(0.025, abs=0.001)
    tamper(world, side, target, lambda vectors: np.roll(vectors, 1, axis=0))
    assert judged(world, side, target).status is Status.FAILED
    target.close()
    world.close()


def quantised(vectors: Vectors) -> Vectors:
    scale = np.abs(vectors).max(axis=1, keepdims=True) / 127
    result: Vectors = np.round(vectors / scale) * scale
    return result


def one_stale(vectors: Vectors) -> Vectors:
    vectors[7] = -vectors[7]
    return vectors


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda vectors: np.roll(vectors, 1, axis=0), 120),
        (quantised, 120),
        (lambda vectors: vectors.astype(np.float16), 116),
        (one_stale, 1),
        (lambda vectors: vectors * np.float32(1 + 2e-6), 0),
    ],
    ids=["permuted", "int8", "half", "stale", "rounded"],
)
def test_vectors_that_are_not_the_lakes_are_named(
    world: VectorLake, memory: Target, change: object, wrong: int
) -> None:
    side = world.push(world.version(rows(random_vectors(120))), memory)
    tamper(world, side, memory, change)
    result = judged(world, side, memory)
    assert result.detail["wrong"] == wrong
    assert result.status is (Status.FAILED if wrong else Status.PASSED)
    if wrong:
        first = result.examples[0]
        assert first["fault"] == "vector differs"
        assert str(first["document_id"]).startswith("d")
        assert f"{wrong} of 120 vectors are not the lake's" in result.summary


def test_what_this_release_wrote_is_looked_at_however_little_it_is(world: VectorLake, memory: Target) -> None:
    """Three records of nine hundred are new, and stand in the index with each other's vectors."""
    vectors = random_vectors(903)
    old = world.version(rows(vectors)[:900])
    new = world.push(world.version(rows(vectors)), memory)

    def exchanged(held: Vectors) -> Vectors:
        places = [int(np.flatnonzero((held == vector).all(axis=1))[0]) for vector in vectors[900:]]
        held[places] = held[np.roll(places, 1)]
        return held

    tamper(world, new, memory, exchanged)
    result = judged(world, new, memory, old)
    assert (result.status, result.detail["wrong"]) == (Status.FAILED, 3)
    assert {example["document_id"] for example in result.examples if "fault" in example} == {"d450", "d451"}


def test_half_of_the_queries_and_of_the_records_are_of_what_was_added(world: VectorLake, memory: Target) -> None:
    old = world.version(rows(random_vectors(1_000)))
    new = world.push(world.version(rows(random_vectors(1_400))), memory)
    result = judged(world, new, memory, old)
    assert (result.status, result.detail["compared"], result.detail["compared_added"]) == (Status.PASSED, 300, 150)
    few = sample_change(world.context(new, old), 50)
    assert len(few) == 50
    assert sum(int(name[1:]) >= 500 for name in few.document_ids) == 25


def test_records_that_the_index_does_not_find_fail_the_recall(world: VectorLake, memory: Target) -> None:
    side = world.push(world.version(rows(random_vectors(120))), memory)
    assert side.deployment is not None
    ids = sorted(name for batch in memory.scan(side.deployment.namespace) for name in batch["id"].to_pylist())
    memory.delete(side.deployment.namespace, pa.array(ids[:40]))
    result = judged(world, side, memory)
    assert result.status is Status.FAILED
    assert 0.5 < float(result.detail["recall"]) < 0.8
    assert (result.detail["wrong"], result.detail["absent"]) == (0, 40)
    assert result.examples[0]["recall"] < result.detail["recall"]


def test_ties_are_forgiven(world: VectorLake, memory: Target) -> None:
    """Forty records at the same place: which ten of them come is anybody's guess."""
    vectors = np.repeat(random_vectors(3), 40, axis=0)
    side = world.push(world.version(rows(vectors)), memory)
    result = judged(world, side, memory)
    assert (result.status, result.detail["recall"]) == (Status.PASSED, 1.0)


def test_a_version_without_records_has_nothing_to_find(world: VectorLake, memory: Target) -> None:
    result = judged(world, world.push(world.version([]), memory), memory)
    assert (result.status, result.summary) == (Status.PASSED, "version 1 has no vectors to ask with")


@pytest.mark.slow
def test_content_that_came_back_is_looked_for_by_its_prefix(make_project: MakeProject) -> None:
    project = make_project()
    text = (project.base / "documents" / "page3.md").read_text(encoding="utf-8")
    for present in (True, False, True):
        page = project.base / "documents" / "page3.md"
        page.write_text(text, encoding="utf-8") if present else page.unlink()
        project.build("handbook")
        project.push("handbook")
    _, results = project.verify("handbook", only=["index recall"])
    assert results[0].status is Status.PASSED, results[0].summary
    assert (results[0].detail["absent"], results[0].detail["recall"]) == (0, 1.0)


def test_queries_lie_between_texts() -> None:
    vectors = random_vectors(20)
    queries = moved(vectors)
    assert queries.dtype == np.float32
    own = np.argmax(queries @ vectors.T / np.linalg.norm(queries, axis=1, keepdims=True), axis=1)
    assert (own == np.arange(20)).mean() > 0.8
    assert not np.allclose(queries, vectors)
    assert len(moved(np.vstack([vectors, np.zeros((1, 8)), np.full((1, 8), np.nan)]).astype(np.float32))) == 20
