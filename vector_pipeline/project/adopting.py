"""Adopt an index that grew by hand."""

from vector_pipeline.project.gating import Gating


class Adopting(Gating):
    """Takes over what was written without this pipeline."""
