"""PostgreSQL with pgvector as a target. See ``target`` for its laws."""

from vector_pipeline.targets.pgvector.target import PgvectorTarget

__all__ = ["PgvectorTarget"]
