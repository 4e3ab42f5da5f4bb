"""Dagster resources: from configuration to core object, no logic."""

from vector_pipeline.resources.project import ProjectResource

__all__ = ["ProjectResource"]
