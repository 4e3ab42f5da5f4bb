"""The gate ``source freshness``: is what is released as new as its source, in every shard?

Laws
----
1. A version that holds what its source lists now has no age. Else its age counts from when the version was made.
2. A shard that was not read when the others were fails the version, whatever its age (``shards``).
3. A source that cannot be asked from here is not a failure by itself: the version is compared with the one before it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.freshness.shards import Shard, against_parent, behind, left_out, untouched
from vector_pipeline.verify.freshness.source import Compared, against_source
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status

NAME = "source freshness"


def judge(context: GateContext) -> CheckResult:
    """Laws 1 to 3."""
    compared = against_source(context)
    if compared.why_not and not compared.at_once:
        shards = against_parent(context)
        stale = left_out(shards)
    else:
        shards = compared.shards
        stale = behind(shards) or (untouched(shards, against_parent(context)) if compared.parts else [])
    faults = [*_too_old(context, compared), *_stale(stale, compared)]
    age = _hours(context, context.version.created_at)
    detail: dict[str, Any] = {
        "age_h": 0.0 if compared.same else age, "made_h_ago": age, "differ": compared.differ, "not_compared": compared.why_not,
        "stale_shards": [one.shard for one in stale], "charts": _charts(shards, compared),
    }  # fmt: skip
    examples = [_shown(one) for one in stale[:EXAMPLES]]
    if faults:
        return CheckResult(NAME, Status.FAILED, "; ".join(faults), detail, tuple(examples))
    if compared.parts and compared.differ:
        said = f"shards were read from different states of the source: {compared.differ:,} documents differ from it now"
        return CheckResult(NAME, Status.WARNED, said, detail)
    return CheckResult(NAME, Status.PASSED, _passed(context, compared, age), detail)


def _shown(one: Shard) -> Mapping[str, Any]:
    return {
        "fault": "stale shard", "shard": one.shard, "documents": one.documents, "differ": one.differ,
        "such_as": list(one.examples),
    }  # fmt: skip


def _hours(context: GateContext, since: datetime) -> float:
    return round((context.now - since).total_seconds() / 3600, 2)


def _too_old(context: GateContext, compared: Compared) -> list[str]:
    limits, found = context.gates.freshness, []
    age = _hours(context, context.version.created_at)
    if limits.max_age_h is not None and age > limits.max_age_h and not compared.same:
        behind_by = f", and its source has changed since ({compared.differ:,} documents)" if compared.differ else ""
        found.append(f"the version was made {age:.1f} hours ago{behind_by}; {limits.max_age_h:g} are tolerated")
    if limits.max_quiet_h is not None:
        newest = context.lake.row(f"SELECT max(updated_at) FROM {context.candidate.documents}")[0]
        quiet = None if newest is None else _hours(context, newest.replace(tzinfo=UTC))
        if quiet is None or quiet > limits.max_quiet_h:
            said = "nothing has come" if quiet is None else f"nothing has come or changed for {quiet:.1f} hours"
            found.append(f"{said} from the source; {limits.max_quiet_h:g} are tolerated")
    return found


def _stale(stale: Sequence[Shard], compared: Compared) -> list[str]:
    if not stale:
        return []
    names = ", ".join(str(one.shard) for one in stale[:EXAMPLES])
    what = "shard" if len(stale) == 1 else "shards"
    if compared.why_not:
        return [f"{what} {names} took none, or nearly none, of the changes that the others took: not read again"]
    differ = sum(one.differ for one in stale)
    return [f"{what} {names} differ from the source in {differ:,} documents, the others do not: not read again"]


def _passed(context: GateContext, compared: Compared, age: float) -> str:
    bounds = context.gates.freshness
    unbound = bounds.max_age_h is None and bounds.max_quiet_h is None
    end = "; no bound is set" if unbound else ""
    if compared.same:
        return f"the version holds what its source lists now{end}"
    if compared.why_not:
        return f"the version was made {age:.1f} hours ago ({compared.why_not}){end}"
    return (
        f"the version was made {age:.1f} hours ago; {compared.differ:,} documents of its source have changed since{end}"
    )


def _charts(shards: Sequence[Shard], compared: Compared) -> list[Mapping[str, Any]]:
    if not any(one.differ for one in shards) or len(shards) > 256:
        return []
    against = "the version before" if compared.why_not else "its source now"
    labels, counts = [str(one.shard) for one in shards], [one.differ for one in shards]
    return [
        {
            "kind": "bars",
            "title": f"Documents that differ from {against}, by shard",
            "labels": labels,
            "series": {"differ": counts},
        }
    ]
