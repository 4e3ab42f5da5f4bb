"""The page on data expectations: its commands work, its pieces are taken, its table of columns and parameters is true."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import write_project
from tests.support.configuration import with_piece, yaml_blocks
from vector_pipeline.cli import run
from vector_pipeline.project import Project
from vector_pipeline.verify.expectations.reading import read_suite
from vector_pipeline.verify.expectations.suite import PARAMETERS

PAGE = (Path(__file__).parents[2] / "docs" / "gates-expectations.md").read_text(encoding="utf-8")


def test_its_configuration_is_taken(tmp_path: Path) -> None:
    config = with_piece(yaml_blocks(PAGE)[0], tmp_path)
    assert config.datasets["handbook"].gates.expectations == Path("expectations/handbook")


def test_its_suite_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "documents.yaml"
    path.write_text(yaml_blocks(PAGE)[1], encoding="utf-8")
    assert len(read_suite("documents", path).expectations) == 6


def test_it_names_every_parameter() -> None:
    assert [name for name in PARAMETERS if f"`{name}`" not in PAGE] == []


@pytest.mark.slow
def test_its_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_project(tmp_path, 3)
    with Project.load(config) as project:
        project.build("handbook")
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^\$ vector-pipeline ([^#\n]+)", PAGE, re.MULTILINE)
    assert len(lines) == 3
    assert [run(shlex.split(line)) for line in lines] == [0, 0, 0]
