"""The gate `embedding shift`: each fault of vectors that it must see, and changes of topics that it must let pass."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.verify.given_vectors import Part, Vectors, VectorWorld, directions
from vector_pipeline.config import EmbedderConfig
from vector_pipeline.embedding.base import Embedder
from vector_pipeline.embedding.factory import open_embedder
from vector_pipeline.embedding.tokens import WordTokens
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.outcome import CheckResult, Status
from vector_pipeline.verify.shift import gate as shift
from vector_pipeline.verify.shift.projection import POINTS, project_map

DOCS = Path(__file__).parents[2] / "docs"
DIMENSION = 64
KEPT, NEW = directions(400, DIMENSION, 1), directions(60, DIMENSION, 2)
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(DIMENSION, DIMENSION)))[0].astype(np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorWorld]:
    made = VectorWorld(tmp_path_factory.mktemp("shift"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(world: VectorWorld) -> Version:
    return world.version(Part("kept", KEPT))


def judged(world: VectorWorld, served: Version | None, *parts: Part, **settings: float) -> CheckResult:
    version = world.version(Part("kept", KEPT), *parts)
    return shift.judge(world.context(version, served, embedding_shift=settings))


def quantised(vectors: Vectors) -> Vectors:
    step = np.abs(vectors).max() / 127
    return (np.round(vectors / step) * step).astype(np.float32)


def collapsed(vectors: Vectors) -> Vectors:
    middle = KEPT[0] + 0.1 * vectors
    return (middle / np.linalg.norm(middle, axis=1, keepdims=True)).astype(np.float32)


FAULTS: dict[str, tuple[Callable[[Vectors], Vectors], str]] = {
    "unrelated": (lambda vectors: vectors @ TURN, "unrelated to production's"),
    "unnormalised": (lambda vectors: 3 * vectors, "lengths of 3 to 3 where production has 1 to 1"),
    "quantised": (quantised, "rounded to few values"),
    "zeros": (lambda vectors: 0 * vectors, "vectors of zeros"),
    "constant": (lambda vectors: np.repeat(vectors[:1], len(vectors), axis=0), "those of other texts too"),
    "collapsed": (collapsed, "nearly equal (cosine 0.9"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("count", [25, 60])
def test_what_is_wrong_with_added_vectors_is_seen_and_named(
    world: VectorWorld, served: Version, fault: str, count: int
) -> None:
    change, says = FAULTS[fault]
    name = f"{fault}{count}x"
    result = judged(world, served, Part(name, change(NEW[:count])))
    assert result.status is Status.FAILED, result.detail
    assert says in result.summary
    assert f"such as of {name}" in result.summary
    assert all(example["document_id"].startswith(name) for example in result.examples)


@pytest.mark.parametrize(
    ("name", "vectors"),
    [
        ("same topics", NEW),
        ("few", NEW[:5]),
        ("one new topic", directions(30, DIMENSION, 5, topics=1, spread=0.5) * 0.9 + 0.3 * KEPT[:30]),
    ],
)
def test_new_documents_pass(world: VectorWorld, served: Version, name: str, vectors: Vectors) -> None:
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    result = judged(world, served, Part(name, vectors))
    assert (result.status, result.examples) == (Status.PASSED, ()), result.summary


def test_a_version_against_itself_passes(world: VectorWorld, served: Version) -> None:
    result = shift.judge(world.context(served, served))
    assert (result.status, result.examples) == (Status.PASSED, ())
    assert (result.detail["centroid_distance"], result.detail["max_ks"], result.detail["energy"]) == (0, 0, 0)
    assert [chart["kind"] for chart in result.detail["charts"]] == ["histogram", "histogram"]
    for chart in result.detail["charts"]:
        assert sum(chart["series"]["production"]) == sum(chart["series"]["candidate"]) == 400


def test_a_fault_in_one_shard_names_the_shard(world: VectorWorld, served: Version) -> None:
    vectors = np.concatenate([NEW, directions(60, DIMENSION, 6)])
    shards = [n % 4 for n in range(120)]
    vectors[np.array(shards) == 2] *= 2
    result = judged(world, served, Part("shardwise", vectors, shards=shards))
    assert "30 of 120 added contents in shards 2, such as of shardwise" in result.summary


@pytest.mark.slow
def test_the_centre_of_everything_may_move_as_far_as_is_tolerated(world: VectorWorld, served: Version) -> None:
    topic = directions(400, DIMENSION, 8, topics=1, spread=0.6)
    result = judged(world, served, Part("flood", topic))
    assert "the centre of all vectors moved by" in result.summary
    assert result.detail["centroid_low"] > 0.25
    assert judged(world, served, Part("flood", topic), max_shift=2).status is Status.PASSED


def test_shards_of_two_models_are_seen_at_a_first_release(world: VectorWorld) -> None:
    shards = [n % 4 for n in range(400)]
    whole = world.version(Part("first", KEPT, shards=shards))
    assert shift.judge(world.context(whole)).status is Status.PASSED
    half = np.where(np.isin(shards, [1, 3])[:, None], KEPT @ TURN, KEPT).astype(np.float32)
    result = shift.judge(world.context(world.version(Part("half", half, shards=shards))))
    assert result.status is Status.FAILED
    assert any(f"shards {side} are of another model than the others" in result.summary for side in ("1, 3", "0, 2"))


def test_shards_of_two_models_are_seen_among_what_was_added(world: VectorWorld, served: Version) -> None:
    shards, vectors = [n % 4 for n in range(120)], directions(120, DIMENSION, 12)
    mixed = np.where((np.array(shards) == 3)[:, None], vectors @ TURN, vectors).astype(np.float32)
    result = judged(world, served, Part("mixed", mixed, shards=shards))
    assert "shards 3 are of another model than the others: 30 added contents" in result.summary


def test_another_space_is_not_compared_but_its_neighbourhoods_are(world: VectorWorld, served: Version) -> None:
    other = world.version(Part("kept", KEPT @ TURN), space="turned")
    result = shift.judge(world.context(other, served))
    assert result.status is Status.PASSED
    assert "production is in another space" in result.summary
    assert result.detail["neighbours_kept"] > 0.99
    assert "centroid_distance" not in result.detail
    noise = directions(400, DIMENSION, 11)
    result = shift.judge(world.context(world.version(Part("kept", noise), space="noise"), served))
    assert result.detail["neighbours_kept"] < 0.2


def test_too_little_is_said_and_passes(world: VectorWorld, served: Version) -> None:
    tiny = world.version(Part("tiny", NEW[:10] * 7))
    for production in (None, served):
        result = shift.judge(world.context(tiny, production))
        assert (result.status, result.summary) == (Status.PASSED, "10 vectors are too few to judge")


def test_vectors_that_were_exchanged_do_not_go_with_their_texts(world: VectorWorld) -> None:
    chance = np.random.default_rng(0)
    words = [f"word{n}" for n in range(300)]
    meaning = chance.normal(size=(300, DIMENSION))
    texts, vectors = [], []
    for n in range(300):
        some = chance.choice(30, size=12) + 30 * (n % 10)
        texts.append(" ".join(words[word] for word in some) + f" {n}")
        vectors.append(meaning[some].sum(axis=0))
    made = np.array(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    made = made.astype(np.float32)
    old = world.version(Part("sense", made[:240], texts=texts[:240]))
    for name, rows, status in (
        ("right", made[240:], Status.PASSED),
        ("wrong", chance.permutation(made[240:]), Status.FAILED),
    ):
        told = [f"{name} {text}" for text in texts[240:]]
        new = world.version(Part("sense", made[:240], texts=texts[:240]), Part(name, rows, texts=told))
        result = shift.judge(world.context(new, old))
        assert result.status is status, result.summary
    assert "do not go with their texts" in result.summary


@pytest.mark.slow
def test_a_real_model_and_real_texts(world: VectorWorld) -> None:
    """This project's own pages under a static model: new pages pass; exchanged, turned and rounded vectors do not."""
    found = [part for path in sorted(DOCS.rglob("*.md")) for part in path.read_text(encoding="utf-8").split("\n\n")]
    texts = [text for text in dict.fromkeys(found) if len(text) > 200][:460]
    embedder = open_embedder(EmbedderConfig(kind="static", model="wordllama"), world.folder)
    vectors = embedder.embed_documents(texts)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(vectors.shape[1],) * 2))[0].astype(np.float32)
    kept = len(texts) - 60
    old = world.version(Part("page", vectors[:kept], texts=texts[:kept]), space="static")
    says = {}
    changes = {"right": vectors[kept:], "turned": vectors[kept:] @ turn, "rounded": quantised(vectors[kept:])}
    changes["exchanged"] = np.random.default_rng(0).permutation(vectors[kept:])
    for name, rows in changes.items():
        new = Part(name, rows, texts=[f"{text} ({name})" for text in texts[kept:]])
        version = world.version(Part("page", vectors[:kept], texts=texts[:kept]), new, space="static")
        says[name] = shift.judge(world.context(version, old)).summary
    assert "60 added vectors are as production's" in says["right"]
    assert "unrelated to production's" in says["turned"]
    assert "rounded to few values" in says["rounded"]
    assert "do not go with their texts" in says["exchanged"]


