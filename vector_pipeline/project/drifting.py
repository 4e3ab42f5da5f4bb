"""Drift and repair: what was recorded as deployed against what the target holds now."""

from vector_pipeline.project.gating import Gating


class Drifting(Gating):
    """Looks for somebody else's hand in the index, and restores what should be there."""
