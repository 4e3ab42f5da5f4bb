"""The drift audit: what production serves against what it should hold, as a check with a history of its own.

It stops nothing: by the time that it looks, readers have seen what is there. It moves no alias and repairs nothing.
"""

from collections import Counter
from typing import Literal

import dagster as dg

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.names import DRIFT, RESULT, production_key
from vector_pipeline.assets.placing import takes_project
from vector_pipeline.assets.steps import launched_by, step
from vector_pipeline.drift import DriftReport
from vector_pipeline.errors import NotFoundError
from vector_pipeline.project import Project
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.resources import ProjectResource


class AuditSettings(dg.Config):
    """What a run may say about an audit."""

    level: Literal["configured", "count", "ids", "sample", "full"] = "configured"
    """How deep it looks; ``configured``: as ``drift.audit_level`` says."""
    by: str = ""
    """Who asks; default: the run's ``user`` tag, or the account that runs Dagster."""


def drift_check(dataset: str) -> dg.AssetChecksDefinition:
    """``drift`` of ``production_index``."""

    @dg.asset_check(
        asset=production_key(dataset),
        name=DRIFT,
        description="What the target holds now, against what production should serve. Every result is kept in the registry too.",
    )
    @takes_project(dataset)
    def body(
        context: dg.AssetCheckExecutionContext, config: AuditSettings, project: ProjectResource
    ) -> dg.AssetCheckResult:
        with step(context):
            core = project.get()
            if not serves(core, dataset):
                return nothing_served(_result([]))
            level = core.dataset(dataset).drift.audit_level if config.level == "configured" else config.level
            reports = core.drift(
                dataset, PRODUCTION, level=level, run_id=context.run.run_id, by=config.by or launched_by(context)
            )
            return _as_check(reports)

    return body


def serves(core: Project, dataset: str) -> bool:
    """Whether anything of a dataset is in production."""
    try:
        return core.registry(read_only=True).alias(dataset, core.environment, PRODUCTION) is not None
    except NotFoundError:
        return False


def nothing_served(result: dg.JsonMetadataValue) -> dg.AssetCheckResult:
    """What a check of production says before there is any."""
    said = "nothing is in production yet"
    metadata: show.Metadata = {"status": "skipped", "summary": said, RESULT: result}
    return dg.AssetCheckResult(passed=True, description=said, metadata=metadata)


def looked(passed: bool, summary: str, numbers: show.Metadata, more: show.Metadata) -> dg.AssetCheckResult:
    """What a look at production says: non-blocking, but an error. ``numbers`` stand by themselves: so the UI plots them."""
    said: show.Metadata = {"status": "passed" if passed else "failed", "summary": summary}
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=summary,
        metadata={**numbers, **said, **more},
    )


def _as_check(reports: list[DriftReport]) -> dg.AssetCheckResult:
    """An error: somebody else's hand in the index is not a matter of taste."""
    drifted = any(report.drifted for report in reports)
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(report.counts)
    summary = "; ".join(report.summary for report in reports)
    examples = [
        {"kind": kind, "namespace": report.namespace, "examples": ", ".join(names)}
        for report in reports
        for kind, names in report.examples.items()
        if names
    ]
    return looked(
        not drifted,
        summary,
        dict(counts),
        {
            "version": reports[0].version if reports else 0,
            "level": reports[0].level.value if reports else "",
            "mark": ", ".join(report.mark or "no namespace" for report in reports),
            "seconds": show.seconds(sum(report.seconds for report in reports)),
            **({"examples": show.table(examples)} if examples else {}),
            RESULT: _result(reports),
        },
    )


def _result(reports: list[DriftReport]) -> dg.JsonMetadataValue:
    return show.plain(
        {"drifted": any(report.drifted for report in reports), "reports": [report.to_json() for report in reports]}
    )