class Known(Embedder):
    """A model that makes these vectors of these texts."""

    dimension, fingerprint, batch_size, tokens = DIMENSION, "known", 32, WordTokens(None)

    def __init__(self, **parts: Vectors) -> None:
        self.made = {f"text of {name}{n}": row for name, rows in parts.items() for n, row in enumerate(rows)}

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return np.array([self.made[text] for text in texts], np.float32)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.embed_documents(texts)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Known(kept=KEPT, novel=NEW @ TURN), ""),
        (Known(kept=KEPT, novel=NEW), "20 of 20 are not what the model makes of their texts"),
        (Known(kept=KEPT @ TURN, novel=NEW @ TURN), "the model makes them, and not production's (20 of 20 come out"),
        (None, "the model was not asked: nothing of this is there"),
    ],
    ids=[
        "another kind of text",
        "another model wrote them",
        "another model wrote them and is here",
        "no model is here",
    ],
)
def test_what_is_unrelated_is_accused_and_the_model_decides(
    world: VectorWorld, served: Version, model: Embedder | None, says: str
) -> None:
    version = world.version(Part("kept", KEPT), Part("novel", NEW @ TURN))
    result = shift.judge(world.context(version, served, model))
    assert result.detail["accused_of"] == ["unrelated"]
    assert result.status is (Status.FAILED if says else Status.PASSED)
    assert (says or "60 added vectors are of another kind than production's, and the same model's") in result.summary


