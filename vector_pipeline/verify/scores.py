"""Scores of a block of vectors beside queries, in float32, as targets tell them: higher is better."""

import numpy as np

from vector_pipeline.targets.base import Vector


def prepared(queries: Vector, metric: str) -> Vector:
    """Queries as ``products`` wants them."""
    return _unit(queries, np.linalg.norm(queries, axis=1)) if metric == "cosine" else queries


def products(queries: Vector, vectors: Vector, metric: str) -> Vector:
    """float32[q, n]: inner products, of a cosine with the vectors at unit length."""
    with np.errstate(invalid="ignore", over="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
        scores: Vector = queries @ vectors.T
        if metric == "cosine":
            norms = np.sqrt(squares)
            scores *= np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    return _found(scores, squares)


def distances(queries: Vector, vectors: Vector, centre: Vector) -> Vector:
    """float32[q, n]: negative distances. Of what is far from zero, squares are large and their differences are not."""
    with np.errstate(invalid="ignore", over="ignore"):
        queries, vectors = queries - centre, vectors - centre
        own, squares = np.einsum("ij,ij->i", queries, queries), np.einsum("ij,ij->i", vectors, vectors)
        scores = -np.sqrt(np.maximum(own[:, None] - 2 * (queries @ vectors.T) + squares, 0))
    return _found(scores, squares)


def _found(scores: Vector, squares: Vector) -> Vector:
    """What is not finite is never found."""
    scores[:, ~np.isfinite(squares)] = -np.inf
    scores[np.isnan(scores)] = -np.inf
    return scores


def centre_of(queries: Vector) -> Vector:
    """float32[dim]: the mean of those that are finite."""
    finite = queries[np.isfinite(queries).all(axis=1)]
    middle = finite.mean(axis=0, dtype=np.float64) if len(finite) else np.zeros(queries.shape[1])
    return middle.astype(np.float32)


def _unit(vectors: Vector, norms: Vector) -> Vector:
    return vectors * np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)[:, None]
