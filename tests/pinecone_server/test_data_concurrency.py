"""Many clients at once: nothing is lost, nothing half visible, every LSN is given once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.pinecone_server.data_world import Plane, data_plane


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with data_plane(tmp_path_factory.mktemp("server")) as found:
        yield found


def test_writers_and_readers_of_one_namespace(plane: Plane) -> None:
    name, stop = plane.namespace(), threading.Event()

    def read() -> list[int]:
        """Sizes in the order in which this reader saw them: two readers' answers may cross each other."""
        sizes: list[int] = []
        while not stop.is_set():
            stats = plane.index.describe_index_stats().namespaces
            sizes.append(stats[name].vector_count if name in stats else 0)
            found = plane.matching(name, {"batch": {"$exists": True}})
            assert len(found) % 10 == 0, "half a batch was seen"
        return sizes

    def write(batch: int) -> int:
        return plane.put(name, [f"{batch:02}#{row}" for row in range(10)], [{"batch": batch}] * 10, seed=batch)

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        lsns = list(pool.map(write, range(40)))
        stop.set()
        seen = [reader.result() for reader in readers]
    assert sorted(lsns) == list(range(1, 41))
    assert len(plane.ids(name)) == 400
    for sizes in seen:
        assert sizes
        assert sizes == sorted(sizes)
        assert all(size % 10 == 0 for size in sizes)


def test_updates_of_one_record_are_all_merged(plane: Plane) -> None:
    name = plane.namespace()
    plane.put(name, ["a"])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: plane.index.update(id="a", set_metadata={f"k{n}": n}, namespace=name), range(40)))
    assert plane.index.fetch(ids=["a"], namespace=name).vectors["a"].metadata == {f"k{n}": n for n in range(40)}


def test_namespaces_that_come_and_go(plane: Plane) -> None:
    name = plane.namespace()

    def turn(number: int) -> int:
        lsn = plane.put(name, [f"r{number}"])
        if number % 5 == 0:
            plane.http.delete(f"/namespaces/{name}")
        return lsn

    with ThreadPoolExecutor(6) as pool:
        lsns = list(pool.map(turn, range(60)))
    assert len(set(lsns)) == 60
    count = plane.index.describe_index_stats().namespaces
    assert (count[name].vector_count if name in count else 0) == len(plane.ids(name))
