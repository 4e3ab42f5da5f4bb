"""Attestation from a command line and in Dagster."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.attest.conftest import Become, add
from tests.cli.conftest import Ran, RunCommand
from tests.conftest import page, write_project
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.running import RunOutcome, run_job
from vector_pipeline.cli import run as run_words
from vector_pipeline.project import Project
from vector_pipeline.resources.project import close_projects

CHECK = "handbook/production_index:attestation"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def vp(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """Run a command in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: object) -> Ran:
        capfd.readouterr()
        code = run_words([str(word) for word in words])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ran(code, captured.out, captured.err)

    return command


def spoil(config: Path, become: Become) -> None:
    """New documents, embedded by another model past the attestation."""
    with Project.load(config) as project:
        add(project, "new.md", page(71))
        project.sync("handbook")
        project.chunk("handbook")
        become("weights")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Project, "attesting", lambda *_: None)
            project.embed("handbook")
        become("")


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    path = write_project(tmp_path / "project", 8, gates="max_removed_share: 1")
    path.write_text(path.read_text() + "    automation: {schedules: {attest: '1 2 * * *'}}\n")
    with Project.load(path) as project:
        project.build("handbook")
    yield path
    close_projects()


@pytest.mark.slow
def test_the_command_shows_moves_and_says_what_next(vp: RunCommand, config: Path, become: Become) -> None:
    here = ("--project", config)
    clean = vp("attest", "handbook", *here)
    assert (clean.code, clean.err) == (0, "")
    assert "golden texts" in clean.out
    assert "as they were" in clean.out
    assert "Next: vector-pipeline status" in clean.out
    spoil(config, become)
    found = vp("attest", *here)
    assert found.code == 1
    assert "not what deterministic seed makes of their texts" in found.err
    assert "Not believed: " in found.out
    assert "new.md" in found.out
    assert f"Next: vector-pipeline attest --project {config} --quarantine" in found.out.replace(
        f"attest --quarantine --project {config}", f"attest --project {config} --quarantine"
    )
    moved = vp("attest", "--quarantine", "--json", *here)
    assert moved.code == 0, moved.err
    assert moved.json["moved"] == moved.json["doubted"]["rows"] > 0
    assert vp("attest", "--sample", 5, "--all", *here).code == 2
    assert vp("build", *here).code == 0
    after = vp("attest", "--all", "--json", *here)
    assert (after.code, after.json["passed"], after.json["in_quarantine"]) == (0, True, 0)


@pytest.mark.slow
def test_a_run_that_a_changed_model_stops_says_why_in_one_line(
    vp: RunCommand,
    config: Path,
    become: Become,
) -> None:
    with Project.load(config) as project:
        add(project, "new.md", page(72))
    become("nudged")
    stopped = vp("build", "--project", config)
    assert stopped.code == 1
    (line,) = [one for one in stopped.err.splitlines() if one.startswith("Error: ")]
    assert "deterministic seed is not the model that made the vectors of handbook" in line
    assert "nothing was written" in line


@pytest.mark.slow
def test_a_schedule_attests_what_production_serves(config: Path, tmp_path: Path, become: Become) -> None:
    (tmp_path / "dagster").mkdir()
    shutil.copyfile(ROOT / "dagster.yaml", tmp_path / "dagster" / "dagster.yaml")
    definitions = project_definitions(config)
    schedule = definitions.resolve_schedule_def("handbook__attests")
    assert (schedule.cron_schedule, schedule.job_name) == ("1 2 * * *", "handbook__attest")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:

        def run(**settings: object) -> RunOutcome:
            return run_job(config, "handbook", "attest", config=settings, instance=instance)

        assert run().values[CHECK]["summary"] == "nothing is in production yet"
        with Project.load(config) as project:
            project.push("handbook")
            project.verify("handbook")
            project.promote("handbook", by="test")
        outcome = run()
        assert outcome.values[CHECK]["passed"] is True
        assert outcome.values["attest"]["sampled"] == outcome.values["attest"]["vectors"]
        become("nudged")
        assert run().values[CHECK]["passed"] is False
        become("")
        spoil(config, become)
        spoilt = run()
        assert spoilt.values[CHECK]["passed"] is False
        assert spoilt.values["attest"]["moved"] == 0
        moved = run(quarantine=True, seed=spoilt.values["attest"]["seed"])
        assert moved.values["attest"]["moved"] > 0
