"""A stateful server that speaks Pinecone's REST API 2026-07, for tests and for laptops: needs the ``server`` extra.

``PineconeServer`` runs in a thread of this process; ``vector-pipeline dev pinecone`` runs it in the foreground. See
``docs/targets/pinecone-server.md`` for what it does and what it does not do.
"""

from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.serving import PineconeServer

__all__ = ["Knobs", "PineconeServer"]
