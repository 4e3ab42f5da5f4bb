"""``update`` by LlamaIndex: an ``IngestionPipeline`` (upserts) whose docstore is a file on disk; vectors go nowhere.

In its favour: no transformation cache, a vector store that does nothing, and no file is written where nothing changed.
"""

from pathlib import Path
from typing import Any

from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.schema import BaseNode, Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery, VectorStoreQueryResult

from benchmarks.peers.hashed import embed
from benchmarks.peers.update_side import rows, run


class Hashed(BaseEmbedding):  # type: ignore[misc]
    """The embedder of every side."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return list(map(float, embed([text])[0]))

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = embed(texts).tolist()
        return vectors

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Nowhere(BasePydanticVectorStore):  # type: ignore[misc] # not installed where this is checked
    """Takes what it is given, and keeps nothing."""

    stores_text: bool = True

    @property
    def client(self) -> None:
        return None

    def add(self, nodes: list[BaseNode], **_: Any) -> list[str]:
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:  # noqa: ARG002 - named so by its base
        return None

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:  # noqa: ARG002
        return VectorStoreQueryResult()


def update(folder: Path) -> dict[str, Any]:
    kept = folder / "docstore.json"
    docstore = SimpleDocumentStore.from_persist_path(str(kept)) if kept.exists() else SimpleDocumentStore()
    pipeline = IngestionPipeline(
        transformations=[Hashed(embed_batch_size=1000)], docstore=docstore, vector_store=Nowhere(),
        docstore_strategy=DocstoreStrategy.UPSERTS, disable_cache=True,
    )  # fmt: skip
    documents = [Document(id_=row["id"], text=row["text"], metadata={"topic": row["topic"]}) for row in rows(folder)]
    done = pipeline.run(documents=documents)
    if done:
        docstore.persist(str(kept))
    return {"changed": len(done)}


if __name__ == "__main__":
    run(update)
