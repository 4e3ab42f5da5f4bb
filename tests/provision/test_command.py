"""The command: what it prints and asks, its exit codes, and a process that is killed in the middle."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.provision.conftest import PASSWORDS, Place, Work
from tests.tiers.conftest import tier, write
from vector_pipeline.cli import run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = write(tmp_path / "team", {"dev": tier(tmp_path / "dev")}, pages=1)
    monkeypatch.chdir(file.parent)
    return tmp_path / "dev"


def test_it_shows_asks_and_makes(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["provision", "--dry-run"]) == 0
    shown = capfd.readouterr().out.splitlines()
    assert shown[0] == "Environment dev: 3 to create."
    assert any(line.startswith("  + lake ") for line in shown)
    assert run(["provision", "--dry-run", "--detailed-exitcode"]) == 2
    assert run(["provision"]) == 2
    assert "nobody is there to ask" in capfd.readouterr().err
    assert not project.exists()
    assert run(["provision", "--yes", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["made"] == 3
    assert run(["provision", "--dry-run", "--detailed-exitcode"]) == 0
    assert run(["provision"]) == 0
    assert "3 as they must be" in capfd.readouterr().out
    assert run(["provision", "--detailed-exitcode"]) == 2


def test_what_is_in_the_way_is_an_error(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project.mkdir()
    (project / "index").write_text("a file")
    assert run(["provision", "--dry-run", "--detailed-exitcode"]) == 1
    assert f"  ! duckdb folder {project}/index: it is no folder" in capfd.readouterr().out
    assert run(["provision", "--yes"]) == 1
    assert "nothing was made" in capfd.readouterr().err
    assert [one.name for one in project.iterdir()] == ["index"]


@pytest.mark.slow
def test_a_process_that_is_killed_and_run_again(place: Place, opened: Work) -> None:
    work = opened(place.environment())
    count = len(work.provision_plan().pending)
    work.close()
    command = [sys.executable, "-u", "-m", "vector_pipeline.cli", "provision", "--yes", "--project", str(work.base)]
    said = ""
    for made in (2, 3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                made -= line.startswith("made: ")
                if not made:
                    break
            process.send_signal(signal.SIGKILL)
            said += process.stdout.read()
    last = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Nothing was deleted" in last.stdout
    # What stood when a process was killed is not made again; it may have stood without being told.
    assert 0 < last.stdout.count("made: ") <= count - 4
    assert opened(place.environment()).provision_plan().empty
    assert not any(secret in said + last.stdout + last.stderr for secret in PASSWORDS.values())


def test_tfvars_name_the_databases_that_are_not_in_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    apart = {
        "lake": {"catalog": "postgresql://writer@one.example/company", "data": str(tmp_path / "data")},
        "registry": "postgresql://keeper@two.example/registry",
    }
    file = write(tmp_path / "team", {"dev": {**tier(tmp_path / "dev"), **apart}}, pages=1)
    assert run(["provision", "--tfvars", "--project", str(file)]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["database"] == "company"
    assert said.err == (
        "not among the variables: the database registry of keeper, for the registry. Make it by: vector-pipeline provision\n"
    )
