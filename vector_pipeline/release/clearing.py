"""What an import leaves behind is cleared up: the import itself where it is under way, and its files.

Laws
----
1. Files of imports hold whole texts: they are deleted once nothing reads them any more, however their import ended.
2. An import is cancelled, and seen to have ended, before what it wrote is dropped and its files are deleted. Cancelling is a write:
   journalled, under the line's lease.
3. Files that cannot be deleted now fail nothing: they are warned of, the next push into the namespace deletes them, and an erasure
   counts them.
"""

import logging
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_exponential

from vector_pipeline.errors import UnavailableError, VectorPipelineError
from vector_pipeline.release.journalling import Journalled
from vector_pipeline.release.loading import CANCEL, UNDER_WAY, spec_of
from vector_pipeline.release.reading_back import PATIENCE_S, Write
from vector_pipeline.release.registry import Deployment, Registry
from vector_pipeline.targets.base import Importer, ImportState, Target, WriteReceipt

WAIT_S = 120.0
"""Within which what was imported must be seen, and what was cancelled or dropped must be gone."""
_LOG = logging.getLogger(__name__)


def importer_into(registry: Registry, target: Target, deployment: Deployment) -> Importer | None:
    """Of a deployment's namespace, to look and to clear up with; None where the target imports no files."""
    if not target.capabilities.imports:
        return None
    version = registry.version(deployment.dataset, deployment.version)
    return target.importer(spec_of(version, deployment.namespace), "")


def under_way(importer: Importer) -> ImportState | None:
    """The import into the namespace that is, whatever its content."""
    found = importer.find()
    return found if found is not None and found.status in UNDER_WAY else None


def cancel(importer: Importer, found: ImportState, journal: Journalled) -> None:
    """Law 2. ``UnavailableError`` where it goes on all the same."""

    def send() -> WriteReceipt:
        importer.cancel(found.id)
        return WriteReceipt(0, 0)

    def ended() -> bool:
        return importer.state(found.id).status not in UNDER_WAY

    journal.write(CANCEL, {"uri": found.uri, "id": found.id}, Write(send, ended, patience_s=PATIENCE_S))
    if not within(WAIT_S, ended):
        raise UnavailableError(
            f"the import {found.id} of {found.uri} was cancelled, and goes on after {WAIT_S:.0f} s",
            fix="Run the command again",
        )


def clear_up(importer: Importer) -> None:
    """Delete the files of a namespace's imports. None may be under way. Law 3."""
    try:
        importer.discard()
    except VectorPipelineError as error:
        _LOG.warning("files of a finished import stay: %s", error.what)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something holds before the deadline. Polls."""

    def never(_: RetryCallState) -> bool:
        return False

    looking = Retrying(
        retry=retry_if_result(lambda there: not there),
        stop=stop_after_delay(seconds),
        wait=wait_exponential(multiplier=0.05, max=2.0),
        retry_error_callback=never,
    )
    return looking(holds)
