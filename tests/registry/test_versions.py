"""Versions: numbering, equality by digest, pins and expiry."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.registry.conftest import new_version, pushed, record
from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.release.registry import Registry


def test_a_version_reads_back_as_it_was_recorded(registry: Registry) -> None:
    new = new_version("d1")
    made, is_new = registry.record_version(new)
    assert is_new
    assert registry.version("handbook", 1) == made
    assert (made.number, made.parent, made.pinned, made.expired_at) == (1, None, False, None)
    assert all(getattr(made, name) == getattr(new, name) for name in new.__dataclass_fields__)
    assert made.created_at.tzinfo is UTC
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_numbers_run_over_all_spaces_of_a_dataset(registry: Registry) -> None:
    first = record(registry, "d1")
    other = record(registry, "d1", space="wordllama")
    third = record(registry, "d2")
    elsewhere = record(registry, "d1", dataset="faq")
    assert [first.number, other.number, third.number, elsewhere.number] == [1, 2, 3, 1]
    assert [third.parent, other.parent] == [1, None]
    assert registry.datasets() == ["faq", "handbook"]
    assert [version.number for version in registry.versions("handbook")] == [1, 2, 3]
    assert registry.versions("unknown") == []


def test_equal_content_makes_no_version_unless_the_newest_differs(registry: Registry) -> None:
    first = record(registry, "d1")
    assert registry.record_version(new_version("d1", message="again", lake_snapshot=99)) == (first, False)
    record(registry, "d2")
    back, made = registry.record_version(new_version("d1"))
    assert (back.number, back.parent, made) == (3, 2, True)
    changed, made = registry.record_version(new_version("d1", fingerprint="minilm-2"))
    assert (changed.number, changed.parent, made) == (4, None, True)


def test_an_expired_version_is_not_found_equal(registry: Registry) -> None:
    record(registry, "d1")
    assert registry.mark_expired("handbook", [1]) == [1]
    again, made = registry.record_version(new_version("d1"))
    assert (again.number, again.parent, made) == (2, 1, True)


def test_latest_version_of_a_dataset_or_of_a_space(registry: Registry) -> None:
    assert registry.latest_version("handbook") is None
    for digest, space in (("d1", "a"), ("d2", "b"), ("d3", "a")):
        record(registry, digest, space=space)

    def latest(*args: str) -> int | None:
        found = registry.latest_version("handbook", *args)
        return found.number if found else None

    assert (latest(), latest("b"), latest("a", "a-1"), latest("a", "other")) == (3, 2, 3, None)
    registry.mark_expired("handbook", [3])
    assert (latest(), latest("a")) == (2, 1)


def test_an_unknown_version_lists_those_that_exist(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match="handbook has no versions yet"):
        registry.version("handbook", 1)
    for number in range(12):
        record(registry, f"d{number}")
    with pytest.raises(NotFoundError, match=r"handbook has no version v99\. It has …, v3, .*v12$"):
        registry.version("handbook", 99)


def test_what_is_pinned_or_served_does_not_expire_and_a_refusal_expires_nothing(registry: Registry) -> None:
    record(registry, "d1")
    assert registry.pin("handbook", 1, True).pinned
    served = pushed(registry, "d2")
    registry.move_alias("handbook", "dev", "production", to=served.id, expected=None, by="me", reason="")
    record(registry, "d3", lake_snapshot=8)
    with pytest.raises(RefusedError, match="v1 of handbook is pinned"):
        registry.mark_expired("handbook", [1, 3])
    with pytest.raises(RefusedError, match="alias production of handbook in dev points at v2"):
        registry.mark_expired("handbook", [2, 3])
    with pytest.raises(NotFoundError, match="v4"):
        registry.mark_expired("handbook", [3, 4])
    assert registry.kept_lake_snapshots() == {7, 8}
    registry.pin("handbook", 1, False)
    assert registry.mark_expired("handbook", [1, 3]) == [1, 3]
    when = registry.version("handbook", 3).expired_at
    assert when is not None
    assert registry.mark_expired("handbook", [3, 1]) == []
    assert registry.version("handbook", 3).expired_at == when
    assert registry.kept_lake_snapshots() == {7}
    with pytest.raises(RefusedError, match="has expired"):
        registry.pin("handbook", 3, True)


@pytest.mark.parametrize("bad", ["lone surrogate \ud800"])
def test_a_text_that_no_database_can_hold_is_an_input_error(registry: Registry, bad: str) -> None:
    with pytest.raises(InputError):
        registry.record_version(new_version("d1", message=bad))
    assert registry.versions("handbook") == []
