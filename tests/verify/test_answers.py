"""Candidate against production without labels: harmless releases pass, damaged ones do not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import MakeProject
from tests.verify.given_texts import story
from tests.verify.vectors import Row, VectorLake
from vector_pipeline.config import GateConfig
from vector_pipeline.testing.memory_target import MemoryStore, MemoryTarget
from vector_pipeline.verify.answers import gate as answers
from vector_pipeline.verify.answers.numbers import _emptied
from vector_pipeline.verify.answers.replay import Answer
from vector_pipeline.verify.intervals import Z_95, two_sided, wilson
from vector_pipeline.verify.outcome import CheckResult, Status
from vector_pipeline.verify.rankings import forgiving_overlap, mean_of, overlap, rank_biased_overlap, rule_of_three

Vectors = npt.NDArray[np.float32]
DIMENSION, DOCUMENTS = 16, 150
_ranking = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


def texts(seed: int = 1, count: int = DOCUMENTS) -> Vectors:
    """Vectors of texts: what all have in common, as models give it, topics, and each text's own."""
    random = np.random.default_rng(seed)
    topics = 1.5 + 0.5 * random.standard_normal((12, DIMENSION))
    return unit(topics[random.integers(0, 12, count)] + 0.8 * random.standard_normal((count, DIMENSION)))


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    result: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return result


def near(vectors: Vectors, by: float, seed: int = 2) -> Vectors:
    """The same texts, edited: each vector moves a little."""
    return unit(vectors + by * unit(np.random.default_rng(seed).standard_normal(vectors.shape)))


def rows(vectors: Vectors, word: str = "first", name: str = "d") -> list[Row]:
    return [Row(f"{name}{number}", f"{word} text {number}", vector) for number, vector in enumerate(vectors)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VectorLake]:
    made = VectorLake(tmp_path, dimension=DIMENSION)
    yield made
    made.close()


def judged(world: VectorLake, old: list[Row], new: list[Row], embedder: str = "one") -> CheckResult:
    production, candidate = world.version(old), world.version(new, embedder)
    return answers.judge(world.context(candidate, production))


def test_a_version_against_itself_answers_the_same(world: VectorLake) -> None:
    result = judged(world, rows(texts()), rows(texts()))
    assert result.status is Status.PASSED
    assert [result.detail[name] for name in ("overlap", "low", "high", "rbo")] == pytest.approx([1, 1, 1, 1])
    assert [result.detail[f"difference_{name}"] for name in ("total", "data", "model")] == [0, 0, 0]
    assert result.detail["best_score_gap"] == 0
    assert result.detail["answers"] == []


V = texts()
SUMMARIES = near(unit(1.5 + 0.5 * np.random.default_rng(1).standard_normal((12, DIMENSION))).repeat(7, 0), 0.03)
OTHER = unit(texts(9) * np.where(np.arange(DIMENSION) % 2, -1, 1))
HARMLESS = {
    "every text edited": lambda: rows(near(V, 0.2), "second"),
    "a third edited": lambda: [*rows(V)[50:], *rows(near(V, 0.2), "second")[:50]],
    "documents added": lambda: [*rows(V), *rows(texts(3, 60), "new", "n")],
    "documents removed": lambda: rows(V)[10:],
    "every document renamed": lambda: rows(V, name="renamed/"),
    "half of it renamed": lambda: [*rows(V)[75:], *rows(V, name="renamed/")[:75]],
}
DAMAGED = {
    "another model for what changed": (lambda: [*rows(V)[50:], *rows(OTHER, "second")[:50]], "changed documents"),
    "half of it by another model": (
        lambda: [*rows(near(V, 0.1), "second")[75:], *rows(OTHER, "second")[:75]], "changed documents",
    ),
    "texts shuffled": (
        lambda: [Row(f"d{n}", f"first text {n - 1}", V[n - 1]) for n in range(1, DOCUMENTS)], "answers are others",
    ),
    "collapsed vectors": (lambda: rows(np.repeat(V.mean(0, keepdims=True), DOCUMENTS, 0), "second"), "answers are others"),
    "a document near to everything": (lambda: [*rows(V), Row("hub", "hub", 9 * V.mean(0))], "hub comes to"),
    "seven summaries of each topic": (lambda: [*rows(V), *rows(SUMMARIES, "x", "spam")], "added documents fill"),
    "vectors that are no numbers": (lambda: rows(np.full_like(V, np.nan), "second"), "no answer any more"),
}  # fmt: skip


