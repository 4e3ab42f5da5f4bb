"""Saved plans: a file holds the plan of one place, or of several in their order. No I/O."""

from collections.abc import Sequence
from typing import Any

from vector_pipeline.errors import InputError
from vector_pipeline.release.plan import FORMAT, Plan


def plans_to_json(plans: Sequence[Plan]) -> dict[str, Any]:
    """What ``plan --out`` saves."""
    if len(plans) == 1:
        return plans[0].to_json()
    return {"format": FORMAT, "parts": [one.to_json() for one in plans]}


def plans_from_json(data: Any) -> list[Plan]:
    """Inverse of ``plans_to_json``. ``InputError`` for anything else, and for plans of different datasets, versions or goals."""
    if not isinstance(data, dict) or "parts" not in data:
        return [Plan.from_json(data)]
    fix = "Make a new one: vector-pipeline plan --out FILE"
    parts = data["parts"]
    if data.get("format") != FORMAT or set(data) != {"format", "parts"} or not isinstance(parts, list) or not parts:
        raise InputError("not a plan file of this release", fix=fix)
    plans = [Plan.from_json(one) for one in parts]
    if len({(one.dataset, one.environment, one.version, one.goal) for one in plans}) > 1:
        raise InputError("the plan file is damaged: its parts do not belong together", fix=fix)
    return plans
