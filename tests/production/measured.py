"""The code location with a job that does nothing, for ``measure``; with steps on workers where the environment says so."""

import os

import dagster as dg
from celery import Celery
from dagster_celery import celery_executor
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task

from vector_pipeline import definitions

STEPS_ON_WORKERS = "VECTOR_PIPELINE_TEST_STEPS_ON_WORKERS"
"""Variable that is set where steps are put into the queue, not runs."""


def _queue() -> dict[str, str]:
    return {"broker": os.environ["DAGSTER_CELERY_BROKER"], "backend": os.environ["DAGSTER_CELERY_BACKEND"]}


@dg.op
def nothing() -> None:
    """Takes no time."""


@dg.job
def empty() -> None:
    """A run of one step."""
    nothing()


@dg.definitions
def defs() -> dg.Definitions:
    if STEPS_ON_WORKERS in os.environ:
        dg.in_process_executor = celery_executor.configured(_queue())  # type: ignore[misc]
    found = definitions.defs()
    return dg.Definitions.merge(found, dg.Definitions(jobs=[empty], executor=found.executor))


def __getattr__(name: str) -> Celery:
    """``app`` of a worker that takes steps."""
    if name != "app":
        raise AttributeError(name)
    app = make_app(_queue())
    create_task(app)
    return app
