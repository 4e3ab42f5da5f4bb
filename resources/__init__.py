"""Dagster resources: from configuration to core object, no logic."""

from resources.project import ProjectResource

__all__ = ["ProjectResource"]
