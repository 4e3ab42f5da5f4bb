"""Taking down by a pattern: one that cannot be taken down keeps no other."""

from pathlib import Path

import pytest

from tests.ci.conftest import DATASET
from tests.conftest import write_project
from vector_pipeline.cli import run
from vector_pipeline.project import Project
from vector_pipeline.project.previewing import Previews

TWO_TARGETS = "\nenvironments: {dev: {targets: {local: {}, other: {path: other_index}}}}\n"


@pytest.mark.slow
def test_one_that_cannot_be_taken_down_keeps_no_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = write_project(tmp_path, 3, shards=2)
    text = config.read_text()
    for target, name in (("other", "pr-1-aaa"), ("local", "pr-1-bbb"), ("local", "pr-2-ccc")):
        config.write_text(text.replace("target: local", f"target: {target}") + TWO_TARGETS)
        with Project.load(config) as project:
            Previews(project).create(DATASET, name, by="job")
    config.write_text(text)
    capfd.readouterr()
    assert run(["--project", str(config), "ci", "destroy", DATASET, "--matching", "pr-1-*"]) == 1
    said = capfd.readouterr()
    assert "Preview pr-1-bbb of handbook is gone" in said.out
    assert said.err.startswith("Error: ")
    assert "other" in said.err
    with Project.load(config) as project:
        assert [one.name for one in Previews(project).standing()] == ["pr-1-aaa", "pr-2-ccc"]
