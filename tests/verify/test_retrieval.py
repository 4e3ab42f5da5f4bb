"""Judged questions, asked of the candidate and of production."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import MakeProject, page
from tests.verify.given_texts import story
from tests.verify.vectors import Row, VectorLake
from vector_pipeline.config import GateConfig
from vector_pipeline.errors import ConfigError
from vector_pipeline.project import Project
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.outcome import Status
from vector_pipeline.verify.rankings import sign_test
from vector_pipeline.verify.retrieval import gate as retrieval
from vector_pipeline.verify.retrieval.judgements import Judgements, load_judgements
from vector_pipeline.verify.retrieval.names import by_one_name, one_of_each
from vector_pipeline.verify.retrieval.telling import Run, difference, result_of

PAGES = 30
GATES = "max_removed_share: 1, retrieval: {queries: questions.jsonl, judgements: judged.tsv, max_drop: 0.05}"


def write_judgements(folder: Path, pages: int = PAGES) -> None:
    """A question for each page that only it answers."""
    lines = [f'{{"id": "q{n}", "text": "item{n}x1 item{n}x3 item{n}x5"}}\n' for n in range(pages)]
    (folder / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    rows = "".join(f"q{n}\tpage{n}.md\t1\n" for n in range(pages))
    (folder / "judged.tsv").write_text("query\tdocument\trelevance\n" + rows, encoding="utf-8")


def pushed(project: Project, *, served: bool = False) -> GateContext:
    """The present state, on its target."""
    project.build("handbook")
    project.push("handbook")
    version = project.version("handbook")
    if served:
        project.verify("handbook")
        project.promote("handbook", by="me")
    return project.gate_context(version, project.deployment_of(version))


@pytest.fixture
def judged(make_project: MakeProject) -> Project:
    project = make_project(PAGES, gates=GATES)
    write_judgements(project.base)
    return project


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VectorLake]:
    made = VectorLake(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_nothing_is_measured_without_judgements(make_project: MakeProject) -> None:
    result = retrieval.judge(pushed(make_project()))
    assert (result.status, result.summary) == (Status.PASSED, "no judgements are configured: retrieval is not measured")


@pytest.mark.slow
def test_half_of_the_settings_is_a_mistake(make_project: MakeProject) -> None:
    project = make_project(gates="retrieval: {queries: questions.jsonl}")
    write_judgements(project.base)
    with pytest.raises(ConfigError, match="belong together"):
        retrieval.judge(pushed(project))


@pytest.mark.slow
def test_a_first_release_is_measured_by_itself(judged: Project) -> None:
    result = retrieval.judge(pushed(judged))
    assert result.status is Status.PASSED, result.summary
    assert result.detail["nDCG@10"] > 0.6
    assert set(result.detail) >= {"nDCG@10", "R@10", "RR@10"}
    assert result.detail["notes"] == ["no other version is served: nothing to compare with"]
    assert result.detail["charts"][0]["columns"] == ["measure", "candidate", "low", "high"]


def test_a_harmless_edit_passes_and_lost_answers_do_not(judged: Project) -> None:
    pushed(judged, served=True)
    documents = judged.base / "documents"
    first = documents / "page0.md"
    first.write_text(page(0) + "\n\nOne more remark.\n", encoding="utf-8")
    harmless = retrieval.judge(pushed(judged))
    assert harmless.status is Status.PASSED, harmless.summary
    assert harmless.detail["difference"] == pytest.approx(0, abs=0.01)
    for number in range(16):
        (documents / f"page{number}.md").write_text(page(number + 500), encoding="utf-8")
    (documents / "page16.md").unlink()
    worse = retrieval.judge(pushed(judged))
    assert worse.status is Status.FAILED, worse.summary
    assert worse.summary.startswith("nDCG@10 fell by 0.")
    assert worse.detail["difference_high"] < -0.05
    assert worse.detail["p"] < 0.05
    assert worse.detail["missing_documents"] == 1
    assert "1 judged documents are not in version" in worse.detail["notes"][0]
    lost = worse.detail["answers"]
    assert 0 < len(lost) <= 20
    assert "came no more" in lost[0]["why"]
    assert {example["fault"] for example in worse.examples} == {"judged document is not there", "lost"}


@pytest.mark.slow
def test_a_rename_is_no_loss_whichever_name_is_judged(judged: Project) -> None:
    pushed(judged, served=True)
    documents = judged.base / "documents"
    for number in range(10):
        (documents / f"page{number}.md").rename(documents / f"moved{number}.md")
    context = pushed(judged)
    assert retrieval.judge(context).status is Status.PASSED
    named = (judged.base / "judged.tsv").read_text(encoding="utf-8")
    for number in range(10):
        named = named.replace(f"\tpage{number}.md", f"\tmoved{number}.md")
    (judged.base / "judged.tsv").write_text(named, encoding="utf-8")
    result = retrieval.judge(pushed(judged))
    assert result.status is Status.PASSED, result.summary
    assert "not in version" not in result.summary


def test_a_copy_that_is_removed_is_no_loss_and_one_that_is_not_there_hides_none(world: VectorLake) -> None:
    """a, b and c have one text and judgements of their own; d is another one; e was a copy of d, which is gone."""
    same = np.ones(8, np.float32)
    old = world.version([Row(name, "one text" if name in "abc" else "another", same) for name in "abcde"])
    new = world.version([Row(name, "one text" if name in "bc" else f"{name} is new", same) for name in "bcd"])
    judged = Judgements({"q": "?"}, {"q": {"a": 2, "b": 1, "d": 1, "e": 1, "x": 0}}, 0)
    context = world.context(new, old)
    names, missing = one_of_each(context, new, old, judged, {"b", "c", "d"})
    assert (names, missing) == ({"b": "a", "c": "a"}, ["e"])
    assert by_one_name(judged, names) == {"q": {"a": 2, "d": 1, "e": 1, "x": 0}}
    names, missing = one_of_each(context, old, new, judged, {"a", "c", "e"})
    assert (names, missing) == ({"b": "a", "c": "a", "e": "d"}, [])
    assert by_one_name(judged, names) == {"q": {"a": 2, "d": 1, "x": 0}}


def test_judged_documents_are_found_where_their_texts_went(world: VectorLake) -> None:
    """a was renamed and edited, b and c were merged, d was split, e is gone."""
    same = np.ones(8, np.float32)
    texts = {name: story(number) for number, name in enumerate("abcde")}
    parts = texts["d"].split(". ")
    new = {
        "a2": f"{texts['a']} Seen in June.", "bc": f"{texts['b']} {texts['c']}", "d/1": ". ".join(parts[:3]),
        "d/2": ". ".join(parts[3:]),
    }  # fmt: skip
    old, now = (world.version([Row(name, text, same) for name, text in one.items()]) for one in (texts, new))
    context = world.context(now, old)
    judged = Judgements({"q": "?"}, {"q": dict.fromkeys("abcde", 1)}, 0)
    names, missing = one_of_each(context, now, old, judged, set(new))
    assert {names.get(name, name) for name in new} == {"a", "b", "d"}
    assert (by_one_name(judged, names), missing) == ({"q": dict.fromkeys("abde", 1)}, ["e"])
    assert one_of_each(context, old, now, judged, set(texts)) == ({}, [])
    renamed = Judgements({"q": "?"}, {"q": dict.fromkeys(new, 1)}, 0)
    names, missing = one_of_each(context, old, now, renamed, set(texts))
    assert names == {"a": "a2", "b": "bc", "c": "bc", "d": "d/1", "d/2": "d/1"}
    assert missing == []


def test_documents_without_text_are_not_one(world: VectorLake) -> None:
    side = world.version([Row(name, " ", np.ones(8, np.float32)) for name in "ab"])
    judged = Judgements({"q": "?"}, {"q": {"a": 1}}, 0)
    assert one_of_each(world.context(side), side, None, judged, {"a", "b"}) == ({}, [])


@pytest.mark.slow
def test_production_that_cannot_be_measured_proves_nothing(judged: Project) -> None:
    """Its model has left the configuration: whatever the candidate finds, there is nothing to compare it with."""
    pushed(judged, served=True)
    written = judged.base / "vector_pipeline.yaml"
    written.write_text(
        written.read_text(encoding="utf-8").replace("model: seed, dimension: 128", "model: other, dimension: 8"),
        encoding="utf-8",
    )
    with Project.load(written) as project:
        result = retrieval.judge(pushed(project))
    assert result.status is Status.UNKNOWN
    assert result.summary.startswith("production was not measured: handbook: version 1 is served in another space")
    assert "--override retrieval_measures (nDCG@10 0." in result.summary


@pytest.mark.slow
def test_a_level_may_be_demanded(make_project: MakeProject) -> None:
    gates = "retrieval: {queries: questions.jsonl, judgements: judged.tsv, least: 0.9, measures: [RR@10, AP]}"
    project = make_project(PAGES, gates=gates)
    write_judgements(project.base, PAGES + 30)  # Half of what is judged does not exist.
    result = retrieval.judge(pushed(project))
    assert result.status is Status.FAILED
    assert result.summary.startswith("RR@10 is below 0.9")
    assert "30 judged documents are not there" in result.summary


@pytest.mark.parametrize(("few", "status"), [(1, Status.WARNED), (4, Status.WARNED), (10, Status.FAILED)])
def test_a_few_queries_prove_a_loss_only_when_chance_seldom_does(world: VectorLake, few: int, status: Status) -> None:
    side = world.version([Row("d", "a text", np.ones(8, np.float32))])
    judged = Judgements({f"q{n}": "?" for n in range(few)}, {f"q{n}": {"d": 1} for n in range(few)}, 0)
    run = Run({name: [("d", 1.0)] for name in judged.queries}, judged.relevance)
    levels = {"nDCG@10": np.linspace(0.4, 0.5, few)}
    gates = [{}, {"least": 0.8}]
    for old, limits in zip(({"nDCG@10": np.full(few, 0.9)}, None), gates, strict=True):
        context = world.context(side, side, GateConfig.model_validate({"retrieval": limits}))
        result = result_of(context, judged, (run, run), levels, old, [], [])
        assert result.status is status, result.summary
        assert (f"but {few} judged queries are too few to be sure" in result.summary) == (status is Status.WARNED)


def test_two_tests_share_what_may_be_wrong() -> None:
    lost = np.random.default_rng(4).normal(-0.03, 0.1, 60)
    one, two = (difference(lost, np.zeros(60), alpha)[0] for alpha in (0.05, 0.025))
    assert two.low < one.low < one.high < two.high


@pytest.mark.slow
def test_a_measure_that_is_none_is_said(make_project: MakeProject) -> None:
    gates = "retrieval: {queries: questions.jsonl, judgements: judged.tsv, measures: [goodness]}"
    project = make_project(gates=gates)
    write_judgements(project.base, 12)
    with pytest.raises(ConfigError, match="goodness is no measure"):
        retrieval.judge(pushed(project))


@pytest.mark.parametrize(
    ("queries", "judgements", "said"),
    [
        ('{"id": "a"}', "a\tb\t1", "questions.jsonl:1: text: missing key"),
        (
            '{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}',
            "a\tb\t1",
            "questions.jsonl:2: query a stands there twice",
        ),
        ('{"id": "a", "text": "x"}', "a\tb", "judged.tsv:1: 2 columns"),
        ('{"id": "a", "text": "x"}', "a b 1\na b much", "judged.tsv:2: relevance must be a whole number, not 'much'"),
        ('{"id": "a", "text": "x"}', "c b 1", "judged.tsv: no judgement is about a query"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, queries: str, judgements: str, said: str) -> None:
    (tmp_path / "questions.jsonl").write_text(queries, encoding="utf-8")
    (tmp_path / "judged.tsv").write_text(judgements, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_judgements(tmp_path / "questions.jsonl", tmp_path / "judged.tsv")
    assert str(caught.value).startswith(f"{tmp_path}/{said}")


def test_qrels_of_trec_and_of_three_columns_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}', encoding="utf-8")
    found = []
    for text in ("1 0 a 2\n1 0 b 0\n9 0 b 1\n", "query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n9\tb\t1\n"):
        (tmp_path / "judged").write_text(text, encoding="utf-8")
        found.append(load_judgements(tmp_path / "questions.jsonl", tmp_path / "judged"))
    assert found[0] == found[1]
    assert (found[0].queries, found[0].relevance, found[0].left_out) == ({"1": "x"}, {"1": {"a": 2, "b": 0}}, 1)


def test_chance_is_told_from_a_difference() -> None:
    random = np.random.default_rng(1)
    noise, before = random.normal(0, 0.1, 200), random.random(200)
    same, p = difference(before + noise, before)
    assert same.low < 0 < same.high
    assert p > 0.01
    worse, p = difference(before - 0.1 + noise, before)
    assert worse.high < -0.05
    assert p < 0.001
    assert sign_test(np.zeros(5)) == 1
