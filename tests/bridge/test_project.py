"""Bridges of a project: fitted on its lake, measured on its version, and refused where they are not worth it."""

from pathlib import Path

import numpy as np
import pytest

from tests.bridge.conftest import release, write
from tests.conftest import page
from vector_pipeline.bridge.crossing import opened
from vector_pipeline.bridge.map import BridgeMap, name_of
from vector_pipeline.errors import ConfigError, CorruptError, NotFoundError, RefusedError
from vector_pipeline.project import Project

CONFIG = "vector_pipeline.yaml"


def test_a_fit_says_what_it_costs_and_what_it_keeps(served: Path) -> None:
    with Project.load(served / CONFIG) as project:
        prepared = project.prepare_bridge("handbook", "new")
        assert (prepared.work.texts, prepared.work.known) == (120, 0)
        assert prepared.work.characters > 120 * 20
        assert prepared.work.tokens > 120 * 5
        assert (prepared.seconds, prepared.money) == (None, None)
        made = project.fit_prepared(prepared, by="ann")
        version = project.version("handbook", 1)
        pair = project.space("handbook", "new").embedder_fingerprint, version.embedder_fingerprint
        assert (made.from_embedder, made.to_embedder) == pair
        assert made.passed
        detail = made.detail
        assert {one["kind"] for one in detail["kinds"]} == {"procrustes", "affine"}
        assert detail["low"] <= made.recall <= detail["high"]
        assert (detail["version"], detail["shape"], detail["depth"], detail["metric"]) == (1, [96, 64], 8, "cosine")
        held = project.registry().bridge_map(made)
        assert made.fingerprint == name_of(held, *pair)
        asked = project.embedder("handbook", "new").embed_queries(["about page 3"])
        assert opened(made, held).apply(asked).shape == (1, 64)
        (state,) = project.bridge_status("handbook")
        assert (state.on, state.used, state.fits, state.spaces, state.serving) == (
            False,
            False,
            True,
            ("new", "old"),
            1,
        )
        again = project.fit_bridge("handbook", "new", by="ann")
        assert (again.fingerprint, again.recall) == (made.fingerprint, made.recall), "nothing is left to chance"


@pytest.mark.slow
def test_vectors_that_the_lake_has_are_not_made_again(served: Path) -> None:
    with Project.load(served / CONFIG) as project:
        project.chunk("handbook", space="new", shards=[0, 1])
        project.embed("handbook", space="new", shards=[0, 1])
        work = project.prepare_bridge("handbook", "new").work
        assert 0 < work.known < work.texts == 120
        first = project.prepare_bridge("handbook", "new", sample=100).sample
        assert first.known[: work.known].all(), "those come first"
        fitted = project.fit_bridge("handbook", "new", by="ann")
        project.chunk("handbook", space="new")
        project.embed("handbook", space="new")
        assert project.prepare_bridge("handbook", "new").work.embedded == 0
        # The same texts, wherever their vectors come from.
        assert project.fit_bridge("handbook", "new", by="ann").detail["pairs"] == fitted.detail["pairs"]


@pytest.mark.slow
def test_real_questions_measure_and_judgements_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "asked"
    config = write(
        folder, gates=", answers: {queries: asked.jsonl}, retrieval: {queries: judged.jsonl, judgements: qrels.tsv}"
    )
    questions = [f"what does paragraph {n % 6} of page {n} say of item{n}x{n % 6}" for n in range(40)]
    (folder / "asked.jsonl").write_text("".join(f'{{"query": "{one}"}}\n' for one in questions), encoding="utf-8")
    judged = [f'{{"id": "q{n}", "text": "item{n}x1 and item{n}x2 of page {n}"}}\n' for n in range(20)]
    (folder / "judged.jsonl").write_text("".join(judged), encoding="utf-8")
    (folder / "qrels.tsv").write_text("".join(f"q{n}\tpage{n}.md\t1\n" for n in range(20)), encoding="utf-8")
    with Project.load(config) as project:
        release(project)
        made = project.fit_bridge("handbook", "new", by="ann")
    sources = made.detail["by_source"]
    assert sources["queries"]["count"] == 60
    assert made.detail["questions"] == 60, "enough real ones decide alone"
    assert made.recall == sources["queries"]["mean"]
    assert sources["texts"]["count"] > 0
    ndcg = made.detail["ndcg"]
    assert ndcg["queries"] == 20
    assert 0 < ndcg["bridge"] <= ndcg["old"] <= 1


