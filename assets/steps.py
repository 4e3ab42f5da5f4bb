"""What every step of a run has in common: where its progress goes, and how its errors come out."""

import getpass
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg

from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.report.progress import LogSink, current_sink, reporting_to

_LOCK = threading.Lock()
_ERRORS: dict[str, list[VectorPipelineError]] = {}

Context = dg.OpExecutionContext | dg.AssetExecutionContext | dg.AssetCheckExecutionContext


@contextmanager
def step(context: Context) -> Iterator[None]:
    """The body of an asset, a check or an op.

    Progress goes to the run's log, unless a terminal listens already. An error of ours fails the step with its one line
    and is never retried: what it says has to be done first.
    """
    with ExitStack() as stack:
        if isinstance(current_sink(), LogSink):
            stack.enter_context(reporting_to(LogSink(context.log)))
        try:
            yield
        except VectorPipelineError as error:
            with _LOCK:
                _ERRORS.setdefault(context.run.run_id, []).append(error)
            # Not from the error: Dagster stores the messages of all causes, and those of libraries may hold secrets.
            raise dg.Failure(str(error), metadata={"kind": error.code}, allow_retries=False) from None


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
