"""What ``history --json`` prints: keys here are a promise. They are only ever added."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from vector_pipeline.cli.shapes import diff_json, override_json, version_json
from vector_pipeline.release.past import Event, Span, records_of
from vector_pipeline.release.registry import Audit, Push
from vector_pipeline.release.registry.erasures import Erasure
from vector_pipeline.release.restoring import Placed, Restore, Served, VersionPast

Command = Callable[[tuple[str, ...]], str]


def event_json(event: Event, spaces: Mapping[int, str]) -> dict[str, Any]:
    """One line of the timeline. ``spaces``: of the versions, where there are several spaces; else both are null."""
    changes = None
    if event.changes is not None and event.from_version is not None and event.to_version is not None:
        changes = diff_json("", event.from_version, event.to_version, event.changes)
        del changes["dataset"]
    return {
        "alias": event.alias,
        "kind": event.kind,
        "from": event.from_version,
        "to": event.to_version,
        "from_space": spaces.get(event.from_version or 0),
        "to_space": spaces.get(event.to_version or 0),
        "at": event.at.isoformat(),
        "by": event.by,
        "reason": event.reason,
        "run_id": event.run_id,
        "changes": changes,
        "audit": audit_json(event.audit),
        "push": _push(event.push),
        "erasure": _erasure(event.erasure),
        "overrides": [override_json(one) for one in event.overrides],
    }


def audit_json(audit: Audit | None) -> dict[str, Any] | None:
    """One audit."""
    if audit is None:
        return None
    return {
        "level": audit.level,
        "drifted": audit.drifted,
        "counts": dict(audit.counts),
        "at": audit.at.isoformat(),
        "by": audit.by,
        "run_id": audit.run_id,
        "deployment": audit.deployment_id,
    }


def _push(push: Push | None) -> dict[str, Any] | None:
    if push is None:
        return None
    return {
        "id": push.id,
        "deployment": push.deployment_id,
        "status": push.status.value,
        "records": records_of(push),
        "opened_at": push.opened_at.isoformat(),
        "closed_at": _time(push.closed_at),
    }


def _erasure(erasure: Erasure | None) -> dict[str, Any] | None:
    if erasure is None:
        return None
    return {"id": erasure.id, "document_key": erasure.document_key, "open": erasure.open}


def version_past_json(past: VersionPast, command: Command) -> dict[str, Any]:
    """One version's whole story."""
    version = past.version
    changes = None
    if past.changes is not None and version.parent is not None:
        changes = diff_json(version.dataset, version.parent, version.number, past.changes)
    return {
        **version_json(version),
        "model": past.model,
        "embedder_fingerprint": version.embedder_fingerprint,
        "chunker": json.loads(version.chunker) if version.chunker else None,
        "changes": changes,
        "deployments": [_placed(one) for one in past.placed],
        "restore": restore_json(past.restore, command),
    }


def _placed(placed: Placed) -> dict[str, Any]:
    one, index = placed.deployment, placed.index
    return {
        "deployment": one.id,
        "environment": one.environment,
        "target": one.target,
        "namespace": one.namespace,
        "status": one.status.value,
        "strategy": one.strategy.value,
        "digest": one.digest,
        "records": one.records,
        "created_at": one.created_at.isoformat(),
        "updated_at": one.updated_at.isoformat(),
        "run_id": one.run_id,
        "aliases": list(placed.aliases),
        "served": [_span(span) for span in placed.served],
        "gates": [
            {
                "name": verdict.check,
                "status": verdict.status.value,
                "digest": verdict.digest,
                "mark": verdict.mark,
                "at": verdict.created_at.isoformat(),
                "run_id": verdict.run_id,
            }
            for verdict in placed.verdicts
        ],
        "overrides": [override_json(one) for one in placed.overrides],
        "audit": audit_json(placed.audit),
        "index": {
            "state": index.touch.value,
            "since": _time(index.since),
            "recorded_mark": index.recorded,
            "mark": index.mark,
            "why": index.why,
        },
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "deployment": span.deployment,
        "version": span.version,
        "from": span.since.isoformat(),
        "until": _time(span.until),
        "by": span.by,
        "kind": span.kind,
    }


def served_json(served: Served, command: Command) -> dict[str, Any]:
    """What production served for a time."""
    return {
        **_span(served.span),
        "documents": served.version.documents,
        "records": served.version.records,
        "digest": served.version.digest,
        "restore": restore_json(served.restore, command),
    }


def restore_json(way: Restore, command: Command) -> dict[str, Any]:
    """How to serve a version again."""
    return {"how": way.how.value, "why": way.why, "commands": [command(words) for words in way.commands]}


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
