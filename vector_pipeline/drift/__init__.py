"""Drift: what was deployed against what the target holds now, and how it is repaired.

    report = audit(lake, registry, target, deployment, version, level="ids")
    if report.drifted: ...

Expected is always the lake's snapshot of a version, never the journal. An audit only reads.
"""

from vector_pipeline.drift.audit import Subject, audit, audit_line
from vector_pipeline.drift.report import DriftReport, Level

__all__ = ["DriftReport", "Level", "Subject", "audit", "audit_line"]
