"""Other hands: whether something else wrote to a namespace since our last finished write. By marks: no record is read.

Laws
----
1. After our last finished write the namespace's mark is recorded. The same mark now: nobody has written since.
2. A push of ours that is under way, or did not end, moves the mark too. Its journal tells which marks it left, or that it may have
   left any: then another mark says nothing.
3. Our own write moves the recorded mark on only where nobody else need have written before it. Else somebody else's hand would be
   hidden by ours.
"""

from collections.abc import Collection, Mapping
from typing import Any

from vector_pipeline.release.registry import Outcome, Registry
from vector_pipeline.targets.base import NamespaceState, Target


def untouched(registry: Registry, environment: str, target: str, namespace: str, mark: str | None) -> bool:
    """Whether a namespace with this mark is as our last finished write left it (law 1). False where none was recorded."""
    known = registry.namespace_record(environment, target, namespace)
    return known is not None and known.mark == mark


def explained(registry: Registry, environment: str, target: str, namespace: str, mark: str | None) -> bool:
    """Whether nobody else need have written for the namespace to have this mark (laws 2 and 3).

    ``mark`` None: it does not exist. Where no write of ours was ever recorded there is nothing to hide.
    """
    known = registry.namespace_record(environment, target, namespace)
    if known is None or mark in (None, known.mark):
        return True
    left: set[str | None] = {known.mark}
    for push in reversed(registry.unfinished_pushes(environment, target, namespace, known.updated_at)):
        began = _began(push.plan)
        if began is not None and began not in left:
            return False
        for entry in registry.journal(push.id):
            said = entry.outcome_payload or {}
            if entry.outcome is Outcome.LANDED:
                left.add(said.get("mark"))
            elif entry.outcome is not Outcome.NOT_LANDED or said.get("read_back"):
                # Nobody knows, or it was not there when it was looked for and may have arrived since.
                return True
    return mark in left or None in left


def _began(plan: Mapping[str, Any]) -> str | None:
    """The mark that a push or a repair was planned from; None where its record does not say."""
    found = (plan.get("preconditions") or plan).get("mark")
    return found if isinstance(found, str) else None


def record(
    registry: Registry, dataset: str, environment: str, target: Target, namespace: str, marks: Collection[str | None]
) -> NamespaceState | None:
    """Say what a namespace is after our last write, where the state before it was ``explained``, or compared whole; returns it.

    ``marks``: those before our writes and after each (None among them: of some the target did not say it). Another one now is of a
    hand that wrote meanwhile, or of a twin of ours that nobody can tell from one: nothing is recorded.
    """
    state = target.describe(namespace)
    if state is None or (state.mark not in marks and None not in marks):
        return None
    registry.record_namespace(
        environment, target.name, namespace, dataset=dataset, mark=state.mark, records=state.records
    )
    return state