STORIES = [story(number) for number in range(DOCUMENTS)]
FIRST = [Row(f"d{n}", text, vector) for n, (text, vector) in enumerate(zip(STORIES, V, strict=True))]


def edited(name: str, which: range) -> list[Row]:
    return [
        Row(f"{name}{n}", f"{STORIES[n]} Seen in June.", vector) for n, vector in enumerate(near(V, 0.1)) if n in which
    ]


def rewritten(which: range) -> list[Row]:
    return [Row(f"d{n}", story(5000 + n), vector) for n, vector in enumerate(OTHER) if n in which]


READABLE = {
    "renamed and edited": lambda: edited("guide/d", range(DOCUMENTS)),
    "half of it renamed and edited": lambda: [*FIRST[75:], *edited("guide/d", range(75))],
    "merged two by two": lambda: [Row(f"all{n // 2}", row.text, row.vector) for n, row in enumerate(FIRST)],
    "taken over by another page": lambda: [Row(f"d{n % 100}", row.text, row.vector) for n, row in enumerate(FIRST)],
    "split": lambda: [
        Row(f"{row.document}/{n}", part, vector)
        for row, moved in zip(FIRST, near(V, 0.1), strict=True)
        for n, (part, vector) in enumerate(zip(halves(row.text), (row.vector, moved), strict=True))
    ],
    "a few rewritten and a few edited": lambda: [*rewritten(range(7)), *edited("d", range(7, 20)), *FIRST[20:]],
}  # fmt: skip


def halves(text: str) -> tuple[str, str]:
    said = text.split(". ")
    return ". ".join(said[:3]) + ".", ". ".join(said[3:])


@pytest.mark.slow
@pytest.mark.parametrize("name", READABLE)
def test_documents_go_by_one_name_wherever_their_text_went(world: VectorLake, name: str) -> None:
    """What is gone, and what is altogether another text, other gates count and bound: here it explains other answers."""
    result = judged(world, FIRST, READABLE[name]())
    assert result.status is Status.PASSED, result.summary
    assert result.detail["overlap"] > 0.8


