"""What a gate's finding means for a release: block, warn or off.

Laws
----
1. ``block``: a failure, and a gate that could not run, stop the release. ``warn``: both become a warning that says so.
2. What was judged is kept: ``detail["judged"]`` of a softened result.
"""

from dataclasses import replace

from vector_pipeline.config.gates import Mode
from vector_pipeline.verify.outcome import CheckResult, Status

JUDGED = "judged"


def under(mode: Mode, result: CheckResult) -> CheckResult:
    """A gate's result as the policy takes it."""
    if mode == "block" or not result.blocks:
        return result
    summary = f"{result.summary} (warns only: modes.{result.name.replace(' ', '_')})"
    return replace(result, status=Status.WARNED, summary=summary, detail={**result.detail, JUDGED: result.status.value})
