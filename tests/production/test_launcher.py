"""The launcher of the queue, as ``deploy/dagster`` configures it: what it says of runs that it has not launched."""

from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.launcher import DefaultRunLauncher, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClassData

from vector_pipeline.assets.names import PROCESS_TAG

DEPLOY = Path(__file__).parents[2] / "deploy" / "dagster"
pytest.importorskip("dagster_celery", reason="no dagster-celery: pip install 'vector-pipeline[celery]'")


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> RunLauncher:
    """Made of the committed file. Nobody listens at its queue, and nobody has to."""
    monkeypatch.setenv("DAGSTER_CELERY_BROKER", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("DAGSTER_CELERY_BACKEND", "redis://127.0.0.1:1/1")
    named = yaml.safe_load((DEPLOY / "run_launcher.yaml").read_text())["run_launcher"]
    found = ConfigurableClassData(named["module"], named["class"], yaml.safe_dump(named["config"]))
    return found.rehydrate(as_type=RunLauncher)


def test_the_file_is_only_the_launcher() -> None:
    found = yaml.safe_load((DEPLOY / "run_launcher.yaml").read_text())
    shared = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert list(found) == ["run_launcher"]
    assert "run_launcher" not in shared, "the one is put below the other"


def test_a_run_of_a_command_is_left_alone(launcher: RunLauncher) -> None:
    """``vector-pipeline promote`` records its run on the same instance; run monitoring asks the launcher how its worker does."""
    run = dg.DagsterRun(job_name="of_a_command", status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: "here/1"})
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_silence_is_counted_only_where_somebody_listened(
    launcher: RunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is away for two looks: a run that works on is not begun a second time."""
    from vector_pipeline.resources import workers

    clock, state = [0.0], {"sign": 1, "away": False}

    class Told:
        @property
        def info(self) -> dict[str, int]:
            if state["away"]:
                raise ConnectionError("no queue")
            return {"signs": int(state["sign"])}

        @property
        def state(self) -> str:
            return "STARTED" if self.info else ""

    monkeypatch.setattr(workers.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(launcher.celery, "AsyncResult", lambda _: Told())  # type: ignore[attr-defined]
    run = dg.DagsterRun(
        job_name="of_a_worker", status=dg.DagsterRunStatus.STARTED, tags={"dagster-celery/task_id": "1"}
    )

    def look(at: float) -> WorkerStatus:
        clock[0] = at
        return launcher.check_run_worker_health(run).status

    settings = {"run_monitoring": {"enabled": True, "poll_interval_seconds": 30}}
    with dg.instance_for_test(overrides=settings) as instance:
        launcher.register_instance(instance)
        assert look(0) is WorkerStatus.RUNNING
        state["sign"] = 2
        assert look(30) is WorkerStatus.RUNNING
        state["away"] = True
        for at in (60, 90):
            with pytest.raises(ConnectionError):
                look(at)
        state["away"] = False
        assert look(94) is WorkerStatus.RUNNING
        assert look(124) is WorkerStatus.RUNNING
        assert look(154) is WorkerStatus.NOT_FOUND


def test_a_worker_has_the_launchers_configuration(launcher: RunLauncher) -> None:
    from vector_pipeline.resources.workers import QueueRunLauncher, make_worker

    app = make_worker(launcher)
    assert isinstance(launcher, QueueRunLauncher)
    assert app is launcher.celery
    assert app.conf.broker_url == "redis://127.0.0.1:1/0"
    assert app.conf.task_acks_late is False
    assert app.conf.worker_disable_prefetch is True, "else a busy worker keeps the next run from an idle one"
    assert "execute_job" in app.tasks


def test_another_launcher_has_no_workers() -> None:
    from vector_pipeline.resources.workers import make_worker

    with pytest.raises(dg.DagsterInvariantViolationError, match="a worker needs QueueRunLauncher"):
        make_worker(DefaultRunLauncher())
