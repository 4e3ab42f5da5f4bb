"""Readers of a server notice nothing of a purge, whether it comes between two of their requests or they in its middle."""

from collections.abc import Callable, Iterator

import pytest

from tests.chroma.proxy import Proxy
from tests.chroma.test_troubles import first, open_at, said
from vector_pipeline.errors import UnavailableError
from vector_pipeline.targets.chroma import ChromaTarget
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

IDS = [f"doc#{number}" for number in range(6)]
HALF_GONE = '{"error": "InvalidArgumentError", "message": "Missing field: [Missing metadata segment]"}'


@pytest.fixture
def space(proxy: Proxy) -> Iterator[Namespace]:
    """Through the proxy."""
    target = open_at(proxy.url)
    namespace = Namespace(target)
    namespace.create()
    namespace.upsert(make_records(IDS))
    yield namespace
    proxy.plan = lambda method, path: None
    target.drop_namespace(namespace.name)
    target.close()


@pytest.fixture
def direct(url: str) -> Iterator[ChromaTarget]:
    """Past the proxy."""
    target = open_at(url)
    yield target
    target.close()


def reads(target: ChromaTarget, name: str) -> dict[str, Callable[[], object]]:
    def hits(**options: object) -> object:
        return [hit.id for hit in target.query(name, unit_vectors(1), **options)[0]]  # type: ignore[arg-type]

    return {
        "describe": lambda: target.describe(name),
        "scan": lambda: [row for batch in target.scan(name, batch_records=4) for row in batch.to_pylist()],
        "fetch": lambda: sorted(target.fetch(name, IDS).select(["id", "text"]).to_pylist(), key=lambda row: row["id"]),
        "exact": lambda: hits(top_k=4, version=1),
        "index": lambda: hits(top_k=4, exact=False),
        "all": lambda: hits(top_k=10, exact=False, filter={"n": {"$gte": 0}}),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["describe", "scan", "fetch", "exact", "index", "all"])
def test_a_purge_between_two_requests(proxy: Proxy, space: Namespace, direct: ChromaTarget, name: str) -> None:
    assert isinstance(space.target, ChromaTarget)
    read = reads(space.target, space.name)[name]
    wanted = read()
    for step in range(9):
        left = [step]

        def plan(method: str, path: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                direct.purge(space.name)

        proxy.plan = plan
        assert read() == wanted, step
        if left[0] >= 0:
            break
    assert step > 1, "nothing was shown"


def test_in_the_middle_of_a_purge(proxy: Proxy, space: Namespace, direct: ChromaTarget) -> None:
    looks = reads(direct, space.name)
    wanted = {name: look() for name, look in looks.items()}
    seen = []

    def plan(method: str, path: str) -> None:
        seen.append({name: look() for name, look in looks.items()})

    proxy.plan = plan
    space.target.purge(space.name)
    assert len(seen) > 8
    assert all(one == wanted for one in seen)


def test_a_collection_that_is_half_gone(proxy: Proxy, space: Namespace, direct: ChromaTarget) -> None:
    def plan(method: str, path: str) -> str | None:
        if not path.endswith("/get"):
            return None
        direct.purge(space.name)
        proxy.plan = lambda method, path: None
        return HALF_GONE

    proxy.plan = plan
    assert space.ids() == IDS
    proxy.plan = first(HALF_GONE, "get", 99)
    assert "segment" in said(space.ids, UnavailableError)


def test_a_namespace_that_is_made_anew_in_the_middle_of_a_listing(space: Namespace, direct: ChromaTarget) -> None:
    listing = space.target.scan(space.name, batch_records=2)
    assert next(listing).num_rows == 2
    direct.drop_namespace(space.name)
    space.create()
    space.upsert(make_records(IDS))
    assert "anew" in said(lambda: next(listing), UnavailableError)
