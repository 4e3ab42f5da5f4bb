"""What a reader says of itself is what its next query searches."""

import threading
from typing import Any

import pytest

from tests.serving.conftest import namespace_of
from tests.support.waiting import eventually
from vector_pipeline.embedding.deterministic import DeterministicEmbedder
from vector_pipeline.project import Project
from vector_pipeline.serving import open_index
from vector_pipeline.serving.embedding import Embeddings
from vector_pipeline.targets.duckdb.target import DuckDBTarget


def test_while_a_model_is_loaded_the_version_is_the_one_that_answers(
    released: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    let, reached = threading.Event(), []
    embed, describe = DeterministicEmbedder.embed_queries, DuckDBTarget.describe

    def slow(self: DeterministicEmbedder, texts: Any) -> Any:
        if list(texts) == ["ready"]:
            let.wait(60)
        return embed(self, texts)

    def told(self: DuckDBTarget, namespace: str) -> Any:
        reached.append(namespace)
        return describe(self, namespace)

    first = namespace_of(released, 1)
    monkeypatch.setattr(DeterministicEmbedder, "embed_queries", slow)
    monkeypatch.setattr(Embeddings, "model", lambda _, version: version.number)  # Each version has a model of its own.
    with open_index("handbook", project=released.base, max_staleness_s=0) as index:
        try:
            assert index.search("about page 1").version == 1
            released.promote("handbook", by="test")
            assert index.refresh() == 2  # Where the alias points.
            monkeypatch.setattr(DuckDBTarget, "describe", told)
            index.reach()
            assert (index.version, index.search("about page 1").version, reached[:1]) == (1, 1, [first])
        finally:
            let.set()
        eventually(lambda: index.version == 2)
        assert index.search("about page 1").version == 2
