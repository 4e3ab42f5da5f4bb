"""A saved plan whose push did not end: the same command does what is left of it. Reads only.

Laws
----
1. The last pushes into the line were of this very plan, or went on with it, and did not end; or the last one did, and only gates
   or aliases are left.
2. Nobody else has written meanwhile: the journal explains the state that the target is in.
3. Nothing but the rest of what was looked at is done: the same version in the same place, and of no stage more records.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vector_pipeline.release.hands import explained
from vector_pipeline.release.plan import Action, Plan, Stage
from vector_pipeline.release.registry import Push, PushStatus, Registry

_ALL = 1_000


def is_rest_of(registry: Registry, saved: Plan, fresh: Plan) -> bool:
    """Whether what would be done now is the rest of a saved plan. ``fresh``: made under the line's lease."""
    return (
        _begun(registry, saved, fresh)
        and _within(saved, fresh)
        and _as_far_as(saved, fresh) == fresh.identity()
        and explained(registry, saved.environment, saved.target, saved.namespace, fresh.preconditions.mark)
    )


def _begun(registry: Registry, saved: Plan, fresh: Plan) -> bool:
    """Law 1."""
    looked_at = (saved.preconditions.mark, saved.preconditions.actions_digest, saved.preconditions.version_digest)
    writes = any(stage.records for stage in fresh.stages if not stage.where)
    for number, push in enumerate(_pushes(registry, saved)):
        ended = push.status is PushStatus.DONE
        if ended and (number or writes or not fresh.stages):
            return False
        before = push.plan.get("preconditions") or {}
        if push.plan.get("version") != saved.version:
            return False
        if (before.get("mark"), before.get("actions_digest"), before.get("version_digest")) == looked_at:
            return True
    return False


def _pushes(registry: Registry, saved: Plan) -> Iterator[Push]:
    """Of the plan's line, newest first."""
    here = {
        one.id
        for one in registry.deployments(saved.dataset, saved.environment)
        if (one.target, one.namespace) == (saved.target, saved.namespace)
    }
    every = registry.pushes(saved.dataset, saved.environment, limit=_ALL)
    return (push for push in every if push.deployment_id in here)


def _within(saved: Plan, fresh: Plan) -> bool:
    """Law 3, by numbers. Foreign records that stand there only now are another hand's."""
    fewer = _records(fresh.stages) <= _records(saved.stages)
    return fewer and fresh.actions[Action.FOREIGN] <= saved.actions[Action.FOREIGN]


def _records(stages: Iterable[Stage]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for stage in stages:
        found[stage.kind, stage.where] += stage.records
    return found


def _as_far_as(saved: Plan, fresh: Plan) -> Plan:
    """What a saved plan is, but for what its own beginning has changed."""
    now = fresh.identity()
    before = replace(
        saved.preconditions, mark=fresh.preconditions.mark, actions_digest=fresh.preconditions.actions_digest
    )
    return replace(
        saved.identity(), stages=now.stages, actions=now.actions, documents=now.documents, examples=now.examples,
        preconditions=before,
    )  # fmt: skip
