"""Blame and erase."""

from vector_pipeline.embedding.base import Embedder
from vector_pipeline.errors import VectorPipelineError
from vector_pipeline.project.gating import Gating
from vector_pipeline.release.registry import Version
from vector_pipeline.trace.blame import Blame, blame


class Tracing(Gating):
    """Where an answer came from, and how a document goes for good."""

    def blame(self, dataset: str, question: str, *, document: str, top_k: int = 10, space: str | None = None) -> Blame:
        """The versions in which a document entered or left the top ``top_k`` of a question, by searching what the lake keeps.

        Reads only, and never the target. ``space``: default the one that is served.
        """
        name = self._space_name(dataset, space)
        versions = [one for one in self.registry(read_only=True).versions(dataset) if one.space == name]
        known = self._embedders(dataset)
        missing = "its embedder is not configured or not installed here"

        def embedder_of(version: Version) -> Embedder | str:
            return known.get(version.embedder_fingerprint, missing)

        return blame(
            self.lake(read_only=True), versions, embedder_of, question=question, document=document, top_k=top_k
        )

    def _embedders(self, dataset: str) -> dict[str, Embedder]:
        """Embedders of the dataset's spaces that are there on this machine, by fingerprint. Loads no weights."""
        found: dict[str, Embedder] = {}
        for space in self.dataset(dataset).spaces:
            try:
                embedder = self.embedder(dataset, space)
                found[embedder.fingerprint] = embedder
            except VectorPipelineError:
                continue  # A model that is not here: its versions are named as skipped.
        return found
