"""What the killed and the competing processes do: fill a space, writing down every text that its model is asked for."""

import hashlib
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from tests.process.steps import Steps
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.lake import embeddings as store
from vector_pipeline.project import Project, filling
from vector_pipeline.release import holding

FILLED = "other"
"""The space that is filled."""


def name_of(text: str) -> str:
    """A text as it stands in the file of those that were asked for."""
    return hashlib.sha256(text.encode()).hexdigest()


class Counted(Embedder):
    """Another embedder, that appends what it is asked for to a file."""

    def __init__(self, embedder: Embedder, asked: Path) -> None:
        self._embedder, self._asked = embedder, asked
        self.dimension, self.fingerprint = embedder.dimension, embedder.fingerprint
        self.tokens, self.batch_size = embedder.tokens, embedder.batch_size

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        with self._asked.open("a", encoding="utf-8") as file:
            file.writelines(f"{name_of(text)}\n" for text in texts)
        return self._embedder.embed_documents(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed_queries(texts)


class CountingProject(Project):
    """A project whose new space's embedder is counted."""

    asked: Path

    def embedder(self, dataset: str, space: str | None = None) -> Embedder:
        found = super().embedder(dataset, space)
        return Counted(found, self.asked) if space == FILLED else found


def fill(
    config: Path,
    asked: Path,
    commit_rows: int,
    *,
    kill_at_step: int = 0,
    shards: Sequence[int] | None = None,
    texts_per_s: float | None = None,
    slice_texts: int | None = None,
    together: Barrier | None = None,
    lease_s: float | None = None,
) -> None:
    """Fill the space. ``kill_at_step``: dies before (odd) or after (even) a commit of vectors. ``slice_texts``: of the shards that
    are taken together. ``together``: begins when the others do. ``lease_s``: what its leases last.
    """
    if lease_s is not None:
        holding.LEASE_SECONDS = lease_s
    Steps(kill_at_step).around(store, "store_vectors")  # type: ignore[arg-type]
    if slice_texts is not None:
        filling.SLICE = filling._FIRST = slice_texts
    with CountingProject.load(config) as project:
        project.asked = asked
        if together is not None:
            together.wait(120)
        try:
            project.fill("handbook", FILLED, shards=shards, texts_per_s=texts_per_s, commit_rows=commit_rows)
        except VectorPipelineError as error:
            asked.with_suffix(".error").write_text(str(error), encoding="utf-8")
            raise
