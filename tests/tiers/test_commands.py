"""The command line and Dagster's jobs of environments: what is sealed is refused in one line, and a run is not even begun."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import RunCommand, vp  # noqa: F401 (a fixture)
from tests.tiers.conftest import SEAL, tier, write
from vector_pipeline.definitions import run_job
from vector_pipeline.project import Project

REFERENCE = f"${{env:{SEAL}}}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dev, which has nothing yet, and a sealed production with a version pushed."""
    environments = {"dev": tier("dev"), "prod": tier("prod", sealed=REFERENCE, sample=0.5, reuse="dev")}
    file = write(tmp_path_factory.mktemp("commands"), environments, pages=8, promotion={"policy": "automatic"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SEAL, "deployment only")
        with Project.load(file, environment="prod") as project:
            project.build("handbook")
            project.push("handbook")
    return file


@pytest.fixture
def file(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy for one test; the seal is not here."""
    shutil.copytree(template.parent, tmp_path / "project")
    monkeypatch.delenv(SEAL, raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "project" / "dagster"))
    return tmp_path / "project" / template.name


def test_environments_beside_each_other(
    file: Path, vp: RunCommand, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    shown = vp("--project", file, "environment")
    assert shown.code == 0, shown.err
    dev, prod = (line.split() for line in shown.out.splitlines()[1:3])
    assert dev[:5] == ["dev", "*", "no", "all", "-"]
    assert prod[:4] == ["prod", "closed", "50%", "dev"]
    with Project.load(file, environment="prod") as project:
        assert prod[4] == project.registry(read_only=True).id
    monkeypatch.setenv(SEAL, "deployment only")
    monkeypatch.setenv("VECTOR_PIPELINE_ENV", "prod")
    told = vp("--project", file, "environment", "--json").json
    assert [(one["name"], one["here"], one["sealed"]) for one in told] == [("dev", False, "no"), ("prod", True, "open")]


def test_writing_verbs_without_the_seal(file: Path, vp: RunCommand) -> None:  # noqa: F811
    for words in (["build"], ["push"], ["promote"], ["pin", "1"], ["collect", "--yes"], ["seal"]):
        ran = vp("--project", file, "--env", "prod", *words)
        assert ran.code == 1
        (line,) = ran.err.splitlines()
        assert line.startswith("Error: ")
        assert SEAL in line
    assert not (file.parent / "dagster" / "history").exists()


@pytest.mark.slow
def test_whoever_looks_needs_no_seal(file: Path, vp: RunCommand) -> None:  # noqa: F811
    for words in (
        "status", "versions", "plan", "plan --to production", "history", "history --version 1", "documents", "check", "drift",
        "report", "space list", "expire", "collect", "repair --dry-run", "diff 1 1",
    ):  # fmt: skip
        ran = vp("--project", file, "--env", "prod", *words.split())
        assert ran.code == 0, f"{words}: {ran.err}"
    assert "files of the lake are not looked at" in vp("--project", file, "--env", "prod", "collect").out
    with Project.load(file, environment="prod") as project:
        assert project.registry(read_only=True).audits("handbook", "prod") == []


def test_a_seal_that_a_person_breaks(file: Path, vp: RunCommand) -> None:  # noqa: F811
    there = ("--project", file, "--env", "prod")
    assert "wants a reason" in vp(*there, "pin", "1", "--break-seal", " ").err
    ran = vp(*there, "pin", "1", "--break-seal", "the deployment is down")
    assert ran.code == 0, ran.err
    assert vp(*there, "unpin", "1").code == 1
    shown = vp(*there, "history")
    assert "seal broken for pin" in shown.out
    assert "the deployment is down" in shown.out
    (told,) = [one for one in vp(*there, "history", "--json").json if one["kind"] == "seal broken for pin"]
    assert told["reason"] == "the deployment is down"


def test_a_job_of_the_ui_without_the_seal(file: Path) -> None:
    outcome = run_job(file, "handbook", "promote", environment="prod", config={"by": "somebody"})
    assert not outcome.success
    assert f"{SEAL} is not set here" in str(outcome.errors[0])
    with Project.load(file, environment="prod") as project:
        assert project.history("handbook")[0].name == "staging"


def test_a_seal_is_put_on_changed_and_taken_off(
    file: Path, vp: RunCommand, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    there = ("--project", file, "--env", "prod")
    monkeypatch.setenv(SEAL, "deployment only")
    assert "sealed already" in vp(*there, "seal").out
    monkeypatch.setenv(SEAL, "a new one")
    assert "it may be the seal of another environment" in vp(*there, "pin", "1").err
    assert vp(*there, "seal", "--break-seal", "rotated").code == 0
    assert vp(*there, "pin", "1").code == 0
    assert "not sealed any more" in vp(*there, "seal", "--off").out
    config = yaml.safe_load(file.read_text())
    del config["environments"]["prod"]["sealed"]
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    monkeypatch.delenv(SEAL)
    assert vp(*there, "unpin", "1").code == 0
    assert "names no seal" in vp(*there, "seal").err
