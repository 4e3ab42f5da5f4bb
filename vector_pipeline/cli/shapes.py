"""What ``--json`` prints: keys here are a promise. They are only ever added."""

from collections.abc import Mapping, Sequence
from typing import Any

from vector_pipeline.config.gates import Mode
from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.registry import Alias, Override, Version
from vector_pipeline.verify.outcome import CheckResult


def version_json(version: Version) -> dict[str, Any]:
    """One version."""
    return {
        "dataset": version.dataset,
        "version": version.number,
        "parent": version.parent,
        "made_at": version.created_at.isoformat(),
        "documents": version.documents,
        "records": version.records,
        "space": version.space,
        "fingerprint": version.fingerprint,
        "dimension": version.dimension,
        "metric": version.metric,
        "digest": version.digest,
        "lake_snapshot": version.lake_snapshot,
        "run_id": version.run_id,
        "code_revision": version.code_revision,
        "message": version.message,
        "pinned": version.pinned,
        "expired_at": version.expired_at.isoformat() if version.expired_at else None,
    }


def diff_json(dataset: str, old: int, new: int, diff: VersionDiff) -> dict[str, Any]:
    """A diff between two versions."""
    return {
        "dataset": dataset,
        "from": old,
        "to": new,
        "documents": {
            "added": diff.documents_added,
            "changed": diff.documents_changed,
            "removed": diff.documents_removed,
            "unchanged": diff.documents_unchanged,
            "moved": diff.documents_moved,
        },
        "records": {
            "added": diff.records_added,
            "metadata": diff.records_metadata,
            "removed": diff.records_removed,
            "unchanged": diff.records_unchanged,
        },
        "examples": diff.examples,
    }


def moved_json(dataset: str, before: Sequence[Alias], after: Sequence[Alias], *, moved: bool) -> dict[str, Any]:
    """What a promotion or a rollback did. ``moved``: by this very run."""
    return {
        "dataset": dataset,
        "moved": moved,
        "version": after[0].deployment.version if after else None,
        "before": before[0].deployment.version if before else None,
        "places": [
            {
                "alias": one.name,
                "target": one.deployment.target,
                "version": one.deployment.version,
                "generation": one.generation,
            }
            for one in after
        ],
    }


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as ``push --plan`` reads it back."""
    return plan.to_json()


def alias_json(alias: Alias | None) -> dict[str, Any] | None:
    """Where an alias points."""
    if alias is None:
        return None
    return {
        "version": alias.deployment.version,
        "deployment": alias.deployment.id,
        "target": alias.deployment.target,
        "namespace": alias.deployment.namespace,
        "space": alias.deployment.space,
        "digest": alias.deployment.digest,
        "records": alias.deployment.records,
        "generation": alias.generation,
        "moved_at": alias.moved_at.isoformat(),
        "moved_by": alias.moved_by,
        "reason": alias.reason,
    }


def gates_json(results: Sequence[CheckResult], modes: Mapping[str, Mode]) -> list[dict[str, Any]]:
    """Gates with their whole detail, and how strict they are."""
    return [{**result.to_json(), "mode": modes.get(result.name, "block")} for result in results]


def override_json(one: Override) -> dict[str, Any]:
    """A gate that a person let a version past."""
    return {
        "gate": one.check,
        "status": one.status.value,
        "summary": one.summary,
        "deployment": one.deployment_id,
        "digest": one.digest,
        "mark": one.mark,
        "at": one.at.isoformat(),
        "by": one.by,
        "reason": one.reason,
        "run_id": one.run_id,
    }


def hit_json(hit: Any) -> dict[str, Any]:
    """One hit of a query."""
    return {
        "document": hit.document,
        "score": float(hit.score),
        "text": hit.text,
        "metadata": dict(hit.metadata),
        "version": hit.version,
        "id": hit.id,
    }
