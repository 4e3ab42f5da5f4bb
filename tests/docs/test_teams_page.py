"""The page on teams: its files are a configuration, and its commands work on the example in the order in which they stand."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_readme import ROOT
from vector_pipeline.cli import run
from vector_pipeline.config import load_config

PAGE = ROOT / "docs" / "teams.md"
TEXT = PAGE.read_text(encoding="utf-8")
LINES = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.slow
def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ignored = shutil.ignore_patterns(".vector_pipeline")
    shutil.copytree(ROOT / "examples" / "teams", tmp_path / "examples" / "teams", ignore=ignored)
    monkeypatch.chdir(tmp_path)
    assert len(LINES) > 15
    for line in LINES:
        refused, words = line.startswith("! "), shlex.split(line.removeprefix("! "))
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "vector-pipeline":
            code = run(words[1:])
            said = "".join(capfd.readouterr())
            assert code == (1 if refused else 0), f"{line}\n{said}"
            if refused:
                assert "max_costs: unknown key; did you mean max_cost?" in said
        else:
            subprocess.run(line, shell=True, check=True)


def test_its_files_are_a_configuration(tmp_path: Path) -> None:
    main, team = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "question_answer").mkdir()
    (tmp_path / "question_answer" / "dataset.yaml").write_text(team, encoding="utf-8")
    (tmp_path / "vector_pipeline.yaml").write_text(main, encoding="utf-8")
    config = load_config(tmp_path / "vector_pipeline.yaml")
    assert config.names == ["question_answer"]
    assert config.datasets["question_answer"].gates.canaries == Path("question_answer/canaries.yaml")


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, heading = link.partition("#")
        text = PAGE.parent.joinpath(file).read_text(encoding="utf-8")
        titles = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in re.findall(r"^#+ (.+)$", text, re.M)}
        assert not heading or heading in titles, link
