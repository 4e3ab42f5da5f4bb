"""Rules for the lifecycle of a bucket's objects: which is ours, and which takes away what the lake needs."""

import hashlib
from typing import Any

_RULE = "vector-pipeline"
_LONGEST_ID = 255
_COLD = frozenset(("GLACIER", "DEEP_ARCHIVE"))
"""Classes of storage that answer no read before somebody restores the object."""


def rule_id(prefix: str) -> str:
    """Of a prefix: environments that share a bucket keep each its own rule."""
    name = f"{_RULE}-{prefix}" if prefix else _RULE
    return name if len(name) <= _LONGEST_ID else f"{_RULE}-{hashlib.sha256(prefix.encode()).hexdigest()}"


def takes_away(rule: dict[str, Any], prefix: str) -> bool:
    """Whether a rule deletes present objects below a prefix by their age, or moves them where they cannot be read."""
    cold = any(one.get("StorageClass") in _COLD for one in rule.get("Transitions", []))
    expires = {"Days", "Date"} & rule.get("Expiration", {}).keys()
    if rule.get("Status") != "Enabled" or not (cold or expires):
        return False
    chosen = rule.get("Filter", {})
    theirs = str(chosen.get("Prefix", chosen.get("And", {}).get("Prefix", rule.get("Prefix", ""))))
    ours = f"{prefix}/" if prefix else ""
    return theirs.startswith(ours) or ours.startswith(theirs)
