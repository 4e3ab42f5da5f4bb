"""The page on existing projects: its commands work in the example, and what it shows is what the example holds."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.conftest import EXAMPLE, Existing
from tests.docs.test_readme import ROOT, commands
from vector_pipeline.dagster import VectorIndexComponent

PAGE = "docs/existing-dagster-project.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", TEXT)


@pytest.mark.slow
def test_every_command_works_in_the_example(existing: Existing, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": path}
    said = ""
    for line in commands(PAGE):
        done = subprocess.run(
            line, shell=True, cwd=existing.folder, env=environment, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        said = done.stdout
    assert "a2" in said


def test_what_it_shows_is_what_the_example_holds() -> None:
    component, index = (yaml.safe_load(one) for one in blocks("yaml"))
    assert component == yaml.safe_load((EXAMPLE / "src/support_desk/defs/search/defs.yaml").read_text())
    held = yaml.safe_load((EXAMPLE / "vector_pipeline.yaml").read_text())["datasets"]["support_articles"]
    assert index["datasets"]["support_articles"].items() <= held.items()


def test_the_factory_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vector_pipeline.yaml").write_text(blocks("yaml")[1])
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(blocks("python")[0], PAGE, "exec"), names)
    keys = {key.to_user_string() for key in names["defs"].resolve_asset_graph().get_all_asset_keys()}
    assert {"support_articles", "support_articles/upstream", "support_articles/production_index"} <= keys


def test_every_argument_is_told() -> None:
    table = TEXT[TEXT.index("| argument | is |") : TEXT.index("## What your asset may return")]
    assert set(VectorIndexComponent.model_fields) <= set(re.findall(r"`(\w+)`", table))
