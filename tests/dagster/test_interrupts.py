"""Ctrl-C ends a run cleanly: one line, exit code 130, and a run that Dagster shows as stopped."""

import os
import signal
from pathlib import Path

import dagster as dg
import pytest

from vector_pipeline import cli
from vector_pipeline.assets.running import run_job
from vector_pipeline.cli import progress
from vector_pipeline.report.progress import reporting_to


class Impatient:
    """Interrupts as soon as anything is reported."""

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_an_interrupted_run_says_where(instance: dg.DagsterInstance, config: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with reporting_to(Impatient()):
        outcome = run_job(config, "handbook", "build", instance=instance)
    assert not outcome.success
    assert outcome.interrupted_in == "raw_documents"
    assert signal.getsignal(signal.SIGINT) is before
    run = instance.get_run_by_id(outcome.run_id)
    assert run is not None
    assert run.is_finished
    # Nothing of it is in the way of the next one.
    again = run_job(config, "handbook", "build", instance=instance)
    assert (again.success, again.interrupted_in) == (True, None)


def test_the_command_says_one_line(
    config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(progress.LineSink, "update", Impatient.update)
    assert cli.run(["build", "--project", str(config)]) == 130
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    said = capfd.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("Interrupted in raw_documents (read documents: ")
    assert line.endswith("run the same command again to go on.")