def test_no_share_is_told_of_no_document(world: VectorLake) -> None:
    result = judged(world, FIRST, [Row(f"x{n}", story(9000 + n), vector) for n, vector in enumerate(texts(4))])
    assert result.summary.count("no document that both versions hold came to any query") == 1
    assert "100.0% (" not in result.summary


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_releases_pass(world: VectorLake, name: str) -> None:
    result = judged(world, rows(V), HARMLESS[name]())
    assert result.status is Status.PASSED, result.summary
    assert result.detail["difference_model"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_releases_do_not(world: VectorLake, name: str) -> None:
    make, said = DAMAGED[name]
    result = judged(world, rows(V), make())
    assert result.status is Status.FAILED, result.summary
    assert said in result.summary
    assert result.detail["charts"]


def test_each_share_of_the_answers_has_a_bar_of_its_own(world: VectorLake) -> None:
    result = judged(world, rows(V), rows(V)[10:])
    shares = result.detail["charts"][2]
    depth = result.detail["depth"]
    assert shares["edges"] == pytest.approx([(n - 0.5) / depth for n in range(depth + 2)])
    assert sum(shares["series"]["candidate"]) == result.detail["queries"]


def test_the_sentence_says_of_which_documents_it_speaks(world: VectorLake) -> None:
    result = judged(world, rows(V), rows(V)[10:])
    total = f"{result.detail['difference_total']:.1%}"
    assert result.detail["difference_total"] > 0.01
    assert "100.0% (99.2% interval 100.0 to 100.0) of the first" in result.summary
    assert "documents that both versions hold come still" in result.summary
    assert f"of all documents {total} are others (data {total}, model 0.0%)" in result.summary
    assert total in result.detail["charts"][3]["title"]


@pytest.mark.slow
def test_another_model_over_everything_is_the_model_s_difference(world: VectorLake) -> None:
    result = judged(world, rows(V), rows(OTHER), "two")
    assert result.status is Status.FAILED
    assert result.detail["difference_model"] > 0.7
    assert result.detail["difference_data"] < 0.05
    kept = judged(world, rows(V), rows(near(V, 0.1)), "three")
    assert kept.status is Status.PASSED, kept.summary


def test_of_little_data_nothing_is_said(world: VectorLake) -> None:
    result = judged(world, rows(V[:15]), rows(OTHER[:15], "second"))
    assert result.status is Status.PASSED
    assert result.summary.startswith("15 queries: too few to judge")


def test_nothing_is_served_yet(world: VectorLake) -> None:
    result = answers.judge(world.context(world.version(rows(V))))
    assert (result.status, result.summary) == (Status.PASSED, "no other version is served: nothing to compare with")


def test_answers_side_by_side_say_why_they_differ(world: VectorLake) -> None:
    result = judged(world, rows(V), [*rows(V)[30:], *rows(texts(3, 60), "new", "n")])
    shown = result.detail["answers"]
    assert 0 < len(shown) <= 20
    assert [one["overlap"] for one in shown] == sorted(one["overlap"] for one in shown)
    assert shown[0]["query"].startswith("a text of d")
    assert "removed" in shown[0]["why"]
    assert len(shown[0]["production"][0]) == 2


@pytest.mark.slow
def test_an_index_that_answers_otherwise_is_told_apart_from_data(world: VectorLake) -> None:
    target = MemoryTarget("local", MemoryStore())
    old, new = world.push(world.version(rows(V)), target), world.push(world.version(rows(V)), target)
    assert new.deployment is not None
    fine = answers.judge(world.context(new, old, target=target))
    assert (fine.status, fine.detail["difference_index_candidate"]) == (Status.PASSED, 0)
    ids = sorted(name for batch in target.scan(new.deployment.namespace) for name in batch["id"].to_pylist())
    held = target.fetch(new.deployment.namespace, ids)
    vectors = np.array(held["vector"].to_pylist(), np.float32)
    column = pa.FixedSizeListArray.from_arrays(np.roll(vectors, 1, axis=0).ravel(), DIMENSION)
    target.upsert(new.deployment.namespace, held.set_column(1, "vector", column))
    permuted = answers.judge(world.context(new, old, target=target))
    assert permuted.detail["difference_data"] == 0
    assert permuted.detail["difference_index_candidate"] > 0.8
    assert permuted.detail["difference_index_production"] == 0
    target.delete(new.deployment.namespace, pa.array(ids))
    emptied = answers.judge(world.context(new, old, target=target))
    assert emptied.status is Status.FAILED
    assert "50 of 50 queries have no answer any more" in emptied.summary


def test_that_no_query_is_answered_needs_no_proof_and_that_one_is_not_needs_more(world: VectorLake) -> None:
    broken = np.full_like(V, np.nan)
    few = judged(world, rows(V[:12]), rows(broken[:12], "second"))
    assert few.status is Status.FAILED
    assert "12 of 12 queries have no answer any more" in few.summary
    some = GateConfig.model_validate({"answers": {"max_emptied": 1}})
    production, candidate = world.version(rows(V)), world.version(rows(broken, "second"))
    assert "no answer" not in answers.judge(world.context(candidate, production, some)).summary


def test_six_tests_share_what_may_be_wrong() -> None:
    assert two_sided(0.05) == pytest.approx(Z_95)
    asked = [Answer(("a",), (1.0,), ("x",))] * 200
    kept = [Answer((), (), ())] * 8 + asked[8:]
    found = _emptied(asked, kept)
    assert found.low == pytest.approx(wilson(8, 200, two_sided(0.05 / 6)).low)
    assert found.low < 0.02 < wilson(8, 200).low


@pytest.mark.slow
def test_limits_are_the_datasets(world: VectorLake) -> None:
    """What stops a release by default passes where the dataset says so."""
    lenient = {
        "another model for what changed": {"min_retained": 0, "min_overlap": 0.1},
        "a document near to everything": {"max_dominant": 1},
        "seven summaries of each topic": {"max_crowded": 1},
    }
    for name, limits in lenient.items():
        production, candidate = world.version(rows(V)), world.version(DAMAGED[name][0]())
        gates = GateConfig.model_validate({"answers": limits})
        result = answers.judge(world.context(candidate, production, gates))
        assert DAMAGED[name][1] not in result.summary


def test_settings_are_obeyed(world: VectorLake) -> None:
    production, candidate = world.version(rows(V)), world.version(rows(near(V, 0.6), "second"))
    strict = GateConfig.model_validate({"answers": {"min_overlap": 0.99, "k": 5, "sample": 40}})
    result = answers.judge(world.context(candidate, production, strict))
    assert result.status is Status.FAILED
    assert (result.detail["queries"], result.detail["depth"]) == (40, 5)


@pytest.mark.slow
def test_the_gate_runs_in_a_project(make_project: MakeProject) -> None:
    project = make_project(30)
    for _ in range(2):
        project.build("handbook")
        project.push("handbook")
        _, (result,) = project.verify("handbook", only=["answers"])
        assert result.status is Status.PASSED
        project.verify("handbook")
        project.promote("handbook", by="me")
        page = project.base / "documents" / "page3.md"
        page.write_text(page.read_text(encoding="utf-8") + "\n\nA new paragraph.\n", encoding="utf-8")
    assert result.detail["against"]["version"] == 1
    assert result.detail["difference_index_candidate"] == 0


@given(_ranking, _ranking)
def test_rankings_are_compared_symmetrically(first: list[str], second: list[str]) -> None:
    for compare in (overlap, rank_biased_overlap):
        assert 0 <= compare(first, second) <= 1
        assert compare(first, second) == pytest.approx(compare(second, first))
        assert compare(first, first) == pytest.approx(1)
    if not set(first) & set(second) and (first or second):
        assert rank_biased_overlap(first, second) == overlap(first, second) == 0


def test_rank_biased_overlap_is_the_papers() -> None:
    """Values of the authors' own program for equation 32 (p 0.9), worked by hand: first places count most."""
    assert rank_biased_overlap("ab", "ba") == pytest.approx(0.9)
    assert rank_biased_overlap("ab", "ac") == pytest.approx(0.5 * 0.81 + (0.1 / 0.9) * (0.9 + 0.5 * 0.81))
    assert rank_biased_overlap("abc", "abd") > rank_biased_overlap("abc", "dbc")
    assert rank_biased_overlap("a", "ab") == pytest.approx(1)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.just(1.0)), unique_by=lambda one: one[0], min_size=8))
def test_ties_at_the_end_are_forgiven(ranking: list[tuple[str, float]]) -> None:
    assert forgiving_overlap(ranking, ranking[::-1], 3) == 1


def test_an_interval_holds_its_mean() -> None:
    values = np.random.default_rng(1).random(200)
    found = mean_of(values)
    assert found.low < found.mean < found.high
    assert found == mean_of(values)
    assert 0.06 < found.high - found.low < 0.1
    assert mean_of([]).to_json() == {"mean": 1.0, "low": 0.0, "high": 1.0, "count": 0}
    assert mean_of([1.0] * 30).low == 1
    assert rule_of_three(300) == pytest.approx(0.01, abs=1e-4)
