"""The findings of a suite as one gate's result."""

from collections.abc import Sequence

from vector_pipeline.verify.expectations.finding import Finding
from vector_pipeline.verify.expectations.suite import Suite
from vector_pipeline.verify.facts import NAMES
from vector_pipeline.verify.outcome import CheckResult, Status


def verdict(gate: str, suite: Suite, rows: int, findings: Sequence[Finding]) -> CheckResult:
    """Failed when a critical expectation breaks; else unknown when one was not evaluated; else a warning when a lesser breaks."""
    broken = [one for one in findings if one.breaks]
    critical = [one for one in broken if one.expectation.severity == "critical"]
    unknown = [one for one in findings if one.error is not None]
    warned = [one for one in broken if one.expectation.severity == "warning"]
    status = Status.FAILED if critical else Status.UNKNOWN if unknown else Status.WARNED if warned else Status.PASSED
    detail = {
        "rows": rows,
        "suite": str(suite.path) if suite.path is not None else "default",
        "expectations": [one.to_json() for one in findings],
    }
    examples = tuple({"expectation": one.expectation.says, **row} for one in broken for row in one.named)
    return CheckResult(gate, status, _summary(suite, rows, findings, [*critical, *warned], unknown), detail, examples)


def _summary(
    suite: Suite, rows: int, findings: Sequence[Finding], broken: Sequence[Finding], unknown: Sequence[Finding]
) -> str:
    said = [f"'{one.expectation.says}' could not be evaluated: {one.error}" for one in unknown]
    if broken:
        faults = [f"{one.expectation.says} ({_extent(suite, one)})" for one in broken]
        return f"{suite.kind}: {len(broken)} of {len(findings)} expectations fail: {'; '.join([*faults, *said])}"
    if said:
        return f"{suite.kind}: {'; '.join(said)}"
    info = [one for one in findings if one.breaks]
    told = (
        f"; for information: {'; '.join(f'{one.expectation.says} ({_extent(suite, one)})' for one in info)}"
        if info
        else ""
    )
    return f"{suite.kind}: {len(findings) - len(info)} expectations hold for {rows:,} rows{told}"


def _extent(suite: Suite, one: Finding) -> str:
    """``12 of 3,000 rows, such as a.md``."""
    of = one.result.get("element_count")
    seen = one.observed
    extent = (
        f"{one.result['unexpected_count']:,} of {of:,} rows"
        if of
        else f"{seen:.6g}"
        if isinstance(seen, float)
        else "see Data Docs"
        if seen is None and one.private
        else f"{seen}"
    )
    return extent + (f", such as {one.rows[0][NAMES[suite.kind][0]]}" if one.rows else "")
