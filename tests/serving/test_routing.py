"""Routes: a share of the readers, chosen by key for good; what is routed to is in use, and a move of production ends it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serving.conftest import edited
from vector_pipeline.errors import ConflictError, InputError, NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Route
from vector_pipeline.release.retention import kept
from vector_pipeline.serving import Index, open_index
from vector_pipeline.serving.arms import takes

KEYS = [f"user {number}" for number in range(400)]


@pytest.fixture
def index(released: Project) -> Iterator[Index]:
    """A reader that asks the registry at every query."""
    with open_index("handbook", project=released.base, max_staleness_s=0) as opened:
        yield opened


def versions(index: Index, keys: list[str]) -> dict[str, int]:
    return {key: index.search("about page 900", top_k=1, key=key).version for key in keys}


def routed(project: Project, share: float, version: int = 2) -> Route:
    return project.route("handbook", version, share, by="test", reason="try it")


@pytest.mark.slow
def test_a_share_of_the_keys_gets_the_other_version_and_keeps_it(released: Project, index: Index) -> None:
    keys = KEYS[:40]
    assert set(versions(index, keys).values()) == {1}
    routed(released, 0.2)
    few = versions(index, keys)
    assert set(few.values()) == {1, 2}
    assert versions(index, keys) == few
    routed(released, 0.6)
    more = versions(index, keys)
    assert all(more[key] == 2 for key in keys if few[key] == 2)
    assert sum(version == 2 for version in more.values()) > sum(version == 2 for version in few.values())
    answer = index.search("about page 900", top_k=1, key=next(key for key in keys if few[key] == 2))
    assert (answer.arm, answer.version, answer.hits[0].document) == ("route", 2, "page1.md")
    assert {name: one.errors for name, one in index.metrics().arms.items()} == {"production": 0, "route": 0}
    released.unroute("handbook", by="test")
    assert set(versions(index, keys).values()) == {1}


def test_a_whole_share_is_everybody(released: Project, index: Index) -> None:
    routed(released, 1.0)
    assert {index.search("page 1").arm for _ in range(5)} == {"route"}
    assert index.health().route == {"version": 2, "share": 1.0}
    with open_index("handbook", project=released.base, route=False) as still:
        assert still.search("page 1", key="anybody").version == 1
    with open_index("handbook", project=released.base, alias="staging") as staging:
        assert staging.search("page 1").arm == "staging"


@given(st.lists(st.text(), min_size=1, max_size=20), st.floats(0.01, 1), st.floats(0.01, 1))
def test_who_is_in_at_a_share_is_in_at_every_larger_one(keys: list[str], one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert all(takes("d", 7, large, key) for key in keys if takes("d", 7, small, key))
    assert all(takes("d", 7, 1.0, key) for key in keys)


@pytest.mark.slow
def test_keys_are_alike_in_every_process_and_the_share_is_what_was_asked() -> None:
    mine = [key for key in KEYS if takes("handbook", 2, 0.25, key)]
    script = (
        f"from vector_pipeline.serving.arms import takes\nprint([k for k in {KEYS!r} if takes('handbook', 2, 0.25, k)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(mine)
    assert 0.15 < len(mine) / len(KEYS) < 0.35
    # Another version tries other readers.
    assert mine != [key for key in KEYS if takes("handbook", 3, 0.25, key)]


def test_only_what_a_promotion_would_take_is_routed_to(released: Project) -> None:
    with pytest.raises(InputError, match="share"):
        routed(released, 0.0)
    with pytest.raises(RefusedError, match="serves version 1 to every reader"):
        routed(released, 0.1, version=1)
    (released.base / "documents" / "page0.md").unlink()
    released.build("handbook")
    built = released.version("handbook").number
    assert built == 3
    with pytest.raises(RefusedError, match="never pushed"):
        routed(released, 0.1, version=built)
    released.push("handbook")
    with pytest.raises(RefusedError, match="has not passed"):
        routed(released, 0.1, version=built)


@pytest.mark.slow
def test_moves_of_production_end_it_and_begin_no_other(released: Project) -> None:
    before = routed(released, 0.05)
    assert released.routed("handbook") == before
    released.promote("handbook", by="test")
    assert released.routed("handbook") is None
    with pytest.raises(RefusedError, match="was compared with"):
        routed(released, 0.05, version=1)
    released.verify("handbook", version=1)
    again = routed(released, 0.05, version=1)
    assert again.id != before.id
    released.rollback("handbook", by="test")
    assert released.routed("handbook") is None
    assert released.unroute("handbook", by="test") is None
    ended = released.registry().routes("handbook", "dev")
    assert [one.ended_by for one in ended] == ["test", "test"]
    with pytest.raises(ConflictError, match="moved meanwhile"):
        released.registry().begin_route(
            "handbook", "dev", version=2, deployments=[2], share=0.5, beside=10_000, by="late", reason=""
        )  # fmt: skip


def test_what_is_routed_to_is_in_use(released: Project) -> None:
    registry = released.registry()
    goal = released.deployment_of(released.version("handbook", 2))
    routed(released, 0.05)
    third = edited(released, 901)
    assert released.routed("handbook") is None
    released.verify("handbook", version=2)
    routed(released, 0.05, version=2)
    assert "routed to it" in str(released.expire("handbook", dry_run=True).datasets[0].kept[2])
    with pytest.raises(RefusedError, match="routed to v2"):
        registry.mark_expired("handbook", [2])
    with pytest.raises(RefusedError, match="routed to v2"):
        registry.retire_deployments([goal.id], grace_s=0)
    released.unroute("handbook", by="test")
    reachable = kept(registry, "handbook", "dev", keep_versions=1, grace_s=3600)
    assert any("were a moment ago routed to it" in reason for reason in reachable.why[2])
    assert goal.id in reachable.deployments
    assert registry.retire_deployments([goal.id], grace_s=0) == [goal.id]
    with pytest.raises(RefusedError, match="never pushed"):
        routed(released, 0.05, version=2)
    assert third == 3


def test_without_production_nobody_is_routed(released: Project) -> None:
    with pytest.raises(NotFoundError):
        released.route("nobook", 1, 0.1, by="test")
