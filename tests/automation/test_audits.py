"""What a clean audit ends: read from a run's own events."""

import dagster as dg
import pytest

from vector_pipeline.assets.failures import clean_audits


@dg.asset(key=["handbook", "production_index"])
def production() -> None:
    """As far as its checks go."""


def check(name: str, status: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=production, name=name)
    def body() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=status != "failed", metadata={"status": status})

    return body


@pytest.mark.parametrize(
    ("drift", "attestation", "clean"),
    [("passed", "passed", ["attestation", "drift"]), ("failed", "passed", ["attestation"]), ("skipped", "failed", [])],
)
def test_only_an_audit_that_looked_is_clean(
    drift: str, attestation: str, clean: list[str], instance: dg.DagsterInstance
) -> None:
    parts = [production, check("drift", drift), check("attestation", attestation)]
    done = dg.materialize(parts, instance=instance)
    assert sorted(clean_audits(instance, done.run_id, "handbook")) == clean
    assert clean_audits(instance, done.run_id, "faq") == []
