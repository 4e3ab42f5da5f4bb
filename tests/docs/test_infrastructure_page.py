"""The page on infrastructure is true: its configuration is one, its commands make it on a real PostgreSQL and moto's S3."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.test_readme import MODEL, ROOT, commands
from tests.docs.test_shared_storage_page import here
from tests.shared.conftest import Bucket, endpoint, moto, postgres
from tests.support.configuration import with_piece, yaml_blocks
from vector_pipeline.cli import run
from vector_pipeline.provision.things import SIGNS

__all__ = ["endpoint", "moto", "postgres"]
PAGE = "docs/infrastructure.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
(BLOCK,) = yaml_blocks(TEXT)


def test_its_block_is_a_configuration(tmp_path: Path) -> None:
    settings = with_piece(BLOCK, tmp_path).environments["prod"].provision
    assert settings.reader == "vectors_reader"


def test_its_signs_are_all() -> None:
    assert set(re.findall(r"^\| `(.)` \|", TEXT, re.MULTILINE)) == set(SIGNS.values())


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert (ROOT / PAGE).parent.joinpath(link).exists(), link
    for path in re.findall(r"`((?:deploy|vector_pipeline|tests)/[\w./]+)`", TEXT):
        assert (ROOT / path).exists(), path


def test_terraforms_outputs_are_told() -> None:
    from tests.provision.terraform import ROOT as FOLDER

    told = set(re.findall(r"`(\w+)`", TEXT.partition("| output | is |")[2].partition("\n\n")[0]))
    outputs = set(re.findall(r'^output "(\w+)"', (FOLDER / "outputs.tf").read_text(), re.MULTILINE))
    assert outputs <= told


@pytest.mark.slow
def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], postgres: str, endpoint: str
) -> None:
    for name in ("VECTORS_PASSWORD", "POSTGRES_ADMIN_PASSWORD", "VECTORS_READER_PASSWORD"):
        monkeypatch.setenv(name, f"secret-of-{name}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    for line in commands(PAGE):
        line, _, file = line.partition(" > ")
        words = shlex.split(line)
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "export":
            monkeypatch.setenv(*words[1].split("=", 1))
        else:
            assert run(words[1:]) == 0, f"{line}\n{''.join(capfd.readouterr())}"
            out = capfd.readouterr().out
            said.append(out)
            if file:
                Path(file).write_text(out)
        if words[:2] == ["vector-pipeline", "init"]:
            config = tmp_path / words[2] / "vector_pipeline.yaml"
            text = config.read_text()
            assert MODEL in text
            block = here(BLOCK, postgres).removeprefix("environments:\n")
            text = text.replace(MODEL, "kind: deterministic\n          model: seed")
            config.write_text(text.rstrip() + "\n\n" + block)
    assert "to create" in said[1]
    assert "made: registry" in said[2]
    assert "as they must be" in said[3]
    assert not any("secret-of" in one for one in said)
    given = json.loads(Path("terraform.tfvars.json").read_text())
    assert (given["bucket"], given["writer"], given["reader"]) == ("company-lake", "vectors_writer", "vectors_reader")
    assert any(key.startswith("lake/handbook/") for key in Bucket("company-lake", endpoint).objects())