def test_what_is_not_good_enough_is_kept_and_refused(served: Path) -> None:
    write(served, bridge="    bridge: {min_recall: 0.95}")
    with Project.load(served / CONFIG) as project:
        made = project.fit_bridge("handbook", "new", by="ann")
        assert not made.passed
        with pytest.raises(RefusedError, match=rf"{made.fingerprint} keeps {made.recall:.1%}.*95% were wanted"):
            project.bridge_on("handbook", by="ann")
        assert [one.on for one in project.bridge_status("handbook")] == [False]


def test_what_passed_is_asked_again_when_more_is_wanted(served: Path) -> None:
    with Project.load(served / CONFIG) as project:
        assert project.fit_bridge("handbook", "new", by="ann").passed
    write(served, bridge="    bridge: {min_recall: 0.95}")
    with Project.load(served / CONFIG) as project, pytest.raises(RefusedError, match=r"bridge\.min_recall is 95%"):
        project.bridge_on("handbook", by="ann")


def test_no_bridge_without_the_configurations_word(served: Path) -> None:
    write(served, bridge="")
    said = r"allows handbook no bridge\. Under `datasets: handbook:` write `bridge: \{\}`"
    with Project.load(served / CONFIG) as project:
        with pytest.raises(RefusedError, match=said):
            project.fit_bridge("handbook", "new", by="ann")
        with pytest.raises(RefusedError, match=said):
            project.bridge_on("handbook", by="ann")
        assert project.bridge_status("handbook") == []
        assert project.bridge_off("handbook", by="ann") == 0


@pytest.mark.slow
def test_no_bridge_where_none_is_needed(served: Path, tmp_path: Path) -> None:
    with Project.load(served / CONFIG) as project:
        with pytest.raises(RefusedError, match="need no bridge"):
            project.fit_bridge("handbook", "old", by="ann")
        with pytest.raises(NotFoundError, match="no space 'other'"):
            project.fit_bridge("handbook", "other", by="ann")
        with pytest.raises(NotFoundError, match=r"no bridge from space new to .* was fitted"):
            project.bridge_on("handbook", by="ann", space="new")
    with Project.load(write(tmp_path / "unserved")) as project:
        project.build("handbook")
        with pytest.raises(NotFoundError, match="nothing of handbook is in production"):
            project.fit_bridge("handbook", "new", by="ann")


@pytest.mark.slow
def test_few_texts_fit_nothing(tmp_path: Path) -> None:
    with Project.load(write(tmp_path / "small", pages=6)) as project:
        release(project)
        with pytest.raises(RefusedError, match="too few to fit a bridge on"):
            project.fit_bridge("handbook", "new", by="ann")


@pytest.mark.slow
def test_a_small_sample_proves_little(tmp_path: Path) -> None:
    """The same model under another name of its prompt keeps everything: of ten questions that is not sure."""
    with Project.load(write(tmp_path / "one", pages=20, bridge="    bridge: {min_recall: 0.9}")) as project:
        release(project)
    write(tmp_path / "one", model="old, query_prompt: ''", bridge="    bridge: {min_recall: 0.9}")
    with Project.load(tmp_path / "one" / CONFIG) as project:
        made = project.fit_bridge("handbook", "new", by="ann")
        assert made.detail["questions"] < 20
        assert made.detail["low"] < made.recall
        assert not made.passed


def test_a_mistake_in_the_configuration_is_told(served: Path) -> None:
    write(served, bridge="    bridge: {min_recall: 1.5}")
    with pytest.raises(ConfigError, match="min_recall"):
        Project.load(served / CONFIG)


def test_a_map_that_is_not_what_was_measured_is_not_used(served: Path) -> None:
    with Project.load(served / CONFIG) as project:
        made = project.fit_bridge("handbook", "new", by="ann")
        other = BridgeMap("affine", np.zeros((96, 64), np.float32), np.zeros(64, np.float32), True).to_bytes()
        with pytest.raises(CorruptError, match="is not what was measured"):
            opened(made, other)


@pytest.mark.slow
def test_documents_that_change_after_the_fit_change_nothing_of_it(served: Path) -> None:
    with Project.load(served / CONFIG) as project:
        made = project.fit_bridge("handbook", "new", by="ann")
        project.bridge_on("handbook", by="ann")
        (served / "documents/page1.md").write_text(page(900), encoding="utf-8")
        release(project)
        (state,) = project.bridge_status("handbook")
        assert (state.used, state.serving, state.bridge.detail["version"]) == (True, 2, 1)
        assert state.bridge.fingerprint == made.fingerprint
