"""Pinecone, by its official SDK: the only package that imports it."""

from vector_pipeline.targets.pinecone.target import PineconeTarget

__all__ = ["PineconeTarget"]
