"""What ``report --json`` prints. Keys are a promise: they are only ever added."""

from typing import Any

from vector_pipeline.report.page.facts import Facts, Missing


def facts_json(facts: Facts) -> dict[str, Any]:
    """A report's facts in short: gates with their status and line; their detail is in ``status --json``."""
    changes = None if isinstance(facts.changes, Missing) else facts.changes
    pushed = None if isinstance(facts.pushed, Missing) else facts.pushed
    return {
        "dataset": facts.version.dataset,
        "version": facts.version.number,
        "environment": facts.environment,
        "outlook": facts.outlook.value,
        "compared_with": facts.served.number if facts.served is not None else None,
        "blocking": [gate.name for gate in facts.blocking],
        "warning": [gate.name for gate in facts.warning],
        "gates": [
            {
                "name": gate.name, "target": gate.place, "status": gate.status.value, "mode": gate.mode,
                "summary": gate.outdated or gate.summary, "override": gate.override,
                "override_in_force": gate.in_force,
            }
            for gate in facts.gates
        ],
        "documents": None if changes is None else {
            "added": changes.documents_added, "changed": changes.documents_changed, "removed": changes.documents_removed,
            "unchanged": changes.documents_unchanged, "moved": changes.documents_moved,
        },
        "pushed": None if pushed is None else {
            "strategy": pushed.plan.strategy.value, "namespace": pushed.plan.namespace, "vectors": pushed.plan.vectors,
            "records": pushed.plan.writes, "done": pushed.done, "seconds": pushed.seconds,
        },
        "commands": [command for _, command in facts.commands],
    }  # fmt: skip
