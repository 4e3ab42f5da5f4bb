"""What every step of a run has in common: where its progress goes, and how its errors come out."""

import getpass
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg

from vector_pipeline.assets.names import PROCESS_TAG
from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.report.progress import LogSink, current_sink, reporting_to

RETRIES, FIRST_WAIT_S = 3, 10.0
"""How often a step asks again for what does not answer, and how long it waits before the first time; it doubles each time."""
_LOCK = threading.Lock()
_ERRORS: dict[str, list[VectorPipelineError]] = {}

Context = dg.OpExecutionContext | dg.AssetExecutionContext | dg.AssetCheckExecutionContext


@contextmanager
def step(context: Context) -> Iterator[None]:
    """The body of an asset, a check or an op.

    Progress goes to the run's log, unless a terminal listens already. An error of ours fails the step with its one line
    and is never retried: what it says has to be done first. Except where something outside does not answer, and nobody sits at a
    terminal: then the step waits and tries again, a few times.
    """
    with ExitStack() as stack:
        if isinstance(current_sink(), LogSink):
            stack.enter_context(reporting_to(LogSink(context.log)))
        try:
            yield
        except VectorPipelineError as error:
            _ask_again(context, error)
            with _LOCK:
                _ERRORS.setdefault(context.run.run_id, []).append(error)
            # Not from the error: Dagster stores the messages of all causes, and those of libraries may hold secrets.
            raise dg.Failure(str(error), metadata={"kind": error.code}, allow_retries=False) from None


def _ask_again(context: Context, error: VectorPipelineError) -> None:
    """Raise ``RetryRequested`` where that may help."""
    if not isinstance(error, UnavailableError) or PROCESS_TAG in context.run.tags or context.retry_number >= RETRIES:
        return
    # Several steps that met the same outage do not come back in the same second.
    wait = FIRST_WAIT_S * 2**context.retry_number * random.uniform(0.8, 1.2)
    context.log.warning("%s: again in %.0f s (%s of %s)", error, wait, context.retry_number + 1, RETRIES)
    raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=wait) from None


def take_errors(run_id: str) -> list[VectorPipelineError]:
    """The errors of ours that stopped steps of a run in this process, in order; forgotten afterwards."""
    with _LOCK:
        return _ERRORS.pop(run_id, [])


def launched_by(context: Context) -> str:
    """Who launched a run, where Dagster knows it (its ``user`` tag); else the account that this process runs as."""
    try:
        return context.run.tags.get("user") or getpass.getuser()
    except (OSError, KeyError):
        return "dagster"
