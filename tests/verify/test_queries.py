"""What both versions are asked."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import MakeProject
from tests.verify.vectors import VectorLake
from vector_pipeline.errors import ConfigError
from vector_pipeline.project import Project
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.queries import CANARIES, QUERIES, TEXTS, load_queries, query_sample


def context_of(project: Project) -> GateContext:
    """The newest version, against what production serves."""
    project.build("handbook")
    return project.gate_context(project.version("handbook"), None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object"),
        ("{}", "query: missing key: add it"),
        ('{"query": "  "}', "query: a query must not be blank"),
        ('{"query": 3}', "query: Input should be a valid string"),
        ('{"query": "a", "filter": {"$near": 1}}', "filter: filter: '$near' is neither a field"),
        ('{"query": "a", "filter": {"vp_x": 1}}', "filter: filter: vp_x belongs to the pipeline"),
    ],
)
def test_a_mistake_names_its_file_and_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"query": "good"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_queries(path)
    assert str(caught.value).startswith(f"{path}:3: {said}")
    assert "\n" not in str(caught.value)


def test_files_that_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_queries(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no query"):
        load_queries(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_queries(path)


def test_a_query_log_counts_what_was_asked_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"query": "a", "at": "2026-01-01"}\n{"query": "b"}\n{"query": "a"}\n{"query": "a", "filter": {"x": 1}}\n',
        encoding="utf-8",
    )
    assert [(one.query, one.filter) for one in load_queries(path)] == [("a", None), ("b", None), ("a", {"x": 1})]


@pytest.mark.slow
def test_questions_come_first_and_texts_fill_up(make_project: MakeProject) -> None:
    project = make_project(gates="canaries: canaries.yaml, answers: {queries: log.jsonl, sample: 20}")
    (project.base / "canaries.yaml").write_text("canaries: [{query: page 1, expect: [page1.md]}]", encoding="utf-8")
    (project.base / "log.jsonl").write_text('{"query": "item3x2"}\n{"query": "page 1"}\n', encoding="utf-8")
    context = context_of(project)
    sample = query_sample(context)
    assert sample is query_sample(context)
    assert len(sample) == 20
    assert sample.counts() == {QUERIES: 2, TEXTS: 18}  # The canary asks what the log asks.
    assert {text for text in sample.texts if text} == {"item3x2", "page 1"}
    assert sample.production is sample.candidate
    assert sample.candidate.shape == (20, 128)
    np.testing.assert_array_equal(
        sample.candidate[[sample.texts.index("page 1")]], context.embedder(context.candidate).embed_queries(["page 1"])
    )
    again = query_sample(project.gate_context(context.version, None))
    assert again.labels == sample.labels


@pytest.mark.slow
def test_too_many_questions_are_chosen_by_hash(make_project: MakeProject) -> None:
    project = make_project(gates="answers: {queries: log.jsonl, sample: 20}")
    lines = [f'{{"query": "question {number}"}}\n' for number in range(50)]
    log = project.base / "log.jsonl"
    log.write_text("".join(lines), encoding="utf-8")
    first = query_sample(context_of(project))
    log.write_text("".join(reversed(lines)), encoding="utf-8")
    assert first.counts() == {QUERIES: 20}
    assert query_sample(context_of(project)).texts == first.texts


@pytest.mark.slow
def test_canaries_are_asked_where_there_is_no_log(make_project: MakeProject) -> None:
    project = make_project(gates="canaries: canaries.yaml, answers: {sample: 20}")
    (project.base / "canaries.yaml").write_text("canaries: [{query: page 1, expect: [page1.md]}]", encoding="utf-8")
    assert query_sample(context_of(project)).counts() == {CANARIES: 1, TEXTS: 19}


@pytest.mark.slow
def test_another_model_is_asked_in_its_own_space(make_project: MakeProject) -> None:
    project = make_project(gates="answers: {queries: log.jsonl, sample: 20}")
    (project.base / "log.jsonl").write_text('{"query": "item3x2"}\n', encoding="utf-8")
    project.build("handbook")
    project.push("handbook")
    project.verify("handbook", only=["coverage"])
    old = project.gate_context(project.version("handbook"), None).candidate
    config = project.base / "vector_pipeline.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("model: seed", "model: other"), encoding="utf-8")
    with Project.load(config) as other:
        context = context_of(other)
        context.production = old
        sample = query_sample(context)
        assert sample.production is not sample.candidate
        assert sample.candidate.shape == sample.production.shape
        # The old model is not here any more: its questions are not asked, the stored vectors of its texts are.
        assert sample.counts() == {TEXTS: len(sample)}
        (note,) = sample.notes
        assert note.startswith("1 questions were not asked: version 1: ")


def test_an_empty_version_is_asked_nothing(tmp_path: Path) -> None:
    world = VectorLake(tmp_path)
    sample = query_sample(world.context(world.version([])))
    assert (len(sample), sample.candidate.shape) == (0, (0, 8))
    world.close()
