"""The budget of a space: of texts that have no vector anywhere, over all fills until its next version, and for catching up too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from tests.reembed.test_filling import edit, states, with_space
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.spacefill import OVER_BUDGET

TWICE = {f"page{n}.md": page(n // 2) for n in range(12)}
"""Twelve documents of six texts: a whole document is a chunk in the new space."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_project(tmp_path, TWICE)


def budget(config: Path, texts: int) -> Path:
    text = config.read_text(encoding="utf-8")
    config.write_text(
        "\n".join(f"    reembed: {{max_texts: {texts}}}" if "reembed:" in line else line for line in text.splitlines()),
        encoding="utf-8",
    )
    return config


@pytest.fixture
def project(config: Path) -> Iterator[Project]:
    with Project.load(config) as opened:
        opened.build("handbook")
    with Project.load(with_space(config, more="    reembed: {max_texts: 6}\n")) as opened:
        yield opened


@pytest.mark.slow
def test_plan_and_fill_count_the_same_texts(project: Project, config: Path) -> None:
    plan = project.space_plan("handbook", "other", measure=False)
    assert (plan.texts.count, plan.refused) == (6, None)
    project.chunk_each("handbook", "other", None)
    cut = project.space_plan("handbook", "other", measure=False)
    assert (cut.texts.count, cut.refused) == (6, None)
    with Project.load(budget(config, 5)) as less:
        assert less.space_plan("handbook", "other", measure=False).refused == (
            "would embed 6 texts, more than reembed.max_texts allows (5)"
        )
        with pytest.raises(RefusedError, match=r"^6 texts of handbook would be embedded in space other, more than its"):
            less.fill("handbook", "other")
    assert project.fill("handbook", "other").embedded == 6
    assert project.fill_status("handbook", "other").total.records == 12


@pytest.mark.slow
def test_the_budget_is_the_spaces_and_not_a_runs(project: Project, config: Path) -> None:
    first = project.fill("handbook", "other", shards=[0]).embedded
    assert 0 < first < 6
    assert project.spent("handbook", "other") == first
    with Project.load(budget(config, 5)) as less:
        said = (
            rf"{6 - first} texts of handbook would be embedded in space other beside the {first} that were, more than"
        )
        with pytest.raises(RefusedError, match=said) as refused:
            less.fill("handbook", "other", shards=[1, 2, 3])
        assert refused.value.code == OVER_BUDGET
        assert "reembed handbook --space other --over-budget; or raise reembed.max_texts" in str(refused.value)
        plan = less.space_plan("handbook", "other", measure=False)
        assert plan.refused == (
            f"would embed {6 - first} texts beside the {first} that were, more than reembed.max_texts allows (5)"
        )
        assert less.fill("handbook", "other", over_budget=True).embedded == 6 - first
    assert project.spent("handbook", "other") == 6
    # What is spent for one version is not held against the next one.
    project.snapshot("handbook", space="other")
    assert project.spent("handbook", "other") == 0


@pytest.mark.slow
def test_catching_up_asks_the_budget_too(project: Project, config: Path) -> None:
    project.fill("handbook", "other")
    project.snapshot("handbook", space="other")
    with Project.load(budget(config, 1)) as less:
        for number in (3, 5):
            edit(less, number, page(number + 100))
        with pytest.raises(RefusedError, match="2 texts of handbook would be embedded in space other, more than its"):
            less.catch_up("handbook", "other", None)
        status = less.fill_status("handbook", "other")
        refused = [one for one in status.shards if one.status == "failed"]
        assert {one.state.unembedded > 0 for one in refused} == {True}
        assert sum(one.state.unembedded for one in refused) == 2
        assert {(one.error or "").partition(", more than its budget of 1")[0] for one in refused} == {
            "2 texts of handbook would be embedded in space other"
        }
        attempts = less.registry().fills("handbook", "other", status.fingerprint)
        with pytest.raises(RefusedError, match="more than its budget of 1"):
            less.catch_up("handbook", "other", None)
        again = less.registry().fills("handbook", "other", status.fingerprint)
        assert len(again) == len(attempts), "each release would add the same rows"
        caught = less.catch_up("handbook", "other", None, over_budget=True)
        assert (caught.embedded, caught.left) == (2, 0)
        assert set(states(less).values()) == {"done"}
