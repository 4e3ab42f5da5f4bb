"""Blame and erase."""

from vector_pipeline.project.gating import Gating


class Tracing(Gating):
    """Where an answer came from, and how a document goes for good."""
