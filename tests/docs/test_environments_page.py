"""The page on environments: its file is a configuration, and its commands work in the order in which they stand."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.docs.test_readme import MODEL, ROOT, commands
from vector_pipeline.cli import run
from vector_pipeline.cli.sealing import environment
from vector_pipeline.config import load_config
from vector_pipeline.report.tiers import COLUMNS

PAGE = "docs/environments.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
BLOCK = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)[0]


def with_environments(config: Path) -> None:
    """The file that ``init`` made, with the page's environments and without a model."""
    text = config.read_text(encoding="utf-8")
    assert MODEL in text
    made = yaml.safe_load(text.replace(MODEL, "kind: deterministic\n          model: seed"))
    made["environments"] = yaml.safe_load(BLOCK)["environments"]
    config.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")


@pytest.mark.slow
def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = commands(PAGE)
    assert len(lines) > 15
    for line in lines:
        refused, words = line.startswith("! "), shlex.split(line.removeprefix("! "))
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "export":
            monkeypatch.setenv(*words[1].split("=", 1))
        elif words[0] == "unset":
            monkeypatch.delenv(words[1])
        else:
            assert words[0] == "vector-pipeline"
            code = run(words[1:])
            said = "".join(capfd.readouterr())
            assert code == (1 if refused else 0), f"{line}\n{said}"
            if refused:
                assert "environment prod is sealed" in said
        if words[:2] == ["vector-pipeline", "init"]:
            with_environments(tmp_path / words[2] / "vector_pipeline.yaml")
    assert "ticket 4711" in said


def test_the_table_has_the_columns_of_the_command() -> None:
    section = TEXT.partition("## `environment`")[2].partition("\n## ")[0]
    told = re.findall(r"^\| ([a-z ]+) \|", section, re.MULTILINE)
    assert told == ["column", *COLUMNS[1:]]
    assert environment.__doc__


def test_the_file_is_a_configuration(tmp_path: Path) -> None:
    document = {"source": {"root": "."}, "spaces": {"tiny": {}}, "target": "local"}
    whole = {**yaml.safe_load(BLOCK), "datasets": {"handbook": document}}
    file = tmp_path / "vector_pipeline.yaml"
    file.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    assert list(load_config(file).environments) == ["dev", "staging", "prod"]


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / PAGE).parent.joinpath(link).exists(), link
