"""``update`` by LangChain: ``index()`` with its ``SQLRecordManager`` in SQLite on disk; vectors go into memory and are not kept.

In its favour: batches of 1,000 instead of 100, one clean-up at the end, and a vector store that costs nothing.
"""

from pathlib import Path
from typing import Any

from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index
from langchain_core.vectorstores import InMemoryVectorStore

from benchmarks.peers.hashed import embed
from benchmarks.peers.update_side import rows, run


class Hashed(Embeddings):  # type: ignore[misc] # not installed where this is checked
    """The embedder of every side."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        return list(map(float, embed([text])[0]))


def update(folder: Path) -> dict[str, Any]:
    manager = SQLRecordManager("bench", db_url=f"sqlite:///{folder / 'records.sqlite'}")
    manager.create_schema()
    documents = (
        Document(page_content=row["text"], metadata={"source": row["id"], "topic": row["topic"]})
        for row in rows(folder)
    )
    done = index(
        documents, manager, InMemoryVectorStore(Hashed()), cleanup="full", source_id_key="source", batch_size=1000,
        key_encoder="blake2b",
    )  # fmt: skip
    return {"changed": done["num_added"], "deleted": done["num_deleted"]}


if __name__ == "__main__":
    run(update)