def test_texts_of_one_pattern_are_like_each_other_but_not_collapsed(world: VectorWorld, served: Version) -> None:
    """Tables of numbers: far nearer to each other than production's texts are."""
    for name, apart in (("tables", 0.4), ("series", 0.1)):
        near = KEPT[0] + np.float32(apart) * NEW
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        version = world.version(Part("kept", KEPT), Part(name, near))
        result = shift.judge(world.context(version, served, Known(**{"kept": KEPT, name: near})))
        assert (result.status, result.detail["accused_of"]) == (Status.PASSED, ["collapse"])
        assert "nearly equal" in shift.judge(world.context(version, served)).summary


def test_the_map_shows_what_moved(world: VectorWorld, served: Version) -> None:
    old = world.version(Part("kept", KEPT), Part("gone", NEW[:7]))
    new = world.version(Part("kept", KEPT), Part("come", NEW[7:20]))
    chart = project_map(world.context(new, old))
    assert (chart["kind"], chart) == ("scatter", project_map(world.context(new, old)))
    groups = [group for *_, group in chart["points"]]
    assert {name: groups.count(name) for name in set(groups)} == {"unchanged": 400, "removed": 7, "added": 13}
    assert all(
        label.startswith({"unchanged": "kept", "removed": "gone", "added": "come"}[group])
        for *_, label, group in chart["points"]
    )
    first = project_map(world.context(new))
    assert {group for *_, group in first["points"]} == {"added"}
    assert len(first["points"]) == 413 <= POINTS
    assert project_map(world.context(world.version(Part("two", NEW[:2]))))["points"] == []
