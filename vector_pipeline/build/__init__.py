"""The left half of the way: source → documents → chunks → embeddings, each step one call, each incremental.

Laws
----
1. Cost follows what changed: an unchanged source costs its listing, an unchanged document nothing.
2. A step commits whole states; a run that was killed is continued by running the step again, and ends in the same state.
3. Steps take the shards they may touch; shards that nobody selected are not read beyond their ids.
"""

from vector_pipeline.build.chunks import ChunkCounts, chunk_documents
from vector_pipeline.build.documents import sync_documents
from vector_pipeline.build.embeddings import EmbedCounts, embed_chunks

__all__ = ["ChunkCounts", "EmbedCounts", "chunk_documents", "embed_chunks", "sync_documents"]
