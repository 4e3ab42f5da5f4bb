"""What namespaces were after our last write, audits, what an erasure rewrites, and what the journal says of speed."""

import pytest

from tests.registry.conftest import begin, pushed, record
from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry import (
    DeploymentStatus,
    Intent,
    Outcome,
    OutcomeRecord,
    PushStatus,
    Registry,
)


def test_a_namespace_is_what_it_was_after_the_last_write(registry: Registry) -> None:
    assert registry.namespace_record("dev", "local", "main") is None
    made = registry.record_namespace("dev", "local", "main", dataset="handbook", mark="m1", records=3)
    again = registry.record_namespace("dev", "local", "main", dataset="handbook", mark="m2", records=2**40)
    assert (again.mark, again.records) == ("m2", 2**40)
    assert again.updated_at >= made.updated_at
    assert registry.namespace_record("dev", "local", "main") == again
    assert registry.namespace_record("prod", "local", "main") is None
    for _ in range(2):
        registry.forget_namespace("dev", "local", "main")
    assert registry.namespace_record("dev", "local", "main") is None


def test_audits_are_added_and_found_newest_first(registry: Registry) -> None:
    deployment = pushed(registry, "d1")
    common = {"dataset": "handbook", "environment": "dev", "level": "ids"}
    counts = {"expected": 2, "missing": 1}
    first = registry.record_audit(
        **common, alias="production", deployment_id=deployment.id, drifted=True, counts=counts,
        detail={"examples": ["ä"]}, run_id="r", by="ann",
    )  # fmt: skip
    second = registry.record_audit(**common, alias=None, deployment_id=None, drifted=False, counts={}, detail={})
    assert registry.audits("handbook") == [second, first]
    assert registry.audits("handbook", "dev", limit=1) == [second]
    assert registry.audits("handbook", deployment_id=deployment.id) == [first]
    assert registry.audits("handbook", "prod") == registry.audits("other") == []
    assert (first.counts, first.detail, first.drifted, first.by, first.run_id) == (
        counts, {"examples": ["ä"]}, True, "ann", "r",
    )  # fmt: skip
    with pytest.raises(NotFoundError, match="no deployment 99"):
        registry.record_audit(**common, alias=None, deployment_id=99, drifted=False, counts={}, detail={})
    with pytest.raises(InputError):
        registry.record_audit(
            **common, alias=None, deployment_id=None, drifted=False, counts={"a": object()}, detail={}
        )


def test_an_erasure_rewrites_a_version_and_the_digests_of_its_deployments(registry: Registry) -> None:
    done = pushed(registry, "d1")
    open_ = begin(registry, registry.version("handbook", 1), environment="prod")
    other = pushed(registry, "d2")
    version = registry.rewrite_version("handbook", 1, lake_snapshot=9, digest="e1", documents=9, records=8)
    assert (version.lake_snapshot, version.digest, version.documents, version.records) == (9, "e1", 9, 8)
    assert registry.redigest_deployments("handbook", 1, "e1") == [done.id]
    assert registry.deployment(done.id).digest == "e1"
    assert registry.deployment(open_.id).digest is None
    assert registry.deployment(other.id).digest == "d2"
    with pytest.raises(NotFoundError):
        registry.rewrite_version("handbook", 9, lake_snapshot=9, digest="e", documents=1, records=1)
    registry.mark_expired("handbook", [2])
    with pytest.raises(RefusedError, match="has expired"):
        registry.rewrite_version("handbook", 2, lake_snapshot=9, digest="e", documents=1, records=1)


def test_pushes_that_nobody_closed_are_found_by_namespace(registry: Registry) -> None:
    one = begin(registry, record(registry, "d1"))
    two = begin(registry, record(registry, "d2"), namespace="other")
    first, second = (registry.open_push(one.id, {}, fence) for fence in (1, 2))
    registry.open_push(two.id, {}, 1)
    assert [push.id for push in registry.open_pushes("dev", "local", "main")] == [second, first]
    registry.close_push(second, PushStatus.ABANDONED)
    assert [push.id for push in registry.open_pushes("dev", "local", "main")] == [first]
    assert registry.open_pushes("prod", "local", "main") == []


def test_throughput_counts_what_landed_in_finished_pushes(registry: Registry) -> None:
    assert registry.throughput("local", "dev") is None
    deployment = begin(registry, record(registry, "d1"))
    push = registry.open_push(deployment.id, {}, 1)
    ids = registry.intents(push, [Intent("ensure-namespace"), Intent("upsert"), Intent("upsert"), Intent("close")])
    landed = [
        OutcomeRecord(intent, Outcome.LANDED, {"records": records, "bytes": 10 * records})
        for intent, records in zip(ids, (0, 100, 200, 7), strict=True)
    ]
    registry.outcomes(push, landed)
    assert registry.throughput("local", "dev") is None  # Not before the push is done.
    registry.close_push(push, PushStatus.DONE)
    registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, "d1")
    found = registry.throughput("local", "dev")
    assert found is not None
    assert (found.records, found.bytes, found.writes) == (307, 3070, 3)
    # The three were under way at once: their time counts once.
    entries = registry.journal(push)
    span = (max(e.outcome_at for e in entries if e.outcome_at) - entries[0].at).total_seconds()
    assert found.seconds == pytest.approx(span)
    upserts = registry.throughput("local", "dev", step="upsert")
    assert upserts is not None
    assert upserts.records == 300
    assert registry.throughput("local", "dev", step="up%") is None
    assert registry.throughput("other", "dev") is registry.throughput("local", "prod") is None
