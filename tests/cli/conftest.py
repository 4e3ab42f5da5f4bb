"""One released project for the verbs that read, and a way to run the command line in this process."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import page, write_project
from vector_pipeline.cli import run
from vector_pipeline.project import Project

CANARIES = """
canaries:
  - {query: "Paragraph 2 of page 3 speaks of item3x2", expect: [page3.md], k: 3}
"""


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


RunCommand = Callable[..., Ran]


@pytest.fixture
def vp(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """Run a command in this process; words may be anything that has a text form."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: object) -> Ran:
        capfd.readouterr()
        code = run([str(word) for word in words])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ran(code, captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configuration of a project with two versions: v1 in production, v2 pushed and verified. Tests only read it."""
    config = write_project(tmp_path_factory.mktemp("released"), 6, gates="canaries: canaries.yaml")
    folder = config.parent
    (folder / "canaries.yaml").write_text(CANARIES, encoding="utf-8")
    with Project.load(config) as project:
        project.build("handbook", message="first")
        project.push("handbook", by="tester")
        project.verify("handbook")
        project.promote("handbook", by="tester", reason="it is good")
        (folder / "documents/page0.md").write_text(page(0) + "\n\nOne more paragraph.\n", encoding="utf-8")
        (folder / "documents/page1.md").unlink()
        (folder / "documents/page9.md").write_text(page(9), encoding="utf-8")
        (folder / "documents/empty.md").write_text("", encoding="utf-8")
        project.build("handbook", message="second")
        project.push("handbook", by="tester")
        project.verify("handbook")
    return config


@pytest.fixture
def unbuilt(tmp_path: Path) -> Path:
    """Configuration of a project that was never built."""
    return write_project(tmp_path / "unbuilt", 6)


@pytest.fixture
def fresh(unbuilt: Path) -> Path:
    """Configuration of a project with one version that was never pushed."""
    with Project.load(unbuilt) as project:
        project.build("handbook")
    return unbuilt


@pytest.fixture
def fresh_released(unbuilt: Path) -> Iterator[Project]:
    """A project of one's own with one version, in production."""
    with Project.load(unbuilt) as project:
        project.build("handbook")
        project.push("handbook", by="tester")
        project.verify("handbook")
        project.promote("handbook", by="tester", reason="it is good")
        yield project
