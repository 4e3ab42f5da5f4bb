"""What uses a space, and that retiring it expires all its versions or none."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.registry.conftest import begin, new_version
from vector_pipeline.errors import RefusedError
from vector_pipeline.release.registry import Deployment, DeploymentStatus, NewFill, Registry
from vector_pipeline.release.registry.fills import FillStatus, failed_now

OLD = ("handbook", "minilm", "minilm-1")


@pytest.fixture
def three(registry: Registry) -> Registry:
    """v1 and v2 of a space, and v3 of another one."""
    for digest, space in (("a", "minilm"), ("b", "minilm"), ("c", "mpnet")):
        registry.record_version(new_version(digest, space=space))
    return registry


def pushed(registry: Registry, number: int) -> Deployment:
    deployment = begin(registry, registry.version("handbook", number))
    return registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, "digest")


def expired(registry: Registry) -> list[int]:
    return [one.number for one in registry.versions("handbook") if one.expired_at is not None]


def test_all_of_its_versions_expire_and_no_other(three: Registry) -> None:
    assert three.uses("handbook", [1, 2, 3], grace_s=10**6) == []
    assert three.retire_space(*OLD, grace_s=0) == [1, 2]
    assert expired(three) == [1, 2]
    assert three.retire_space(*OLD, grace_s=0) == []
    assert three.retire_space("handbook", "minilm", "another", grace_s=0) == []


def test_none_expires_while_one_is_pinned(three: Registry) -> None:
    three.pin("handbook", 2)
    assert [(one.kind, one.version) for one in three.uses("handbook", [1, 2], grace_s=0)] == [("pinned", 2)]
    with pytest.raises(RefusedError, match=r"v2 is pinned: .* Unpin it first: vector-pipeline unpin handbook 2"):
        three.retire_space(*OLD, grace_s=0)
    assert expired(three) == []


def test_none_expires_while_an_alias_or_a_route_points_at_one_or_did_a_moment_ago(three: Registry) -> None:
    first, third = pushed(three, 1), pushed(three, 3)

    def move(to: int, expected: int | None) -> None:
        three.move_alias("handbook", "dev", "production", to=to, expected=expected, by="test", reason="")

    move(first.id, None)
    with pytest.raises(RefusedError, match="alias production of dev points at v1"):
        three.retire_space(*OLD, grace_s=0)
    move(third.id, first.id)
    (left,) = three.uses("handbook", [1, 2], grace_s=3600)
    assert (left.kind, left.version, left.name, left.environment) == ("left", 1, "production", "dev")
    assert left.until is not None
    assert timedelta(minutes=50) < left.until - datetime.now(UTC) < timedelta(minutes=70)
    with pytest.raises(RefusedError, match="readers may read it until"):
        three.retire_space(*OLD, grace_s=3600)
    three.begin_route(
        "handbook", "dev", version=1, deployments=[first.id], share=0.25, beside=third.id, by="test", reason=""
    )
    assert [(one.kind, one.share) for one in three.uses("handbook", [1], grace_s=0)] == [("route", 0.25)]
    with pytest.raises(RefusedError, match=r"25% of production's readers"):
        three.retire_space(*OLD, grace_s=0)
    three.end_route("handbook", "dev", by="test")
    assert {one.name for one in three.uses("handbook", [1], grace_s=3600)} == {"route", "production"}
    assert expired(three) == []
    assert three.retire_space(*OLD, grace_s=0) == [1, 2]
    with pytest.raises(RefusedError, match="expired"):
        move(first.id, third.id)


def test_what_was_filled_counts_as_not_filled_afterwards(three: Registry) -> None:
    done, failed = NewFill(shard=0, status=FillStatus.DONE), NewFill(shard=1, status=FillStatus.FAILED, error="no")
    three.record_fills(*OLD, [done, failed])
    three.record_fills("handbook", "mpnet", "mpnet-1", [done])
    assert three.filled_spaces("handbook") == [("minilm", "minilm-1"), ("mpnet", "mpnet-1")]
    assert three.filled_shards("handbook", "minilm", "minilm-1") == {0}
    three.retire_space(*OLD, grace_s=0)
    assert three.filled_shards("handbook", "minilm", "minilm-1") == set()
    assert failed_now(three.fills("handbook", "minilm", "minilm-1")) == {}
    assert three.filled_shards("handbook", "mpnet", "mpnet-1") == {0}
    assert three.fills("handbook", "minilm", "minilm-1") == []
    assert three.filled_shards("handbook", "renamed", "mpnet-1") == set()
    three.retire_space(*OLD, grace_s=0)
    three.record_fills(*OLD, [done])
    assert three.filled_shards("handbook", "minilm", "minilm-1") == {0}
