"""The code location, with a job that waits; every text that a space which does not serve asks its model for is written down: when,
and by whom.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from tests.production.asked import CLEANED, FOLDER
from tests.reembed.work import name_of
from vector_pipeline import definitions
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.project import Project, filling

_EMBEDDER = Project.embedder


@dg.op
def wait() -> None:
    """Until somebody interrupts it."""
    try:
        time.sleep(3600)
    finally:
        (Path(os.environ[FOLDER]) / CLEANED).touch()


@dg.job
def waits() -> None:
    """A run that does not end."""
    wait()


@dg.definitions
def defs() -> dg.Definitions:
    found = definitions.defs()
    return dg.Definitions.merge(found, dg.Definitions(jobs=[waits], executor=found.executor))


class Counted(Embedder):
    """Another embedder, that appends what it is asked for to a file before it does it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.dimension, self.fingerprint = embedder.dimension, embedder.fingerprint
        self.tokens, self.batch_size = embedder.tokens, embedder.batch_size

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        with (Path(os.environ[FOLDER]) / f"{os.getpid()}.txt").open("a", encoding="utf-8") as file:
            file.writelines(f"{time.monotonic()} {name_of(text)}\n" for text in texts)
        return self._embedder.embed_documents(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed_queries(texts)


def _counted(self: Project, dataset: str, space: str | None = None) -> Embedder:
    found = _EMBEDDER(self, dataset, space)
    return found if self.serves(dataset, space) else Counted(found)


# A commit for every second of embedding: there is much to interrupt.
filling._COMMIT_S = 1.0
Project.embedder = _counted  # type: ignore[method-assign]
