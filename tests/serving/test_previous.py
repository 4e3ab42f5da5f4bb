"""The version before stands in only while it may: kept, configured, answering. And what is told is what production said."""

from collections.abc import Iterator

import pytest

from tests.serving.conftest import namespace_of
from tests.serving.test_breaker import lost, served  # noqa: F401 (a fixture)
from vector_pipeline.errors import NotFoundError, VectorPipelineError
from vector_pipeline.project import Project
from vector_pipeline.serving import Index, open_index
from vector_pipeline.serving.breaker import FAILURES


@pytest.fixture
def index(served: Project) -> Iterator[Index]:  # noqa: F811
    """A reader that asks the registry at every query."""
    with open_index("handbook", project=served.base, retries=0, max_staleness_s=0) as opened:
        yield opened


def fail(index: Index, times: int = FAILURES + 2) -> list[VectorPipelineError]:
    errors = []
    for _ in range(times):
        with pytest.raises(VectorPipelineError) as raised:
            index.search("about page 1")
        errors.append(raised.value)
    return errors


def test_a_version_that_was_retired_does_not_stand_in(served: Project, index: Index) -> None:  # noqa: F811
    goal = served.deployment_of(served.version("handbook", 1))
    assert index._follower.current().previous is not None
    # As collecting does before it deletes anything: what is in the namespace is there still.
    served.registry().retire_deployments([goal.id], grace_s=0)
    lost(served, 2)
    assert {type(one) for one in fail(index)} == {NotFoundError}
    assert "previous" not in index.metrics().arms
    assert not index.health().ok


def test_a_version_that_expired_does_not_stand_in(served: Project, index: Index) -> None:  # noqa: F811
    served.registry().mark_expired("handbook", [1])
    lost(served, 2)
    fail(index)
    assert "previous" not in index.metrics().arms


def test_a_space_out_of_the_configuration_does_not_stand_in(served: Project) -> None:  # noqa: F811
    config = served.base / "vector_pipeline.yaml"
    config.write_text(config.read_text().replace("tiny", "other"), encoding="utf-8")
    with open_index("handbook", project=config) as index:
        assert index._follower.current().previous is None


def test_what_is_told_is_what_production_said(served: Project, index: Index) -> None:  # noqa: F811
    # One name begins with the other.
    first, second = (f"namespace {namespace_of(served, number)} (" for number in (1, 2))
    assert index.search("about page 1").arm == "production"
    lost(served, 2)
    lost(served, 1)
    errors = fail(index, 3 * FAILURES)
    assert all(second in str(one) and first not in str(one) for one in errors)
    noted = [" ".join(getattr(one, "__notes__", [])) for one in errors]
    # Until its breaker opens nobody stands in; then the version before was asked, and said so; then its own breaker opened, too.
    assert [first in one for one in noted] == [n >= FAILURES - 1 and n < 2 * FAILURES - 1 for n in range(3 * FAILURES)]
    assert all(one.startswith("previous (version 1 in local ") for one in noted if one)
    assert index.metrics().arms["previous"].count == FAILURES
    health = index.health()
    assert (health.ok, health.arm, health.breaker) == (False, "production", "open")


def test_what_is_written_again_stands_in_again(served: Project, index: Index) -> None:  # noqa: F811
    registry, held = served.registry(), served.deployment_of(served.version("handbook", 1))
    assert index._follower.current().previous is not None
    registry.begin_deployment(
        dataset="handbook", environment="dev", target="local", namespace=held.namespace, version=1, space=held.space,
        fingerprint=held.fingerprint, records=held.records,
    )  # fmt: skip
    assert index._follower.current().previous is None
    with open_index("handbook", project=served.base, max_staleness_s=0) as late:  # Which knows it from nowhere yet.
        assert late._follower.current().previous is None
        registry.finish_deployment(held.id, held.status, held.digest)
        for reader in (index, late):
            assert reader._follower.current().previous is not None
