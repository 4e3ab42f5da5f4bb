"""Deployments and verdicts."""

import pytest

from tests.registry.conftest import begin, new_version, pushed, record
from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry import DeploymentStatus, Registry, VerdictStatus


def test_beginning_again_finds_the_same_deployment_and_sets_it_back(registry: Registry) -> None:
    version = record(registry, "d1")
    deployment = begin(registry, version)
    assert (deployment.status, deployment.digest, deployment.space) == (DeploymentStatus.PUSHING, None, "minilm")
    done = registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED, "d1")
    assert (done.id, done.status, done.digest) == (deployment.id, DeploymentStatus.PUSHED, "d1")
    assert registry.deployment(done.id) == done
    again = begin(registry, version)
    assert (again.id, again.status, again.digest) == (done.id, DeploymentStatus.PUSHING, None)
    assert again.created_at == deployment.created_at
    assert again.updated_at >= done.updated_at


def test_deployments_are_found_by_place_and_listed_in_order(registry: Registry) -> None:
    first, second = pushed(registry, "d1"), pushed(registry, "d2")
    elsewhere = begin(registry, registry.version("handbook", 1), environment="prod")
    assert [one.id for one in registry.deployments("handbook")] == [first.id, second.id, elsewhere.id]
    assert registry.deployments("handbook", "prod") == [elsewhere]
    assert registry.find_deployment("dev", "local", "main", 2) == second
    assert registry.find_deployment("dev", "local", "other", 2) is None


def test_a_deployment_that_cannot_be_is_refused(registry: Registry) -> None:
    version = record(registry, "d1")
    with pytest.raises(NotFoundError, match="no deployment 99"):
        registry.deployment(99)
    with pytest.raises(NotFoundError, match="no deployment 99"):
        registry.finish_deployment(99, DeploymentStatus.FAILED)
    place = {"environment": "dev", "target": "local", "namespace": "main", "space": "minilm", "fingerprint": "minilm-1"}
    with pytest.raises(NotFoundError, match="no version v2"):
        registry.begin_deployment(dataset="handbook", version=2, records=1, **place)
    with pytest.raises(RefusedError, match="is in space minilm"):
        registry.begin_deployment(dataset="handbook", version=1, records=1, **{**place, "fingerprint": "x"})
    begin(registry, version)
    record(registry, "d1", dataset="faq")
    with pytest.raises(RefusedError, match="belongs to handbook"):
        registry.begin_deployment(dataset="faq", version=1, records=1, **place)
    record(registry, "d2", dataset="faq")
    with pytest.raises(RefusedError, match="belongs to handbook"):  # Whatever the version's number.
        registry.begin_deployment(dataset="faq", version=2, records=1, **place)
    registry.mark_expired("handbook", [1])
    with pytest.raises(RefusedError, match="has expired"):
        begin(registry, version)
    deployment = registry.deployments("handbook")[0]
    with pytest.raises(InputError, match="needs its digest"):
        registry.finish_deployment(deployment.id, DeploymentStatus.PUSHED)
    with pytest.raises(InputError, match="cannot finish as pushing"):
        registry.finish_deployment(deployment.id, DeploymentStatus.PUSHING)


def test_what_an_alias_points_at_is_not_retired(registry: Registry) -> None:
    first, second = pushed(registry, "d1"), pushed(registry, "d2")
    registry.move_alias("handbook", "dev", "production", to=first.id, expected=None, by="me", reason="")
    with pytest.raises(RefusedError, match="alias production points at deployment"):
        registry.finish_deployment(first.id, DeploymentStatus.RETIRED)
    registry.move_alias("handbook", "dev", "production", to=second.id, expected=first.id, by="me", reason="")
    assert registry.finish_deployment(first.id, DeploymentStatus.RETIRED).status is DeploymentStatus.RETIRED


def test_only_the_latest_passed_verdict_for_the_digest_counts(registry: Registry) -> None:
    deployment = pushed(registry, "d1")
    required = ["coverage", "canaries", "data"]
    assert registry.verified(deployment.id, "d1", required) == required

    def say(check: str, status: VerdictStatus, digest: str = "d1") -> None:
        registry.record_verdict(deployment.id, check, status, digest=digest, detail={"hits": 0.5, "of": ["ä", None]})

    say("coverage", VerdictStatus.PASSED)
    say("canaries", VerdictStatus.FAILED)
    say("data", VerdictStatus.UNKNOWN)
    assert registry.verified(deployment.id, "d1", required) == ["canaries", "data"]
    say("canaries", VerdictStatus.PASSED)
    say("data", VerdictStatus.PASSED, digest="d0")
    say("coverage", VerdictStatus.FAILED, digest="d0")
    assert registry.verified(deployment.id, "d1", required) == ["data"]
    say("data", VerdictStatus.WARNED, digest="d2")
    assert registry.verified(deployment.id, "d2", ["data"]) == []  # A warning does not block.
    assert registry.verified(deployment.id, "d0", required) == ["coverage", "canaries"]
    say("coverage", VerdictStatus.FAILED)
    assert registry.verified(deployment.id, "d1", ["coverage"]) == ["coverage"]
    latest = registry.verdicts(deployment.id)
    assert [(one.check, one.status, one.digest) for one in latest] == [
        ("canaries", VerdictStatus.PASSED, "d1"),
        ("coverage", VerdictStatus.FAILED, "d1"),
        ("data", VerdictStatus.WARNED, "d2"),
    ]
    assert latest[0].detail == {"hits": 0.5, "of": ["ä", None]}


def test_a_verdict_on_nothing_or_with_no_json_is_refused(registry: Registry) -> None:
    with pytest.raises(NotFoundError):
        registry.record_verdict(1, "coverage", VerdictStatus.PASSED, digest="d1")
    deployment = pushed(registry, "d1")
    for detail in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(InputError):
            registry.record_verdict(deployment.id, "coverage", VerdictStatus.PASSED, digest="d1", detail=detail)
    assert registry.verdicts(deployment.id) == []
    assert registry.record_version(new_version("d1"))[1] is False


def test_a_verdict_on_the_target_counts_for_its_mark_only(registry: Registry) -> None:
    deployment = pushed(registry, "d1")
    made = registry.record_verdict(deployment.id, "coverage", VerdictStatus.PASSED, digest="d1", mark="m1")
    assert made.mark == "m1"
    assert registry.verified(deployment.id, "d1", ["coverage"]) == []
    assert registry.verified(deployment.id, "d1", ["coverage"], mark="m1") == []
    assert registry.verified(deployment.id, "d1", ["coverage"], mark="m2") == ["coverage"]
    registry.record_verdict(deployment.id, "coverage", VerdictStatus.PASSED, digest="d1")
    assert registry.verified(deployment.id, "d1", ["coverage"], mark="m2") == ["coverage"]
