"""Runs on several machines: dagster-celery's launcher and its workers, with what a lost worker needs.

Imported by whoever uses it: ``run_launcher`` of ``dagster.yaml`` names ``QueueRunLauncher``, and a worker is
``celery -A vector_pipeline.resources.workers worker``. dagster-celery and Celery's broker are not needed otherwise.

Laws
----
1. Launcher and workers read one configuration: ``run_launcher`` of the instance that both have. They cannot disagree.
2. A run whose process is gone is told as lost, so that Dagster runs it again elsewhere. Of a machine that died Celery itself says
   ``STARTED`` for ever: so the process of a run gives signs of life, and the launcher waits ``silence_s`` by its own clock for one.
3. A run is taken from the queue once. The queue never hands it to a second worker: Dagster decides what is run again.
4. Cancelling interrupts the step that is under way, whose clean-up runs: leases are given back.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

import dagster as dg
from celery import Celery, states  # type: ignore[import-untyped]
from celery.exceptions import CeleryError  # type: ignore[import-untyped]
from celery.signals import task_prerun  # type: ignore[import-untyped]
from dagster._core.launcher import CheckRunHealthResult, RunLauncher, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, unpack_value
from dagster._utils.interrupts import capture_interrupts
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from dagster_celery.tasks import create_execute_job_task

WORKER_TAG = "vector_pipeline/worker"
"""``name@host`` of the worker that a run is, or was, executed by."""
PROCESS = "vector_pipeline/worker_pid"
"""Process of that worker."""
_FORGOTTEN_S = 24 * 3600.0
_UNSEEN = 1.5
"""Intervals of run monitoring. Where nobody could look for longer, such as while the queue was away, silence begins anew."""
_SETTINGS: dict[str, Any] = {
    "worker_prefetch_multiplier": 1,
    # A worker that is at a run would else take the next one too, and keep it from those that are idle.
    "worker_disable_prefetch": True,
    # Law 3. Celery's own default is an hour, after which a broker such as Redis would hand a task on that nobody acknowledged.
    "task_acks_late": False,
    "broker_transport_options": {"visibility_timeout": 7 * 24 * 3600},
    # What Celery has forgotten is taken for lost: no run takes longer.
    "result_expires": 30 * 24 * 3600,
    "broker_connection_retry_on_startup": True,
    "worker_hijack_root_logger": False,
    # What a step prints is its log in Dagster, as of any other process.
    "worker_redirect_stdouts": False,
    "task_default_queue": "dagster",
}


class QueueRunLauncher(CeleryRunLauncher):
    """Puts runs into a queue of Celery's, from which workers take them."""

    def __init__(self, silence_s: float = 60.0, config_source: dict[str, Any] | None = None, **settings: Any) -> None:
        self.silence_s = silence_s
        self._signs: dict[str, tuple[str, float, float]] = {}
        """Of each run: its last sign, since when it is that, and when it was last looked at."""
        super().__init__(config_source={**_SETTINGS, **(config_source or {})}, **settings)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """dagster-celery's settings, and ``silence_s``: seconds without a sign of life after which a run is given up."""
        theirs: Any = super().config_type()
        return {**theirs, "silence_s": dg.Field(float, is_required=False, default_value=60.0)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_resume_run(self) -> bool:
        """A run is begun anew, never gone on with."""
        return False

    def terminate(self, run_id: str) -> bool:
        """Law 4."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is None:
            return False
        self.celery.control.revoke(task, terminate=True, signal="SIGINT")
        if run.status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.QUEUED):
            self._instance.report_run_canceled(run, "Cancelled before a worker took it.")
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Law 2."""
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)  # A command executes it in its own process.
        told = super().check_run_worker_health(run)
        if told.status in (WorkerStatus.SUCCESS, WorkerStatus.FAILED):
            return told
        # It runs, or nobody knows: a queue that was emptied has forgotten it, until its process gives the next sign.
        sign, now = repr(self.celery.AsyncResult(task).info), time.monotonic()
        last, since, looked = self._signs.get(run.run_id, (None, now, now))
        if sign != last or now - looked > _UNSEEN * self._instance.run_monitoring_poll_interval_seconds:
            since = now
        self._signs = {name: one for name, one in self._signs.items() if now - one[2] < _FORGOTTEN_S}
        self._signs[run.run_id] = (sign, since, now)
        if now - since >= self.silence_s:
            where = run.tags.get(WORKER_TAG, "no worker")
            return CheckRunHealthResult(
                WorkerStatus.NOT_FOUND, f"No sign of life from {where} for {now - since:.0f} s."
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def make_worker(launcher: RunLauncher) -> Celery:
    """The application that ``celery worker`` runs. ``DagsterInvariantViolationError`` for another launcher than ours."""
    if not isinstance(launcher, QueueRunLauncher):
        raise dg.DagsterInvariantViolationError(
            f"dagster.yaml has {type(launcher).__name__} for a run_launcher: a worker needs QueueRunLauncher of {__name__}"
        )
    task = create_execute_job_task(launcher.celery)
    inner, pause_s = task.run, max(1.0, launcher.silence_s / 6)

    def run(*args: Any, **packed: Any) -> Any:
        # Otherwise an interrupt between two steps would be lost.
        with _living(task, task.request.id, pause_s), capture_interrupts():
            return inner(*args, **packed)

    task.run = run
    return launcher.celery


@contextmanager
def _living(task: Any, task_id: str, pause_s: float) -> Iterator[None]:
    """Signs of life of a run in this process, for the time of a block."""
    ended = threading.Event()

    def give() -> None:
        signs, away = 0, (OSError, CeleryError, *getattr(task.backend, "connection_errors", ()))
        while not ended.wait(pause_s):
            signs += 1
            with suppress(*away):  # The next one may get through; without any the run is given to another.
                task.update_state(task_id, states.STARTED, {"pid": os.getpid(), "signs": signs})

    giving = threading.Thread(target=give, name="signs-of-life", daemon=True)
    giving.start()
    try:
        yield
    finally:
        ended.set()
        giving.join()  # Or a sign would come after the end, and stand there.


@task_prerun.connect  # type: ignore[untyped-decorator]
def _say_where(task: Any = None, kwargs: dict[str, Any] | None = None, **_: Any) -> None:
    """Tag the run with the worker that has taken it."""
    packed = (kwargs or {}).get("execute_job_args_packed")
    if packed is None:
        return
    run_id = unpack_value(packed, as_type=ExecuteRunArgs).run_id
    with dg.DagsterInstance.get() as instance:
        instance.add_run_tags(
            run_id, {WORKER_TAG: task.request.hostname, PROCESS: f"{socket.gethostname()}/{os.getpid()}"}
        )


def __getattr__(name: str) -> Celery:
    """``app``, which ``celery -A`` looks for, made when it is asked for: importing this module reads nothing."""
    if name != "app":
        raise AttributeError(name)
    return make_worker(dg.DagsterInstance.get().run_launcher)
