"""The example of two teams is what its page says, and works from its first command to production."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand
from vector_pipeline.config import load_config
from vector_pipeline.project.preview_paths import Concerned
from vector_pipeline.project.troubles import troubles

EXAMPLE = Path(__file__).parents[2] / "examples" / "teams"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy: what it makes lies beside its files."""
    shutil.copytree(EXAMPLE, tmp_path / "teams", ignore=shutil.ignore_patterns(".vector_pipeline"))
    return tmp_path / "teams" / "vector_pipeline.yaml"


def test_each_team_has_its_own_and_nothing_is_missing(example: Path) -> None:
    config = load_config(example)
    assert config.names == ["question_answer", "recommendation"]
    assert not config.broken
    for name, one in config.datasets.items():
        assert one.owners, name
        assert one.tags, name
        assert one.gates.max_vectors is not None, name
        assert one.gates.canaries is not None, name
        assert troubles(one, example.parent) == []
    assert len({one.target for one in config.datasets.values()}) == 2
    assert len({space for one in config.datasets.values() for space in one.spaces}) == 2


def test_a_change_of_one_teams_folder_concerns_that_team_alone(example: Path) -> None:
    concerned = Concerned(example, load_config(example))
    root = example.parent
    for folder, name in (("question_answer", "question_answer"), ("recommendation", "recommendation")):
        for file in ("dataset.yaml", "canaries.yaml"):
            assert list(concerned.by([f"{folder}/{file}"], root)) == [name]
    assert list(concerned.by(["recommendation/products.jsonl"], root)) == ["recommendation"]
    assert list(concerned.by(["vector_pipeline.yaml"], root)) == ["question_answer", "recommendation"]


def test_every_folder_has_reviewers(example: Path) -> None:
    lines = [line.split() for line in (EXAMPLE / "CODEOWNERS").read_text().splitlines() if line and line[0] != "#"]
    config = load_config(example)
    assert {line[0] for line in lines} == {"vector_pipeline.yaml", *(f"{name}/" for name in config.names)}


@pytest.mark.slow
def test_both_teams_release(example: Path, vp: RunCommand) -> None:
    project = ("--project", example)
    for name in ("question_answer", "recommendation"):
        for verb in ("build", "push"):
            done = vp(*project, verb, name)
            assert done.code == 0, done.err
        assert "canary queries passed" in done.out
    # What customers read is promoted with a reason; suggestions are too, by hand, where no daemon does it.
    refused = vp(*project, "promote", "question_answer")
    assert refused.code == 1
    assert "reason" in refused.err
    assert vp(*project, "promote", "question_answer", "--reason", "first answers").code == 0
    assert vp(*project, "promote", "recommendation").code == 0
    assert "grind-size.md" in vp(*project, "query", "question_answer", "My coffee tastes sour").out
    found = vp(*project, "query", "recommendation", "French press", "--filter", '{"price": {"$lt": 50}}').out
    assert "press-glass" in found
    assert "press-steel" not in found
