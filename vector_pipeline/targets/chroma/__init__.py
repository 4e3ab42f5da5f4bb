"""Chroma, embedded or served. See ``target`` for its laws."""

from vector_pipeline.targets.chroma.target import ChromaTarget

__all__ = ["ChromaTarget"]
