"""What a gate's finding means for a release: block, warn or off.

Laws
----
1. ``block``: a failure, and a gate that could not run, stop the release. ``warn``: both become a warning that says so.
2. A gate that a person let a version past warns afterwards, where it says what it said then, or no clearly worse (``beyond``).
3. What was judged is kept: ``detail["judged"]`` of a softened result.
"""

from dataclasses import replace

from vector_pipeline.config.gates import Mode
from vector_pipeline.verify.beyond import beyond
from vector_pipeline.verify.outcome import CheckResult, Status

JUDGED = "judged"


def under(mode: Mode, result: CheckResult) -> CheckResult:
    """A gate's result as the policy takes it."""
    if mode == "block" or not result.blocks:
        return result
    return _softened(result, f"warns only: modes.{result.name.replace(' ', '_')}")


def let_past(result: CheckResult, then: CheckResult, *, by: str, reason: str) -> CheckResult:
    """Law 2. ``then``: what the gate said when it was overridden; ``by`` and ``reason`` whose decision it was."""
    if not result.blocks or beyond(then, result):
        return result
    return _softened(result, f"let past by {by}: {reason}")


def softened(result: CheckResult) -> bool:
    """Whether a result is a warning by policy alone."""
    return result.status is Status.WARNED and JUDGED in result.detail


def _softened(result: CheckResult, why: str) -> CheckResult:
    detail = {**result.detail, JUDGED: result.status.value}
    return replace(result, status=Status.WARNED, summary=f"{result.summary} ({why})", detail=detail)
