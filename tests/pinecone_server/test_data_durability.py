"""What was acknowledged is there again: after a restart, and after a SIGKILL under writers."""

import threading
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.pinecone_server.data_world import SPEC, Plane, data_plane, random_vectors
from tests.support.pinecone_process import KEY, ServerProcess
from vector_pipeline.errors import ConflictError
from vector_pipeline.testing.pinecone_server.store import Store


def everything(plane: Plane, namespace: str) -> dict[str, tuple[list[float], object]]:
    found = plane.index.fetch(ids=plane.ids(namespace), namespace=namespace).vectors
    return {name: (vector.values, vector.metadata) for name, vector in found.items()}


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    with data_plane(tmp_path) as plane:
        plane.put("n", [f"r{number}" for number in range(50)], [{"k": number, "t": ["x"]} for number in range(50)])
        plane.put("n", ["r0", "r50"], [{"again": True}, {}], seed=5)
        plane.index.delete(ids=["r1"], namespace="n")
        plane.index.delete(filter={"k": {"$in": [2, 3]}}, namespace="n")
        plane.index.update(filter={"k": {"$gt": 40}}, set_metadata={"late": True}, namespace="n")
        plane.index.update(id="r5", values=[9, 9, 9, 9], namespace="n")
        plane.put("dropped", ["a"])
        plane.index.delete_namespace(name="dropped")
        plane.put("", ["default"])
        before, stats, lsn = everything(plane, "n"), plane.index.describe_index_stats(), plane.lsn("n")
    with data_plane(tmp_path) as plane:
        assert everything(plane, "n") == before
        assert plane.index.describe_index_stats().namespaces == stats.namespaces
        assert plane.lsn("n") == lsn
        assert plane.matching("n", {"late": True}) == [f"r{number}" for number in range(41, 50)]
        assert plane.index.fetch(ids=["r5"], namespace="n").vectors["r5"].values == [9, 9, 9, 9]


def test_a_deleted_index_leaves_nothing(tmp_path: Path) -> None:
    with data_plane(tmp_path) as plane:
        plane.put("n", ["a"])
        plane.sdk.delete_index("things")
        assert list((tmp_path / "indexes").iterdir()) == []
        plane.sdk.create_index(name="things", dimension=3, metric="euclidean", spec=SPEC)
        with plane.sdk.index(name="things") as index:
            assert index.describe_index_stats().total_vector_count == 0


def test_a_folder_is_one_servers_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ConflictError, match="another Pinecone-protocol server"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


class Writer(threading.Thread):
    """Upserts batches into a namespace of its own until the server is gone; remembers what was acknowledged."""

    def __init__(self, host: str, name: str) -> None:
        super().__init__()
        self.host, self.namespace = host, name
        self.acknowledged: list[int] = []
        self.enough = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.host, headers={"Api-Key": KEY}, timeout=20) as http:
            for batch in range(100_000):
                try:
                    http.post("/vectors/upsert", json={"namespace": self.namespace, "vectors": batch_of(batch)})
                except httpx.HTTPError:
                    return
                self.acknowledged.append(batch)
                if len(self.acknowledged) == 5:
                    self.enough.set()


def batch_of(number: int) -> list[dict[str, object]]:
    vectors = random_vectors(20, 16, number)
    return [
        {"id": f"{number:05}#{row:02}", "values": vector.tolist(), "metadata": {"batch": number}}
        for row, vector in enumerate(vectors)
    ]


@pytest.mark.slow
def test_sigkill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    headers = {"Api-Key": KEY}
    with ServerProcess(tmp_path / "data", "--lag", "0.5") as server, httpx.Client(headers=headers, timeout=20) as http:
        made = {"name": "things", "dimension": 16, "metric": "cosine", "spec": SPEC}
        http.post(f"{server.url}/indexes", json=made).raise_for_status()
        host = http.get(f"{server.url}/indexes/things").json()["host"]
        writers = [Writer(host, f"n{number}") for number in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            assert writer.enough.wait(60)
        server.kill()
        for writer in writers:
            writer.join()
        server.start()
        assert http.get(f"{server.url}/indexes/things").json()["host"] == host
        stats = http.post(f"{host}/describe_index_stats", json={}).json()["namespaces"]
        for writer in writers:
            count = stats[writer.namespace]["vectorCount"]
            batches = len(writer.acknowledged)
            assert count in (20 * batches, 20 * (batches + 1))  # the last one may have landed unacknowledged, and whole
            query = {"namespace": writer.namespace, "id": "none", "topK": 1}
            assert int(http.post(f"{host}/query", json=query).headers["x-pinecone-max-indexed-lsn"]) == count // 20
            last = batch_of(writer.acknowledged[-1])
            found = http.get(
                f"{host}/vectors/fetch",
                params={"namespace": writer.namespace, "ids": [str(each["id"]) for each in last]},
            ).json()["vectors"]
            for each in last:
                assert np.array_equal(np.float32(found[each["id"]]["values"]), np.float32(each["values"]))
